"""What a simulated router's truth log shows: the bytes that any poller could have counted.

Written from the log's format alone, without the product's code or rules. The log says which
snapshots were served and which event ended a counter's life; from one life to the next nothing is
guessed. Within one life a counter only grows, so what was observable of it is its last reading
minus where it stood when the router was first read (or zero, for a life that began later).
"""
import collections
import json

# Verbs of the log that end the life of the counters they name.
QUEUE_ENDS = {"reset_counters", "recreate", "remove"}
USER_ENDS = {"pppoe_reconnect", "pppoe_down", "pppoe_up"}
DYNAMIC = (b"<pppoe-", b"<l2tp-", b"<pptp-", b"<sstp-", b"<ovpn-", b"<hotspot-")


def subscriber_of(name):
    """The subscriber of a queue without mapping rules."""
    for prefix in DYNAMIC:
        if name.startswith(prefix) and name.endswith(b">"):
            return name[len(prefix):-1]
    return name


class Observer:
    """Reads the log of one router's simple queues and splits what was observable by local day."""

    def __init__(self, router, boundary_us, parents):
        self.router = router
        self.boundary_us = boundary_us
        self.parents = parents  # name of the parent: names of its children
        self.last = {}  # name: (up, down) as served last in the running life
        self.born_before_first = True
        self.day = 0
        self.closest = None  # the snapshot whose request came closest to the boundary
        self.snapshots = 0
        self.last_snapshot_us = 0
        # day: name: [up, down]
        self.observed = collections.defaultdict(lambda: collections.defaultdict(lambda: [0, 0]))
        self.moved = collections.defaultdict(lambda: [0, 0])
        self.boot = None

    def _counts(self, entry):
        return (entry["t"] == "snapshot" and entry.get("router") == self.router
                and entry["menu"] == "/queue/simple" and entry["complete"]
                and not entry["count_only"] and not entry["faults"])

    def find_boundary(self, entry):
        """First pass: which poll was the one asked for at the day's end. Clocks of two programs
        agree to some milliseconds only, so it is the closest one, a hair early or late."""
        if self._counts(entry):
            distance = abs(entry["begin_wall_us"] - self.boundary_us)
            if self.closest is None or distance < self.closest[0]:
                self.closest = (distance, entry["begin_wall_us"])

    def take(self, entry):
        if entry.get("router") != self.router:
            return
        kind = entry["t"]
        if kind == "event":
            self._event(entry)
        elif kind == "moved" and self.snapshots:
            for row in entry["rows"]:
                if row["menu"] == "simple":
                    moved = self.moved[bytes.fromhex(row["name"])]
                    moved[0] += row["up"]
                    moved[1] += row["down"]
        elif self._counts(entry):
            self._snapshot(entry)

    def _event(self, entry):
        arguments = entry["args"]
        if entry["do"] == "reboot":
            self.last = {name: (0, 0) for name in self.last}
        elif entry["do"] in QUEUE_ENDS:
            named = arguments.get("queue", "").encode() or bytes.fromhex(arguments.get("queue_hex", ""))
            for name in list(self.last):
                if not named or name == named:
                    self.last[name] = (0, 0)
        elif entry["do"] in USER_ENDS:
            user = arguments.get("user", "").encode() or bytes.fromhex(arguments.get("user_hex", ""))
            for name in list(self.last):
                if subscriber_of(name) == user:
                    self.last[name] = (0, 0)

    def _snapshot(self, entry):
        first = self.snapshots == 0
        self.snapshots += 1
        self.last_snapshot_us = entry["end_wall_us"]
        for _identifier, name_hex, up, down, _packets_up, _packets_down in entry["rows"]:
            name = bytes.fromhex(name_hex)
            if not first:
                before = self.last.get(name, (0, 0))
                assert up >= before[0] and down >= before[1], (
                    f"the log of {self.router} shows {name!r} falling within one life")
                observed = self.observed[self.day][name]
                observed[0] += up - before[0]
                observed[1] += down - before[1]
            self.last[name] = (up, down)
        # The poll asked for at the boundary ends the day; what comes after it is the next one's.
        if self.closest is not None and entry["begin_wall_us"] >= self.closest[1]:
            self.day = 1

    def _residues(self, table):
        """Takes what the children moved out of their parents."""
        for parent, children in self.parents.items():
            if parent in table:
                for child in children:
                    for half in (0, 1):
                        table[parent][half] -= table[child][half] if child in table else 0

    def result(self):
        """(observed by day and subscriber, moved by subscriber); both [upload, download]."""
        days = []
        for day in (0, 1):
            table = {name: list(pair) for name, pair in self.observed[day].items()}
            self._residues(table)
            days.append(_by_subscriber(table))
        # The log names the queue where bytes entered; parents are not repeated.
        return days, _by_subscriber(self.moved)


def _by_subscriber(table):
    sums = collections.defaultdict(lambda: [0, 0])
    for name, pair in table.items():
        total = sums[subscriber_of(name)]
        total[0] += pair[0]
        total[1] += pair[1]
    return dict(sums)


def read(path, observers):
    """Feeds a whole log to the observers, twice."""
    for step in ("find_boundary", "take"):
        with open(path, encoding="utf-8") as log:
            for line in log:
                entry = json.loads(line)
                for observer in observers:
                    getattr(observer, step)(entry)
