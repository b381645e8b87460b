"""The table of hard cases in docs/accounting.md: what is true, what we say, what others count.

Thirteen days of one queue, from one trace of traffic, and the small histories of the kinds F1 to F7.
Ours run through the real Book; the others are told the same readings (peers.py).
"""

import argparse
import datetime
import pathlib
import random
import sys
import tempfile

import driver_client
import real_peers
from model import SECOND, Row, Snap, command
from peers import PEERS

DAY = datetime.date(2026, 5, 12)
MIDNIGHT = int(datetime.datetime(2026, 5, 12, tzinfo=datetime.timezone.utc).timestamp())
HOUR = 3600
POLL = 60
OFFSET = 17  # seconds after the minute at which everybody polls
BEGIN, END = MIDNIGHT - 4 * HOUR, MIDNIGHT + 30 * HOUR
WINDOW = (MIDNIGHT, MIDNIGHT + 24 * HOUR)
GRADES = {1: "complete", 2: "estimated", 3: "bounded", 4: "partial"}
BEGIN_MARK = "<!-- hard cases: made by scripts/hard-cases -->"
END_MARK = "<!-- end of hard cases -->"
LIMIT = 100_000_000


def trace():
    """Bytes of every ten seconds from BEGIN to END: 172.6 GB on the day."""
    rng = random.Random("hard cases")
    parts = [rng.lognormvariate(0, 0.6) for _ in range((END - BEGIN) // 10)]
    first, last = (MIDNIGHT - BEGIN) // 10, (MIDNIGHT - BEGIN) // 10 + 8640
    scale = 172.6e9 / sum(parts[first:last])
    return [int(min(p * scale, LIMIT // 8 * 10)) for p in parts]


TRACE = trace()
SUMS = [0]
for part in TRACE:
    SUMS.append(SUMS[-1] + part)


def upto(t):
    """Bytes since BEGIN: within ten seconds they pass evenly."""
    i = min(int((t - BEGIN) // 10), len(TRACE) - 1)
    return SUMS[i] + int(TRACE[i] * (t - BEGIN - 10 * i) / 10)


def passed(begin, end):
    return upto(end) - upto(begin)


class Case:
    """One day of one queue. Subclasses by data: when it is read, boots, and what is shown."""

    def __init__(self, name, words, cuts=(), boots=(), start=10**10, first=BEGIN,
                 renamed=None, zero_at=None, two_collectors=False):
        self.name, self.words = name, words
        self.cuts, self.boots, self.start, self.first = cuts, boots, start, first
        self.renamed, self.zero_at, self.two_collectors = renamed, zero_at, two_collectors
        self.born = first if start is None else None

    def counter(self, t):
        since = max([b for b in self.boots if b <= t], default=None)
        if since is not None:
            return passed(since, t)
        if self.born is not None:
            return passed(self.born, t)
        return self.start + passed(BEGIN, t)

    def polls(self, boundaries):
        times = list(range(BEGIN - BEGIN % POLL + OFFSET, END, POLL))
        if boundaries:
            times += [MIDNIGHT, MIDNIGHT + 24 * HOUR]
        return sorted(t for t in times if BEGIN < t and not any(a <= t < b for a, b in self.cuts))

    def truth(self):
        begin = MIDNIGHT
        if self.start and self.first > BEGIN:  # in full use elsewhere before it stands here
            begin = max(begin, next(t for t in self.polls(True) if t >= self.first))
        if self.born is not None:
            begin = max(begin, self.born)
        return passed(begin, MIDNIGHT + 24 * HOUR)

    def name_at(self, t):
        return "bob" if self.renamed is not None and t >= self.renamed else "alice"

    def session(self, t):
        return (self.name_at(t), sum(1 for b in self.boots if b <= t))

    def readings(self):
        """For the others."""
        found = []
        for t in self.polls(False):
            if t < self.first:
                continue
            found.append((t, 0 if t == self.zero_at else self.counter(t), self.session(t)))
        if self.two_collectors:  # the second polls half a minute later; its clock is 40 s fast
            found += [(t + 70, self.counter(t + 30), s) for t, _, s in found]
            found.sort(key=lambda r: r[0])
        return found

    def script(self):
        lines = [f"site s UTC 0", "router r1 s simple 1000000000 60 residue",
                 f"rule simple (alice|bob) subscriber both apart", f"start {BEGIN * SECOND}"]
        for t in self.polls(True):
            rows = []
            if t >= self.first:
                up = 0 if t == self.zero_at else self.counter(t)
                rows = [Row(1, self.name_at(t), "10.0.0.1/32", max_up=LIMIT, max_down=LIMIT, down=up,
                            packets=up // 700 + (up > 0))]
            rows.append(Row(9, "idle", "10.0.0.9/32", max_up=LIMIT, max_down=LIMIT))
            boot = max([b for b in self.boots if b <= t], default=BEGIN - 30 * 24 * HOUR)
            # The second collector's own clock does not matter: stamps are the aggregator's time.
            second = self.two_collectors and (t // (4 * HOUR)) % 2 == 1
            at = t * SECOND
            boundary = t in (MIDNIGHT, MIDNIGHT + 24 * HOUR)
            snap = Snap("r1", "simple", "second" if second else "first", at, at + 50_000,
                        1 + sum(1 for b in self.boots if b <= t), at,
                        t - boot, "SN", 7, boundary, 50 if boundary else 0, 0, False,
                        at + 100_000, rows)
            lines += command(snap) + [f"deliver 1 {snap.received} 0"]
        return lines + [f"usage s r1 subscriber {DAY} {DAY}"]


def day(hours):
    return MIDNIGHT + int(hours * HOUR)


def back_at(share):
    """When the counter of s10 is nearly where it was at 06:00."""
    old = passed(day(5), day(6))
    return next(t for t in range(day(6) + 260, day(9), 60) if passed(day(6) + 200, t) > share * old)


CASES = (
    Case("s0", "nothing happens"),
    Case("s1", "reboot between two polls", boots=(day(15) + 40,)),
    Case("s2", "not read for 6 h, a reboot in it; the counter is higher than before",
         cuts=((day(6), day(12)),), boots=(day(4) + 20, day(6) + 200)),
    Case("s3", "not read for 5 h, two reboots in it", cuts=((day(6), day(11)),),
         boots=(day(7), day(9.5))),
    Case("s4", "not read 23:00 to 02:00", cuts=((day(-1), day(2)),)),
    Case("s5", "not read 20:00 to 06:00 of the next day", cuts=((day(20), day(30) - 600),),
         start=10**10),
    Case("s6", "first seen at noon with 500 GB on it", start=500 * 10**9, first=day(12)),
    Case("s7", "made at 09:00, 30 s before a poll", start=None, first=day(9) - 13),
    Case("s8", "renamed at noon, the counter goes on", renamed=day(12)),
    Case("s9", "not read for 2 h", cuts=((day(9), day(11)),)),
    Case("s10", "not read for 73 min, a reboot in it; the counter is back at 95 %",
         boots=(day(5) + 20, day(6) + 200), cuts=((day(6), back_at(0.95)),)),
    Case("s11", "one reply of zeros", zero_at=day(12) + OFFSET),
    Case("s12", "two collectors, one clock 40 s fast", two_collectors=True),
)


# --- the small histories


class Small:
    """A router read every 30 s; rows are (id, name, target, parent, limit, download)."""

    def __init__(self, name, words, steps, truth, who, line_rate=1_000_000_000, uptimes=None,
                 routers=("r1",), join=False):
        self.name, self.words, self.steps, self._truth, self.who = name, words, steps, truth, who
        self.line_rate, self.uptimes, self.routers, self.join = line_rate, uptimes, routers, join

    def truth(self):
        return self._truth

    def readings(self):
        found = []
        for k, rows in enumerate(self.steps):
            for id_, name, _, _, _, down in rows:
                if name == self.who or self.who == "all":
                    found.append((MIDNIGHT + HOUR + 30 * k, down, (id_, name)))
        if len(self.routers) > 1:
            return found  # the others are told of it twice: counted twice
        return found

    def script(self):
        begin = (MIDNIGHT + HOUR) * SECOND
        lines = ["site s UTC 0"]
        for r in self.routers:
            lines.append(f"router {r} s simple {self.line_rate} 30 residue")
        if self.join:
            lines.append("rule simple (.*) $1 both join")
        lines.append(f"start {begin}")
        for k, rows in enumerate(self.steps):
            at = begin + 30 * k * SECOND
            uptime = self.uptimes[k] if self.uptimes else 10**6 + 30 * k
            changed = self.uptimes and any(abs(b - a - 30) > 5 for a, b in zip(
                self.uptimes[:k + 1], self.uptimes[1:k + 1]))
            for i, r in enumerate(self.routers):
                shown = [Row(id_, name, target, parent, max_up=limit, max_down=limit, down=down,
                             packets=down // 700 + (down > 0))
                         for id_, name, target, parent, limit, down in rows]
                snap = Snap(r, "simple", "first", at + i * 1000, at + i * 1000 + 50_000,
                            2 if changed else 1, at + i * 1000, uptime, "SN", 7, False, 0, 0, True,
                            at + 100_000, shown)
                lines += command(snap) + [f"deliver 1 {snap.received} 0"]
        return lines + [f"usage s {'-' if self.join else 'r1'} {self.who} {DAY} {DAY}"]


def small_cases():
    mbit50 = 50_000_000
    step = 15_000_000  # 4 Mbit/s for 30 s
    found = []

    def alice(down, limit=mbit50, name="alice", target="10.0.0.1/32", id_=1, parent=""):
        return (id_, name, target, parent, limit, down)

    base = 30 * 10**9
    found.append(Small("F1", "one `set` changes name and target; the counter goes on at 30 GB",
                       [[alice(base + step * k)] for k in range(4)] +
                       [[alice(base + step * k, name="bob", target="10.1.0.1/32")]
                        for k in range(4, 8)], 4 * step, "bob"))
    high, low = 9 * 10**9, 8 * 10**9
    found.append(Small("F2", "yesterday's VM snapshot is brought back: uptime 7 d, then 6 d",
                       [[alice(high + step * k)] for k in range(4)] +
                       [[alice(low + step * k)] for k in range(1, 5)], 7 * step, "alice",
                       uptimes=[7 * 86400 + 30 * k for k in range(4)] +
                       [6 * 86400 + 30 * k for k in range(4)]))
    # Resets 7 s after every full minute; the traffic breathes a little.
    rng = random.Random("F3")
    rate = [500_000 + rng.randrange(-20_000, 20_000) for _ in range(480)]
    rows, counter, truth = [], 3 * 10**8, 0
    for second in range(481):
        if second % 30 == 0:
            rows.append([alice(counter), (2, "quiet", "10.0.0.2/32", "", mbit50, counter // 3)])
        if second % 60 == 7:
            counter = 0
        if second < 480:
            counter += rate[second]
            truth += rate[second]
    found.append(Small("F3", "another tool resets all counters each minute", rows, truth, "alice"))
    five = 5 * 10**9
    found.append(Small("F4", "the counter steps back by one byte and goes on",
                       [[alice(five)], [alice(five - 1)]] +
                       [[alice(five - 1 + step * k)] for k in range(1, 5)], 4 * step, "alice"))
    found.append(Small("F5", "one reply shows 10^15 bytes, then the old counter again",
                       [[alice(five + step * k, limit=0)] for k in range(3)] +
                       [[alice(10**15, limit=0)]] +
                       [[alice(five + step * k, limit=0)] for k in range(4, 8)], 7 * step, "alice"))
    parent = 10**9
    own, child = 120_000, 900_000
    rows = []
    for k in range(8):
        passed_child = child * k if k < 4 else child * (k - 4) + child // 2
        id_ = 2 if k < 4 else 3
        rows.append([(1, "tower", "10.0.0.0/24", "", mbit50, parent + (own + child) * k),
                     (id_, "dialled", "10.0.0.7/32", "tower", mbit50, passed_child)])
    found.append(Small("F6", "a dialled child logs on anew between two polls: its parent's own bytes",
                       rows, 7 * own, "tower"))
    found.append(Small("F7", "one device under two entries, joined",
                       [[alice(five + step * k)] for k in range(8)], 7 * step, "alice",
                       routers=("r1", "r2"), join=True))
    return found


# --- the table


def error(value, truth):
    if truth == 0:
        return f"{value / 1e6:+,.1f} MB" if abs(value) >= 50_000 else "0"
    percent = (value - truth) / truth * 100
    if abs(percent) < 0.005:
        return "0"
    return f"{percent:+,.2f} %" if abs(percent) < 1000 else f"{percent:+,.0f} %"


def amount(value, unit):
    return f"{value / unit:,.3f}"


def series_of(case):
    """What the others are told of: a series for each name the queue had."""
    readings = case.readings()
    if isinstance(case, Case):
        names = [who for who in ("alice", "bob") if any(r[2][0] == who for r in readings)]
        return [[r for r in readings if r[2][0] == who] for who in names]
    return [readings] * len(case.routers)


def line(case, answer):
    sure, counted, upper, grade = answer
    truth = case.truth()
    unit = 10**9 if isinstance(case, Case) else 10**6
    cells = [f"{case.name} {case.words}", amount(truth, unit), amount(sure[1], unit),
             amount(counted[1], unit), amount(upper[1] - counted[1], unit), GRADES[grade]]
    for _, count in PEERS:
        got = sum(count(readings, *WINDOW) for readings in series_of(case))
        cells.append(error(got, truth))
    inside = sure[1] <= truth <= upper[1]
    return "| " + " | ".join(cells) + " |", inside


def table(driver_path):
    cases = list(CASES) + small_cases()
    driver = driver_client.Driver(driver_path)
    answers = driver.run([case.script() for case in cases])
    driver.close()
    out = ["| case | truth | sure | counted | unseen at most | grade | "
           + " | ".join(name for name, _ in PEERS) + " |",
           "|---|---|---|---|---|---|" + "---|" * len(PEERS)]
    outside = []
    for case, lines in zip(cases, answers):
        for complaint in driver_client.complaints(lines):
            raise RuntimeError(f"{case.name}: {complaint}")
        text, inside = line(case, driver_client.usage(lines)[-1])
        out.append(text)
        if not inside:
            outside.append(case.name)
    return "\n".join(out) + "\n", outside


def against_real_peers():
    """Prints where a peer itself says something else than peers.py by 0.1 % of the truth."""
    absent = real_peers.missing()
    if absent:
        print(f"hard-cases: error: not installed here: {', '.join(absent)}. Install prometheus, "
              "victoria-metrics and rrdtool.", file=sys.stderr)
        return 1
    cases = list(CASES) + small_cases()
    series = [(case, readings) for case in cases for readings in series_of(case)]
    differing = 0
    rules = dict(PEERS)
    for name, ask in real_peers.REAL_PEERS:
        with tempfile.TemporaryDirectory() as folder:
            said = ask([readings for _, readings in series], *WINDOW, pathlib.Path(folder))
        for case in cases:
            real = sum(s for (c, _), s in zip(series, said) if c is case)
            ours = sum(rules[name](r, *WINDOW) for c, r in series if c is case)
            if abs(real - ours) > 0.001 * max(case.truth(), abs(real)):
                differing += 1
                print(f"{case.name}: {name} itself {error(real, case.truth())}, "
                      f"peers.py {error(ours, case.truth())}")
    print(f"{len(cases)} cases, {real_peers.versions()}: {differing} figures differ")
    return 1 if differing else 0


def page_with(text, rows):
    begin, end = text.index(BEGIN_MARK) + len(BEGIN_MARK), text.index(END_MARK)
    return text[:begin] + "\n" + rows + text[end:]


def main():
    parser = argparse.ArgumentParser(prog="scripts/hard-cases")
    parser.add_argument("--driver", required=True)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--against-peers", action="store_true")
    options = parser.parse_args()
    if options.against_peers:
        return against_real_peers()
    rows, outside = table(options.driver)
    page = pathlib.Path(__file__).resolve().parents[2] / "docs" / "accounting.md"
    text = page.read_text(encoding="utf-8")
    status = 0
    if options.write:
        page.write_text(page_with(text, rows), encoding="utf-8")
    elif options.check:
        if page_with(text, rows) != text:
            print("hard-cases: error: the table in docs/accounting.md is not what the Book says now: "
                  "run scripts/hard-cases --write", file=sys.stderr)
            status = 1
    else:
        print(rows, end="")
    if outside:
        print(f"hard-cases: error: the truth lies outside what is said of {', '.join(outside)}",
              file=sys.stderr)
        status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
