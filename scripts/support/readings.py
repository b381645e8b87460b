"""What the checker reads of the product: ledger, reports as CSV and as page, mails, breaches."""
import csv
import dataclasses
import html.parser
import io


@dataclasses.dataclass
class Row:
    """One subscriber on one local day, in the ledger or in a report; pairs are (upload, download)."""

    rank: int
    counted: tuple
    lower: tuple
    loss: tuple
    estimated: tuple
    grade: str
    share_permille: int
    standing: tuple  # (state, percent, used, limit, basis, period); ("none",) without a quota


@dataclasses.dataclass
class Document:
    """A report, rendered or mailed."""

    name: str
    days: list  # ISO dates of the days it is about
    tables: dict  # ISO day: {(router, subscriber): Row}, from the CSV
    pages: list  # [(heading, rows of cells)], from the HTML


@dataclasses.dataclass
class Mail:
    recipients: list
    message_id: str
    subject: str
    text: str


@dataclasses.dataclass
class Breach:
    router: str
    subscriber: str
    day: str
    threshold: int
    limit_bytes: int
    used: tuple
    delivery: str


@dataclasses.dataclass
class Readings:
    ledger: dict  # ISO day: {(router, subscriber): Row}
    documents: list
    mails: list
    breaches: list


def pair(traffic):
    return (int(traffic["upload_bytes"]), int(traffic["download_bytes"]))


def word(text, prefix):
    return text.removeprefix(prefix).lower()


def ledger_rows(ranking):
    """{(router, subscriber): Row} of an answer to GetRanking."""
    rows = {}
    for row in ranking["rows"]:
        who, usage = row["subscriber"], row["usage"]
        rows[(who["router_id"], who["name"]["display_name"])] = Row(
            rank=int(row["rank"]), counted=pair(usage["counted"]), lower=pair(usage["sure"]),
            loss=pair(usage["unseen"]), estimated=pair(usage["estimated"]),
            grade=word(usage["grade"], "GRADE_"), share_permille=int(row["share_permille"]),
            standing=ledger_standing(row.get("standing")))
    return rows


def ledger_standing(wire):
    if not wire:
        return ("none",)
    return (word(wire["state"], "STANDING_STATE_"), int(wire["percent"]), int(wire["used_bytes"]),
            int(wire["limit_bytes"]), word(wire["basis"], "QUOTA_BASIS_"),
            word(wire["period"], "QUOTA_PERIOD_"))


def csv_standing(cells):
    if cells["quota_state"] == "none":
        return ("none",)
    return (cells["quota_state"], int(cells["quota_percent"]), int(cells["quota_used_bytes"]),
            int(cells["quota_limit_bytes"]), cells["quota_basis"], cells["quota_period"])


def breach_records(answer):
    """The breaches of an answer to ListBreaches."""
    return [Breach(router=one["subscriber"]["router_id"],
                   subscriber=one["subscriber"]["name"]["display_name"], day=one["period_start"],
                   threshold=int(one["threshold_percent"]), limit_bytes=int(one["limit_bytes"]),
                   used=pair(one["used"]), delivery=word(one["delivery"], "DELIVERY_STATE_"))
            for one in answer["breaches"]]


def csv_tables(text):
    """{ISO day: {(router, subscriber): Row}} of a report's CSV; every row is in it."""
    tables = {}
    for row in csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")):
        def both(kind, cells=row):
            return (int(cells[f"{kind}upload_bytes"]), int(cells[f"{kind}download_bytes"]))
        # A leading apostrophe keeps spreadsheets from taking a name for a formula.
        key = (row["router"], row["subscriber"].removeprefix("'"))
        table = tables.setdefault(row["day"], {})
        if key in table or sum(both("")) != int(row["total_bytes"]):
            key = (*key, f"row {len(table) + 1} doubled, or with a wrong total")
        table[key] = Row(
            rank=int(row["rank"]), counted=both(""), lower=both("sure_"),
            loss=both("unseen_"), estimated=both("estimated_"), grade=row["grade"],
            share_permille=int(row["share_permille"]), standing=csv_standing(row))
    return tables


class PageReader(html.parser.HTMLParser):
    """The headings of a page's days, each with the text cells of the rows below it."""

    def __init__(self):
        super().__init__()
        self.sections, self.text = [], None

    def handle_starttag(self, tag, attrs):
        if tag == "tr" and self.sections:
            self.sections[-1][1].append([])
        elif tag in ("td", "h2"):
            self.text = ""

    def handle_data(self, data):
        if self.text is not None:
            self.text += data

    def handle_endtag(self, tag):
        if self.text is None or tag not in ("td", "h2"):
            return
        text, self.text = " ".join(self.text.split()), None
        if tag == "h2":
            self.sections.append((text, []))
        elif self.sections and self.sections[-1][1]:
            self.sections[-1][1][-1].append(text)


def pages_of(text):
    """[(heading, rows of cells)] of a report's page, without the tables' own headings."""
    reader = PageReader()
    reader.feed(text)
    return [(heading, [row for row in rows if row]) for heading, rows in reader.sections]


def mail_of(message, recipients):
    """One mail as it was caught."""
    body = message.get_body(preferencelist=("plain",))
    return Mail(list(recipients), message["message-id"], message["subject"],
                "" if body is None else body.get_content())
