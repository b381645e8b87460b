"""The story that quickstart --once plays on the simulated routers, and its proof."""
import datetime
import email
import email.policy
import json
import os
import time
import zoneinfo

import checker
import falsify
import readings
import truth
from processes import Failure, say, wait_until
from setup import SITE

ZONE = "Asia/Karachi"
LATIN = "caf\xe9".encode("latin-1")
MIB = 1 << 20
QUOTA, QUOTA_BYTES = "64MiB", 64 * MIB
POLL, POLL_US = "1s", 1_000_000
LINE_RATE, LINE_RATE_BPS = "1Gbps", 1_000_000_000
ALICE_BPS = 100_000_000
# dave is renamed on the way.
PARENTS = {b"floor-1": [b"carol", b"dave", b"david"]}
SETTINGS = {
    "hq-core": truth.Settings(POLL_US, LINE_RATE_BPS, {b"alice": (ALICE_BPS, ALICE_BPS)}, PARENTS),
    "branch": truth.Settings(POLL_US, LINE_RATE_BPS),
}

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
      - {{name: alice, target: 10.0.0.1/32, max_limit: {alice_bps}/{alice_bps}}}
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


def scenario(folder, password):
    """The simulator's scenario, with the routers' files in a folder."""
    return SCENARIO.format(folder=folder, password=password, alice_bps=ALICE_BPS)


class Story:
    """One run of the story. `killed` is the component that was killed midway, or None."""

    def __init__(self, setup, fleet, simulator, parts):
        self.setup, self.fleet, self.simulator, self.parts = setup, fleet, simulator, parts
        self.boundary_us = 0
        self.killed = None

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
        self.boundary_us, self.killed = boundary_us, kill
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
        say("a counter reset by hand, and a queue gets another name")
        simulator.do("hq-core", "reset_counters", queue="bob")
        simulator.do("hq-core", "rename", queue="dave", to="david")
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
        _to, mail = wait_until("the breach mail", lambda: self.mails("noc@"), 40)[0]
        say(f"the breach mail was there {time.time() - crossed:.1f} s after the bytes moved: "
            f"{mail['subject']}")
        for router in ("hq-core", "branch"):
            simulator.do(router, "pause")
        self.settle(polls=2)

    def mails(self, recipient):
        """[(recipients, message)] of the mails to somebody, in the order of their arrival."""
        found = []
        for path in sorted((self.setup.folder / "mail").glob("*.json")):
            envelope = json.loads(path.read_text())
            if any(to.startswith(recipient) for to in envelope["to"]):
                found.append((envelope["to"], email.message_from_bytes(
                    path.with_suffix(".eml").read_bytes(), policy=email.policy.default)))
        return found


def prove(story, truth_log):
    """Compares ledger, reports and mails with the truth log; raises Failure when they differ."""
    wanted = expected(story, truth.load(truth_log))
    got = read(story, wanted.days)
    falsify.falsify(os.environ.get("NS_MUTATE"), wanted, got)
    table(wanted, got)
    problems = checker.problems(wanted, got)
    if problems:
        raise Failure("the figures differ:\n  " + "\n  ".join(problems))
    keys = {key for day in wanted.expected for key, row in day.items() if row.has_row()}
    say(f"{len(keys)} subscribers on 2 local days: ledger, reports, page and mails agree with "
        "what the routers' log shows, to the byte")


def expected(story, entries):
    """What the simulator's log shows."""
    second = datetime.datetime.fromtimestamp(story.boundary_us / 1e6, zoneinfo.ZoneInfo(ZONE)).date()
    days, crossings = [{}, {}], []
    for router, settings in SETTINGS.items():
        observer = truth.Observer(router, story.boundary_us, settings, QUOTA_BYTES)
        observer.read(entries)
        for day, rows in zip(days, observer.result()):
            day.update({(router, checker.display(name)): row for name, row in rows.items()})
        crossings += [((router, checker.display(one.name)), one) for one in observer.crossings]
    if [key for key, _ in crossings] != [("hq-core", "alice")]:
        raise Failure(f"the story was to have one breach, it had {crossings}")
    return checker.Story(SITE, [str(second - datetime.timedelta(days=1)), str(second)], days,
                         crossings, QUOTA_BYTES, story.killed == "notifier")


def read(story, days):
    """What the product says. The mails are read last: an alert too many has had time to come."""
    ledger = {day: readings.ledger_rows(story.ask("ranking", "--site", SITE, "--day", day))
              for day in days}
    documents = []
    for number, day in enumerate(days):
        report = story.ask("report", "now", "--render", "--site", SITE, "--day", day)
        (story.setup.folder / f"report-{day}.html").write_text(report["html"])
        documents.append(readings.Document(
            f"the report of {day}", days[max(number - 1, 0):number + 1],
            readings.csv_tables(report["csv"]), readings.pages_of(report["html"])))
    documents.append(mailed_report(story, days))
    breaches = wait_until("the breach to be known as handed over", lambda: handed_over(story), 20)
    return readings.Readings(ledger, documents, [
        readings.mail_of(message, recipients) for recipients, message in story.mails("noc@")],
        breaches)


def handed_over(story):
    records = readings.breach_records(story.ask("breaches"))
    return records if all(one.delivery == "handed_over" for one in records) else None


def mailed_report(story, days):
    """Has the report sent; what the mail holds."""
    before = len(story.mails("manager@"))
    story.setup.ctl("report", "now", "--site", SITE)
    _to, mail = wait_until("the report mail", lambda: story.mails("manager@")[before:], 30)[-1]
    parts = {part.get_content_type(): part for part in mail.walk()}
    missing = {"text/csv", "text/html", "text/plain"} - set(parts)
    if missing:
        raise Failure(f"the report mail {mail['subject']!r} has no {' and no '.join(missing)} part")
    say(f"the report mail: {mail['subject']}")
    return readings.Document("the mailed report", days,
                             readings.csv_tables(parts["text/csv"].get_content()),
                             readings.pages_of(parts["text/html"].get_content()))


def table(wanted, got):
    """Prints what moved unseen beside its bound."""
    print(f"\n{'subscriber':<32}{'day':<12}{'moved, not observable':>22}{'loss bound':>22}  grade")
    for day, rows in zip(wanted.days, wanted.expected):
        for key, row in sorted(rows.items()):
            said = got.ledger[day].get(key)
            if said is not None:
                print(f"{' '.join(key):<32}{day:<12}{f'{row.unseen[0]}/{row.unseen[1]}':>22}"
                      f"{f'{said.loss[0]}/{said.loss[1]}':>22}  {said.grade}")
    print(flush=True)
