"""NS_MUTATE: falsifies one thing that the checker read, so that a checker that sees nothing shows."""
import dataclasses

from processes import Failure


def _first(rows, condition=lambda _: True):
    for key, row in sorted(rows.items()):
        if condition(row):
            return key
    raise Failure("there is nothing to falsify: the story is too poor")


def _change(rows, condition, **changes):
    key = _first(rows, condition)
    rows[key] = dataclasses.replace(rows[key], **{
        name: value(rows[key]) for name, value in changes.items()})


def _any(_row):
    return True


def lose_one_byte(story, _readings):
    """One byte less in what the log shows."""
    expected = story.expected[0]
    expected[_first(expected, lambda row: row.seen[1] > 0)].seen[1] -= 1


def lose_a_row(story, readings):
    """A subscriber that the ledger does not have."""
    del readings.ledger[story.days[0]][_first(readings.ledger[story.days[0]])]


def better_grade(story, readings):
    _change(readings.ledger[story.days[1]], lambda row: row.grade == "bounded",
            grade=lambda row: "complete")


def worse_grade(story, readings):
    _change(readings.ledger[story.days[0]], lambda row: row.grade == "complete",
            grade=lambda row: "bounded")


def loss_unbounded(story, readings):
    _change(readings.ledger[story.days[1]], lambda row: any(row.loss),
            loss=lambda row: (row.loss[0], row.loss[1] * 10))


def loss_forgotten(story, readings):
    _change(readings.ledger[story.days[1]], lambda row: any(row.loss), loss=lambda row: (0, 0))


def lower_bound(story, readings):
    _change(readings.ledger[story.days[0]], lambda row: row.lower[0] > 0,
            lower=lambda row: (row.lower[0] - 1, row.lower[1]))


def estimate(story, readings):
    _change(readings.ledger[story.days[0]], _any, estimated=lambda row: (1, 0))


def quota_state(story, readings):
    _change(readings.ledger[story.days[1]], lambda row: row.standing[0] == "over",
            standing=lambda row: ("within", *row.standing[1:]))


def foreign_row(story, readings):
    """A row in a report for somebody nobody observed."""
    table = readings.documents[-1].tables[story.days[1]]
    table[("hq-core", "mallory")] = dataclasses.replace(table[_first(table)])


def foreign_ledger_row(story, readings):
    table = readings.ledger[story.days[1]]
    table[("hq-core", "mallory")] = dataclasses.replace(table[_first(table)], counted=(0, 0))


def report_figure(story, readings):
    """A figure of the mailed report that is neither upload nor download."""
    _change(readings.documents[-1].tables[story.days[1]], _any,
            loss=lambda row: (row.loss[0] + 1, row.loss[1]))


def _page(story, readings):
    """The rows of the first table on a page that is about the second day."""
    for document in readings.documents:
        for _heading, rows in document.pages:
            if rows and story.days[1] in document.days:
                return rows
    raise Failure("there is no page to falsify")


def page_figure(story, readings):
    rows = _page(story, readings)
    rows[0][2] = rows[0][2].replace("Down ", "Down 1")


def page_row(story, readings):
    _page(story, readings).pop()


def rank(story, readings):
    _change(readings.ledger[story.days[0]], lambda row: row.rank == 1, rank=lambda row: 2)


def second_mail(_story, readings):
    """A second breach mail, under a Message-ID of its own."""
    mail = readings.mails[0]
    readings.mails.append(dataclasses.replace(mail, message_id=f"<2{mail.message_id[1:]}"))


def no_mail(_story, readings):
    readings.mails.clear()


def foreign_mail(_story, readings):
    mail = readings.mails[0]
    readings.mails[0] = dataclasses.replace(mail, subject=mail.subject.replace("alice", "bob"),
                                            text=mail.text.replace("alice", "bob"))


def mail_figure(_story, readings):
    mail = readings.mails[0]
    readings.mails[0] = dataclasses.replace(mail, text=mail.text.replace(" used.", "1 used."))


def second_breach(_story, readings):
    readings.breaches.append(dataclasses.replace(readings.breaches[0], subscriber="mallory"))


def breach_figure(_story, readings):
    one = readings.breaches[0]
    readings.breaches[0] = dataclasses.replace(one, used=(one.used[0], one.used[1] + 1))


MUTATIONS = {function.__name__: function for function in (
    lose_one_byte, lose_a_row, better_grade, worse_grade, loss_unbounded, loss_forgotten,
    lower_bound, estimate, quota_state, foreign_row, foreign_ledger_row, report_figure, page_figure,
    page_row, rank, second_mail, no_mail, foreign_mail, mail_figure, second_breach, breach_figure)}


def check_name(name):
    """A misspelt mutation would falsify nothing, and the checker would pass."""
    if name and name not in MUTATIONS:
        raise Failure(f"NS_MUTATE={name} is not one of {', '.join(MUTATIONS)}")


def falsify(name, story, readings):
    """Does what NS_MUTATE names; nothing when it is empty."""
    check_name(name)
    if name:
        MUTATIONS[name](story, readings)
