"""Compares what the product says with what its routers' log shows. No I/O: problems in words.

`expected` is [{(router, subscriber): truth.Expected}] of the two days, `days` their ISO dates,
`crossings` [((router, subscriber), truth.Crossing)].
"""
import dataclasses
import datetime


@dataclasses.dataclass
class Story:
    """What was to be seen."""

    site: str
    days: list
    expected: list
    crossings: list
    limit_bytes: int
    # A notifier that was killed may have sent a mail without knowing that it did.
    mails_may_repeat: bool


def display(name):
    """A raw name as the product shows it, by the rule of docs/grpc.md."""
    try:
        return name.decode("utf-8").replace("\\", "\\\\")
    except UnicodeDecodeError:
        return "".join(chr(b) if 32 <= b < 127 else f"\\x{b:02X}" for b in name)


def size(count):
    """Bytes as mails and pages write them: two decimals, cut off."""
    if count < 1024:
        return f"{count} B"
    power = min((count.bit_length() - 1) // 10, 6)
    hundredths = count * 100 >> (10 * power)
    return f"{hundredths // 100}.{hundredths % 100:02d} {'KMGTPE'[power - 1]}iB"


def at(day, key):
    return f"{day} {' '.join(key)}"


def problems(story, readings):
    """Everything that is not as it should be."""
    found = []
    for day, expected in zip(story.days, story.expected):
        ledger = readings.ledger[day]
        found += _ledger(story, day, expected, ledger)
        found += _ranks(f"the ledger of {day}", ledger)
        for document in readings.documents:
            if day in document.days:
                found += _report(document, day, expected, ledger)
                found += _page(document, day, ledger)
    for document in readings.documents:
        for day in sorted(set(document.tables) - set(document.days)):
            found.append(f"{document.name} has rows of {day}")
    return found + _breaches(story, readings.breaches) + _mails(story, readings.mails)


def _ledger(story, day, expected, ledger):
    found = []
    crossed = {key for key, crossing in story.crossings if story.days[crossing.day] == day}
    for key, want in sorted(expected.items()):
        row = ledger.get(key)
        if row is None:
            if want.has_row():
                found.append(f"{at(day, key)}: observed {want.seen[0]}/{want.seen[1]}, the ledger "
                             "has nothing")
            continue
        if row.counted != tuple(want.seen):
            found.append(f"{at(day, key)}: observed {want.seen[0]}/{want.seen[1]}, the ledger says "
                         f"{row.counted[0]}/{row.counted[1]}")
        if row.grade not in want.grades:
            found.append(f"{at(day, key)}: the grade is {row.grade}, it should be "
                         f"{' or '.join(sorted(want.grades))}")
        # Each day's end was read in time, and no counter was implausible: nothing is a guess.
        if row.lower != row.counted or any(row.estimated):
            found.append(f"{at(day, key)}: the lower bound is {row.lower}, with {row.estimated} "
                         f"estimated, of {row.counted}: all of it was read inside the day")
        standing = ("over" if key in crossed else "within", row.lower[1] * 100 // story.limit_bytes,
                    row.lower[1], story.limit_bytes, "download", "day")
        if row.standing != standing:
            found.append(f"{at(day, key)}: in the quota it is {row.standing}, it should be "
                         f"{standing}")
        found += _loss(at(day, key), want, row)
    for key in sorted(set(ledger) - set(expected)):
        found.append(f"{at(day, key)}: the ledger has a row for what nobody observed")
    return found


def _loss(where, want, row):
    found = []
    for half, way in ((0, "upload"), (1, "download")):
        if not 0 <= want.unseen[half] <= row.loss[half]:
            found.append(f"{where}: {want.unseen[half]} bytes of {way} moved unseen, the bound is "
                         f"{row.loss[half]}")
        if not want.loss_least[half] <= row.loss[half] <= want.loss_most[half]:
            found.append(f"{where}: the loss bound of {way} is {row.loss[half]}; blind time and "
                         f"rate give {want.loss_least[half]} to {want.loss_most[half]}")
    return found


def _ranks(where, rows):
    """Ranks 1, 2, ... by falling totals; shares of the whole that add up to 1000."""
    ordered = sorted(rows.values(), key=lambda row: row.rank)
    totals = [sum(row.counted) for row in ordered]
    found = []
    if [row.rank for row in ordered] != list(range(1, len(ordered) + 1)):
        found.append(f"{where}: the ranks are {[row.rank for row in ordered]}")
    if totals != sorted(totals, reverse=True):
        found.append(f"{where}: the totals {totals} are not in the order of their ranks")
    shares = [row.share_permille for row in ordered]
    near = all(abs(share * sum(totals) - 1000 * total) <= sum(totals)
               for share, total in zip(shares, totals))
    if not near or (sum(totals) and sum(shares) != 1000):
        found.append(f"{where}: the shares {shares} are not those of {totals}")
    return found


def _report(document, day, expected, ledger):
    found = []
    table = document.tables.get(day, {})
    for key, row in sorted(ledger.items()):
        said = table.get(key)
        want = expected.get(key)
        if want is not None and (said is None or said.counted != tuple(want.seen)):
            found.append(f"{at(day, key)}: observed {want.seen[0]}/{want.seen[1]}, {document.name} "
                         f"says {None if said is None else said.counted}")
        elif said != row:
            found.append(f"{at(day, key)}: {document.name} says {said}, the ledger {row}")
    for key in sorted(set(table) - set(ledger)):
        found.append(f"{at(day, key)}: {document.name} has a row that the ledger has not")
    return found


def _page(document, day, ledger):
    date = datetime.date.fromisoformat(day)
    title = f"{date:%A} {date.day} {date:%B %Y}, "
    tables = [rows for heading, rows in document.pages if heading.startswith(title)]
    if len(tables) != 1:
        return [f"the page of {document.name} has {len(tables)} tables of {day} instead of one"]
    wanted = [cells(key, row) for key, row in
              sorted(ledger.items(), key=lambda item: item[1].rank)]
    found = [f"{day}: the page of {document.name} shows {shown}, it should be {want}"
             for shown, want in zip(tables[0], wanted) if shown != want]
    if len(tables[0]) != len(wanted):
        found.append(f"{day}: the page of {document.name} shows {len(tables[0])} rows, it should "
                     f"be {len(wanted)}")
    return found


def quota_text(standing):
    if standing == ("none",):
        return "none"
    state, percent, _, limit, basis, period = standing
    return f"{state}, {percent:,} % of {size(limit)} ({basis}, per {period})"


def cells(key, row):
    """A row of the page, with the labels that wide screens hide."""
    doubt = f" at most {size(sum(row.loss))} unseen" if any(row.loss) else ""
    return [str(row.rank), f"{key[1]} on {key[0]}", f"Down {size(row.counted[1])}",
            f"Up {size(row.counted[0])}", f"Total {size(sum(row.counted))}",
            f"Share {row.share_permille // 10}.{row.share_permille % 10} %",
            f"Quota {quota_text(row.standing)}",
            f"Grade {row.grade}{doubt}"]


def _breaches(story, records):
    wanted = sorted((*key, story.days[crossing.day], 100, story.limit_bytes, crossing.used,
                     "handed_over") for key, crossing in story.crossings)
    listed = sorted(dataclasses.astuple(record) for record in records)
    if listed == wanted:
        return []
    return [f"the breaches listed are {listed}, they should be {wanted}"]


def _mails(story, mails):
    """One mail for each breach, with its figures; the same one again only where that may be."""
    found = []
    by_id = {}
    for mail in mails:
        if [to.split("@")[0] for to in mail.recipients] != ["noc"]:
            found.append(f"the alert {mail.subject!r} went to {mail.recipients}")
        first = by_id.setdefault(mail.message_id, mail)
        if first is not mail and (not story.mails_may_repeat or first != mail):
            found.append(f"the alert {mail.message_id} came twice")
    if len(by_id) != len(story.crossings):
        found.append(f"{len(by_id)} different breach mails instead of {len(story.crossings)}: "
                     f"{sorted(mail.subject for mail in by_id.values())}")
    for (router, name), crossing in story.crossings:
        day = story.days[crossing.day]
        up, down = (size(count) for count in crossing.used)
        sentence = f"{name} passed 100 % of {size(story.limit_bytes)} download"
        subject = f"NetSentinel {story.site}: {sentence}"
        words = (f"{sentence} for the day {day}: {down} used.", f", router {router}, ",
                 f"; {down} down, {up} up so far.")
        about = [mail for mail in by_id.values() if mail.subject == subject]
        if len(about) != 1:
            found.append(f"{len(about)} breach mails have the subject {subject!r} instead of one")
        for mail in about:
            found += [f"the breach mail about {name} lacks {part!r}: {mail.text!r}"
                      for part in words if part not in mail.text]
    return found
