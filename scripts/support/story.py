"""The story that quickstart --once plays on the simulated routers, and its proof."""
import csv
import datetime
import email
import email.policy
import html.parser
import io
import json
import os
import time
import zoneinfo

import truth
from processes import Failure, say, wait_until
from setup import SITE

ZONE = "Asia/Karachi"
LATIN = "caf\xe9".encode("latin-1")
QUOTA = "64MiB"
MIB = 1 << 20
PARENTS = {b"floor-1": [b"carol", b"dave"]}

SCENARIO = """
routers:
  - id: hq-core
    mode: v7.18
    version: "7.20.8 (stable)"
    identity: hq-core
    serial_number: HE108ABCDEF
    uptime_s: 864000
    tls_cert: {folder}/router.crt
    tls_key: {folder}/secrets/router.key
    plain: false
    users: [{{name: netsentinel, password: "{password}", policies: [read, api]}}]
    queues:
      - {{name: alice, target: 10.0.0.1/32, max_limit: 100000000/100000000}}
      - {{name: bob, target: 10.0.0.2/32, up_rate: 40000, down_rate: 300000}}
      - {{name_hex: 636166e9, target: 10.0.0.3/32, up_rate: 9000, down_rate: 120000}}
      - {{name: floor-1, target: 10.0.1.0/24}}
      - {{name: carol, target: 10.0.1.1/32, parent: floor-1, up_rate: 20000, down_rate: 90000}}
      - {{name: dave, target: 10.0.1.2/32, parent: floor-1, up_rate: 5000, down_rate: 60000}}
      - {{name: "=cmd() <b>x</b>", target: 10.0.0.9/32, up_rate: 1000, down_rate: 9000}}
      - {{pppoe_user: erin, up_rate: 30000, down_rate: 200000}}
  - id: branch
    mode: v6
    version: "6.49.10 (long-term)"
    identity: branch
    chr: true
    system_id: AbCdEfGhIjK
    uptime_s: 3600
    users: [{{name: netsentinel, password: "{password}", policies: [read, api]}}]
    queues:
      - {{name: alice, target: 10.9.0.1/32, up_rate: 3000, down_rate: 30000}}
"""


class Story:
    """One run of the story. `restart` is the component to kill midway, or None."""

    def __init__(self, setup, fleet, simulator, parts):
        self.setup, self.fleet, self.simulator, self.parts = setup, fleet, simulator, parts
        self.boundary_us = 0

    def ask(self, *arguments):
        return json.loads(self.setup.ctl(*arguments, "--json"))

    def snapshots(self):
        """Attribution time of each router's newest counted snapshot."""
        self.fleet.check()
        try:
            routers = self.ask("routers")["routers"]
        except Failure:
            return {}  # a part of the story is down: asked again
        return {router["router_id"]: max([int(menu["last_snapshot_us"])
                                          for menu in router["menus"]] or [0])
                for router in routers}

    def settle(self, routers=("hq-core", "branch"), polls=1, seconds=30):
        """Waits until readings begun after now have been counted, `polls` times over."""
        for _ in range(polls):
            now_us = time.time_ns() // 1000
            wait_until(f"new readings of {', '.join(routers)} to be counted",
                       lambda since=now_us: all(self.snapshots().get(r, 0) > since
                                                for r in routers), seconds)

    def ranking(self):
        print(self.setup.ctl("ranking", "--site", SITE), flush=True)

    def play(self, kill, boundary_us):
        self.boundary_us = boundary_us
        simulator = self.simulator
        wait_until("both routers to be read",
                   lambda: all(self.snapshots().get(r, 0) > 0 for r in ("hq-core", "branch")), 45)
        say("both routers are read; traffic moves")
        simulator.do("hq-core", "move", queue="alice", up=MIB, down=10 * MIB)
        simulator.do("hq-core", "move", queue_hex=LATIN.hex(), up=123457, down=7654321)
        # More than a poll's worth, so that a counter's fall stays visible at the next reading.
        simulator.do("hq-core", "move", queue="bob", up=2 * MIB, down=9 * MIB)
        self.settle()
        say("a PPPoE reconnect: the queue goes and comes under another .id")
        simulator.do("hq-core", "pppoe_reconnect", user="erin")
        self.settle(("hq-core",))
        say("a counter reset by hand")
        simulator.do("hq-core", "reset_counters", queue="bob")
        self.settle(("hq-core",), polls=2)
        self.ranking()
        left = boundary_us / 1e6 - time.time()
        if left <= 0:
            raise Failure(f"the first day's story took {-left:.1f} s too long for the day's end")
        say(f"waiting {left:.1f} s for the end of the local day")
        wait_until("the local day to end", lambda: time.time() * 1e6 > boundary_us, left + 5)
        self.settle()
        if kill:
            say(f"killing the {kill} (SIGKILL)")
            part = self.parts[kill]
            part.kill()
            simulator.do("hq-core", "move", queue="alice", up=5, down=7 * MIB)
            time.sleep(2)
            part.start()
            say(f"the {kill} is started again")
            self.settle(seconds=45)
        say("a reboot of the router")
        simulator.do("hq-core", "reboot", down_ms=1500)
        self.settle(("hq-core",), polls=2)
        simulator.do("hq-core", "move", queue="<pppoe-erin>", up=2 * MIB, down=9 * MIB)
        self.settle(("hq-core",))
        say("a PPPoE reconnect under the same .id, and a breach")
        simulator.do("hq-core", "pppoe_reconnect", user="erin", reuse_id=True)
        simulator.do("hq-core", "move", queue="alice", up=3, down=70 * MIB)
        crossed = time.time()
        mail = wait_until("the breach mail", lambda: self.mails("noc@"), 40)[0]
        say(f"the breach mail was there {time.time() - crossed:.1f} s after the bytes moved: "
            f"{mail['subject']}")
        for router in ("hq-core", "branch"):
            simulator.do(router, "pause")
        self.settle(polls=2)

    def mails(self, recipient):
        found = []
        for path in sorted((self.setup.folder / "mail").glob("*.json")):
            envelope = json.loads(path.read_text())
            if any(to.startswith(recipient) for to in envelope["to"]):
                found.append(email.message_from_bytes(path.with_suffix(".eml").read_bytes(),
                                                      policy=email.policy.default))
        return found


class TableReader(html.parser.HTMLParser):
    """The text cells of every table row of a page."""

    def __init__(self):
        super().__init__()
        self.rows, self.cell = [], None

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.cell = ""

    def handle_data(self, data):
        if self.cell is not None:
            self.cell += data

    def handle_endtag(self, tag):
        if tag in ("td", "th") and self.cell is not None and self.rows:
            self.rows[-1].append(" ".join(self.cell.split()))
            self.cell = None


def display(name):
    """A raw name as the product shows it, by the rule of docs/grpc.md."""
    try:
        return name.decode("utf-8").replace("\\", "\\\\")
    except UnicodeDecodeError:
        return "".join(chr(b) if 32 <= b < 127 else f"\\x{b:02X}" for b in name)


def prove(story, truth_log):
    """Compares ledger, report and mail with the truth log; raises Failure on the first difference."""
    observers = [truth.Observer("hq-core", story.boundary_us, PARENTS),
                 truth.Observer("branch", story.boundary_us, {})]
    truth.read(truth_log, observers)
    zone = zoneinfo.ZoneInfo(ZONE)
    second = datetime.datetime.fromtimestamp(story.boundary_us / 1e6, zone).date()
    days = [second - datetime.timedelta(days=1), second]
    problems = []
    mutate = os.environ.get("NS_MUTATE") == "lose_one_byte"
    unseen = {}
    reports = {}
    for number, day in enumerate(days):
        ledger = {}
        for row in story.ask("ranking", "--site", SITE, "--day", str(day))["rows"]:
            who = row["subscriber"]
            ledger[(who["router_id"], who["name"]["display_name"])] = row["usage"]
        report = reports[day] = reported(story, day)
        for observer in observers:
            observed, moved = observer.result()
            for name, (up, down) in sorted(observed[number].items()):
                key = (observer.router, display(name))
                usage = ledger.pop(key, None)
                if usage is None and up == 0 and down == 0:
                    continue
                if usage is None:
                    problems.append(f"{day} {key}: observed {up}/{down}, the ledger has nothing")
                    continue
                if mutate and down > 0:
                    down -= 1
                    mutate = False
                best = (int(usage["best"]["upload_bytes"]), int(usage["best"]["download_bytes"]))
                if best != (up, down):
                    problems.append(f"{day} {key}: observed {up}/{down}, the ledger says "
                                    f"{best[0]}/{best[1]}")
                if report.get(key) != (up, down):
                    problems.append(f"{day} {key}: observed {up}/{down}, the report says "
                                    f"{report.get(key)}")
                entry = unseen.setdefault(key, {"moved": moved.get(name, (0, 0)),
                                                "seen": [0, 0], "bound": [0, 0], "grades": []})
                entry["seen"][0] += best[0]
                entry["seen"][1] += best[1]
                entry["bound"][0] += int(usage["loss_bound"]["upload_bytes"])
                entry["bound"][1] += int(usage["loss_bound"]["download_bytes"])
                entry["grades"].append(usage["grade"].removeprefix("GRADE_").lower())
        for key, usage in ledger.items():
            if any(int(value) for value in usage["best"].values()):
                problems.append(f"{day} {key}: the ledger counts bytes that nobody observed")
    problems += bounds(unseen)
    problems += mails(story, reports)
    if problems:
        raise Failure("the figures differ:\n  " + "\n  ".join(problems))
    say(f"{len(unseen)} subscribers on 2 local days: ledger and report agree with what "
        f"{sum(o.snapshots for o in observers)} served snapshots show, to the byte")


def bounds(unseen):
    problems = []
    print(f"\n{'subscriber':<34}{'moved, not observable':>24}{'loss bound':>28}  grades")
    for key, entry in sorted(unseen.items()):
        gap = [entry["moved"][half] - entry["seen"][half] for half in (0, 1)]
        print(f"{key[0] + ' ' + key[1]:<34}{f'{gap[0]}/{gap[1]}':>24}"
              f"{str(entry['bound'][0]) + '/' + str(entry['bound'][1]):>28}"
              f"  {', '.join(entry['grades'])}")
        for half, way in ((0, "upload"), (1, "download")):
            if not 0 <= gap[half] <= entry["bound"][half]:
                problems.append(f"{key}: {gap[half]} bytes of {way} moved unseen, the bound is "
                                f"{entry['bound'][half]}")
    print(flush=True)
    return problems


def table_of(text, day):
    """{(router, subscriber): (upload, download)} of one day in a report's CSV."""
    rows = {}
    for row in csv.DictReader(io.StringIO(text, newline="")):
        if row["day"] == str(day):
            # A leading apostrophe keeps spreadsheets from taking a name for a formula.
            key = (row["router"], row["subscriber"].removeprefix("'"))
            rows[key] = (int(row["upload_bytes"]), int(row["download_bytes"]))
    return rows


def reported(story, day):
    """What the rendered report of a day says; its page must show the same subscribers."""
    report = story.ask("report", "now", "--render", "--site", SITE, "--day", str(day))
    table = table_of(report["csv"], day)
    page = TableReader()
    page.feed(report["html"])
    cells = [" ".join(row) for row in page.rows]
    for _router, name in table:
        if not any(name in cell for cell in cells):
            raise Failure(f"the page of {day} does not show {name!r}")
    (story.setup.folder / f"report-{day}.html").write_text(report["html"])
    return table


def mails(story, reports):
    """The breach mail once, and the report mail with the same figures as the rendered reports."""
    problems = []
    breaches = story.mails("noc@")
    names = [mail for mail in breaches if "alice" in mail["subject"] + str(mail.get_body())]
    ids = {mail["message-id"] for mail in names}
    if len(ids) != 1:
        problems.append(f"{len(ids)} breach mails about alice instead of one")
    story.setup.ctl("report", "now", "--site", SITE)
    report = wait_until("the report mail", lambda: story.mails("manager@"), 30)[-1]
    attachments = [part for part in report.iter_attachments()
                   if part.get_content_type() == "text/csv"]
    if not attachments:
        return problems + ["the report mail has no CSV attached"]
    for day, table in reports.items():
        if table_of(attachments[0].get_content().removeprefix("\ufeff"), day) != table:
            problems.append(f"the mailed CSV differs from the rendered report of {day}")
    kinds = {part.get_content_type() for part in report.walk()}
    for kind in ("text/html", "text/plain"):
        if kind not in kinds:
            problems.append(f"the report mail has no {kind} part")
    say(f"the report mail: {report['subject']}")
    return problems
