"""What a simulated router's truth log shows: the bytes that any poller could have counted, and how
sure of them it could have been.

Written from the log's format and the rules of docs/accounting.md, without the product's code. The
log says which snapshots were served and which event ended a counter's life; from one life to the
next nothing is guessed. Within one life a counter only grows, so what was observable of it is its
last reading minus where it stood when the router was first read (or zero, for a life that began
later); what it moved after its last reading was not observable.
"""
import collections
import dataclasses
import json

from processes import Failure

# A poll at most this long after the day's end is the one asked for there.
BOUNDARY_WINDOW_US = 5_000_000
# The collector's clock times a reading by the middle of its request, the log by the instant of the
# counters, and a busy machine comes between; it may ask for the uptime in another second, too.
SLACK_US = 1_000_000
UPTIME_SLACK_US = 1_000_000
# What docs/accounting.md adds to the time between two readings: a limit lets a bucket of ten
# seconds' bytes through at once, two readings lie at most three seconds from their stamps, and a
# limit may be exceeded by one part in fifty.
BUCKET_US = 10_000_000
STAMPS_US = 3_000_000
OVER_LIMIT_PERCENT = 102
# Verbs that change no counter's life.
HARMLESS = {"pause", "resume"}
DYNAMIC = (b"<pppoe-", b"<l2tp-", b"<pptp-", b"<sstp-", b"<ovpn-", b"<hotspot-")


def subscriber_of(name):
    """The subscriber of a queue without mapping rules."""
    for prefix in DYNAMIC:
        if name.startswith(prefix) and name.endswith(b">"):
            return name[len(prefix):-1]
    return name


def named(arguments, key):
    return arguments.get(key, "").encode() or bytes.fromhex(arguments.get(f"{key}_hex", ""))


@dataclasses.dataclass
class Settings:
    """What is configured for one router."""

    poll_us: int
    line_rate_bps: int
    limits_bps: dict = dataclasses.field(default_factory=dict)  # queue: (upload, download)
    parents: dict = dataclasses.field(default_factory=dict)  # name of the parent: its children's


@dataclasses.dataclass
class Expected:
    """One subscriber on one local day; pairs are [upload, download]."""

    seen: list = dataclasses.field(default_factory=lambda: [0, 0])
    unseen: list = dataclasses.field(default_factory=lambda: [0, 0])
    # The loss bound is within these.
    loss_least: list = dataclasses.field(default_factory=lambda: [0, 0])
    loss_most: list = dataclasses.field(default_factory=lambda: [0, 0])
    grades: set = dataclasses.field(default_factory=lambda: {"complete"})

    def has_row(self):
        """A queue that moved nothing and had no doubt all day has none."""
        return any(self.seen) or self.grades != {"complete"}


@dataclasses.dataclass
class Crossing:
    """The first snapshot of a day that showed a subscriber at its limit."""

    day: int
    name: bytes
    used: tuple


@dataclasses.dataclass
class Blind:
    """The end of a life that the next snapshot shows: blind since the last one."""

    unseen: list
    rebooted: bool = False
    # A row that changed its name kept its counters: the bytes are seen, their name is in doubt.
    renamed_only: bool = False


class Observer:
    """Reads the log of one router's simple queues: what was observable, by local day."""

    def __init__(self, router, boundary_us, settings, limit_bytes):
        self.router, self.boundary_us, self.settings = router, boundary_us, settings
        self.limit_bytes = limit_bytes  # of downloads in a day
        self.last = {}  # name: [up, down] as served last in the running life
        self.life = collections.defaultdict(lambda: [0, 0])  # name: moved in the running life
        self.blind = {}  # name: Blind that the next snapshot ends
        self.day = 0
        self.closest = None  # (distance, begin) of the snapshot that came closest to the boundary
        self.snapshots = 0
        self.last_begin_us = 0
        # day: name: [up, down]
        self.observed = [collections.defaultdict(lambda: [0, 0]) for _ in (0, 1)]
        # day: name: Expected without `seen`
        self.doubts = [collections.defaultdict(Expected) for _ in (0, 1)]
        self.crossings = []

    def read(self, entries):
        """Takes a whole log. A snapshot's record follows its reply; its counters are of the begin."""
        entries = [entry for entry in entries if entry.get("router") == self.router]
        for entry in entries:
            if self._counts(entry):
                # Clocks of two programs agree to some milliseconds only: a hair early or late.
                distance = abs(entry["begin_wall_us"] - self.boundary_us)
                if self.closest is None or distance < self.closest[0]:
                    self.closest = (distance, entry["begin_wall_us"])
        if self.closest is None or self.closest[0] > BOUNDARY_WINDOW_US:
            raise Failure(f"{self.router} was not read within "
                          f"{BOUNDARY_WINDOW_US // 1_000_000} s of the day's end")
        take = {"moved": self._moved, "event": self._event, "snapshot": self._snapshot}
        for entry in sorted(entries, key=lambda one: one.get("begin_boot_us", one.get("boot_us"))):
            if entry["t"] != "snapshot" or self._counts(entry):
                take[entry["t"]](entry)

    def _counts(self, entry):
        return (entry["t"] == "snapshot" and entry["menu"] == "/queue/simple"
                and entry["complete"] and not entry["count_only"] and not entry["faults"])

    def _moved(self, entry):
        for row in entry["rows"]:
            if row["menu"] == "simple":
                name = bytes.fromhex(row["name"])
                # The log names the queue where bytes entered; its parents count them too.
                for queue in [name] + [p for p, c in self.settings.parents.items() if name in c]:
                    self.life[queue][0] += row["up"] - row["uncounted_up"]
                    self.life[queue][1] += row["down"] - row["uncounted_down"]

    def _event(self, entry):
        verb, arguments = entry["do"], entry["args"]
        if verb == "reboot":
            for name in list(self.last):
                self._end(name, True)
        elif verb == "reset_counters":
            queue = named(arguments, "queue")
            for name in [n for n in self.last if not queue or n == queue]:
                self._end(name, False)
        elif verb == "pppoe_reconnect":
            user = named(arguments, "user")
            for name in [n for n in self.last if n != user and subscriber_of(n) == user]:
                self._end(name, False)
        elif verb == "rename":
            old, new = named(arguments, "queue"), named(arguments, "to")
            for table in (self.last, self.life, self.blind):
                if old in table:
                    table[new] = table.pop(old)
            # Which of the two names the bytes between two readings were under is not seen.
            for name in (old, new):
                self.blind.setdefault(name, Blind([0, 0], renamed_only=True))
        elif verb not in HARMLESS:
            raise Failure(f"the log of {self.router} has the event {verb}, which this checker "
                          "cannot judge: teach scripts/support/truth.py")

    def _end(self, name, rebooted):
        blind = self.blind.setdefault(name, Blind([0, 0]))
        blind.rebooted |= rebooted
        blind.renamed_only = False
        for half in (0, 1):
            blind.unseen[half] += self.life[name][half] - self.last[name][half]
        self.last[name], self.life[name] = [0, 0], [0, 0]

    def _snapshot(self, entry):
        first = self.snapshots == 0
        self.snapshots += 1
        for _identifier, name_hex, up, down, _packets_up, _packets_down in entry["rows"]:
            name = bytes.fromhex(name_hex)
            if not first:
                before = self.last.get(name, [0, 0])
                if up < before[0] or down < before[1]:
                    raise Failure(f"the log of {self.router} shows {name!r} falling in one life")
                self.observed[self.day][name][0] += up - before[0]
                self.observed[self.day][name][1] += down - before[1]
            self.last[name] = [up, down]
        for name, blind in self.blind.items():
            self._doubt(name, blind, entry)
        self.blind.clear()
        self.last_begin_us = entry["begin_wall_us"]
        self._cross()
        # The poll asked for at the boundary ends the day; what comes after it is the next one's.
        if entry["begin_wall_us"] >= self.closest[1]:
            self.day = 1

    def _doubt(self, name, blind, entry):
        """Blind from the last snapshot to this one, or to the boot that this one's uptime tells."""
        length = entry["begin_wall_us"] - self.last_begin_us
        slack = SLACK_US
        if blind.rebooted:
            length = max(length - entry["uptime_s"] * 1_000_000, 0)
            slack += UPTIME_SLACK_US
        least, most = max(length - slack, 0), length + slack
        doubt = self.doubts[self.day][name]
        for half in (0, 1):
            doubt.unseen[half] += blind.unseen[half]
            if not blind.renamed_only:
                # What was counted meanwhile is taken off: it is not unseen.
                counted = self.last.get(name, [0, 0])[half]
                doubt.loss_least[half] += max(
                    self._ceiling(name, half, least + BUCKET_US) - counted, 0)
            # The router's uptime, of whole seconds, may have run on by one more.
            doubt.loss_most[half] += self._ceiling(
                name, half, most + UPTIME_SLACK_US + STAMPS_US + BUCKET_US)
        usual = 2 * self.settings.poll_us + 5_000_000
        now = {"bounded"} if most <= usual else {"partial"} if least > usual else {
            "bounded", "partial"}
        doubt.grades = worst(doubt.grades, now)

    def _ceiling(self, name, half, time_us):
        """The bytes that a queue can move in a time, by its own limit or the line's."""
        rates = self.settings.limits_bps.get(name, (self.settings.line_rate_bps,) * 2)
        return rates[half] * time_us * OVER_LIMIT_PERCENT // 800_000_000

    def _cross(self):
        for name, (up, down) in self._subscribers(self.day).items():
            known = any(one.day == self.day and one.name == name for one in self.crossings)
            if down >= self.limit_bytes and not known:
                self.crossings.append(Crossing(self.day, name, (up, down)))

    def _subscribers(self, day):
        """{subscriber: [upload, download]} of a day, children taken out of their parents."""
        return _by_subscriber(self._without_children(self.observed[day]))

    def _without_children(self, table):
        residues = {name: list(pair) for name, pair in table.items()}
        for parent, children in self.settings.parents.items():
            for child in children:
                if parent in table and child in table:
                    for half in (0, 1):
                        residues[parent][half] -= table[child][half]
        return residues

    def result(self):
        """[{subscriber: Expected}] by day."""
        for name, moved in self.life.items():
            if self.last.get(name, [0, 0]) != moved:
                raise Failure(f"{name!r} on {self.router} moved bytes after the last reading: the "
                              "story ended too early")
        return [self._day(day) for day in (0, 1)]

    def _day(self, day):
        table = collections.defaultdict(Expected)
        for name, pair in self._subscribers(day).items():
            table[name].seen = list(pair)
        doubts = self.doubts[day]
        unseen = self._without_children({name: doubt.unseen for name, doubt in doubts.items()})
        for name, doubt in doubts.items():
            row = table[subscriber_of(name)]
            row.grades = worst(row.grades, doubt.grades)
            for half in (0, 1):
                row.unseen[half] += unseen[name][half]
                row.loss_least[half] += doubt.loss_least[half]
                row.loss_most[half] += doubt.loss_most[half]
        return dict(table)


def worst(one, other):
    """The grades possible for both together, given those possible for each."""
    order = ("complete", "bounded", "partial")
    return {max(a, b, key=order.index) for a in one for b in other}


def _by_subscriber(table):
    sums = collections.defaultdict(lambda: [0, 0])
    for name, pair in table.items():
        total = sums[subscriber_of(name)]
        total[0] += pair[0]
        total[1] += pair[1]
    return dict(sums)


def load(path):
    with open(path, encoding="utf-8") as log:
        return [json.loads(line) for line in log]
