"""Random worlds under virtual time: routers that move true bytes, and what a collector reads of them.

A world knows the truth: the bytes of every queue (of a parent: those that its children did not
move) per local day, from the first reply to the last. Everything follows from the seed.
"""

import datetime
import random
import zoneinfo

from model import SECOND, Row, Snap, attribution
from world_breaks import Breaks
from world_events import Events, Queue

ZONES = ("UTC", "Asia/Karachi", "Europe/Berlin", "America/New_York", "Asia/Kathmandu",
         "Africa/Cairo", "America/Havana", "Australia/Lord_Howe")
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
HOUR = 3600 * SECOND
# Instants near which something happens to a zone's days, and an ordinary one.
STARTS = ("2026-01-14", "2026-03-28", "2026-03-07", "2026-04-23", "2026-10-24", "2026-10-31",
          "2026-04-04")
EVENTS = ("reset", "reset_all", "cron", "reboot", "restore", "clone", "rename", "rename_target",
          "retarget", "reuse_id", "redial", "redial_same_id", "recreate", "remove", "add",
          "reparent", "limits", "host_pause", "host_reboot", "new_session", "zeros", "zeros_all",
          "low", "spike", "dip", "missing", "slow", "cut", "stamp")
_zones = {}


def zone(name):
    if name not in _zones:
        _zones[name] = zoneinfo.ZoneInfo(name)
    return _zones[name]


def instant(date, zone_name, day_start):
    local = datetime.datetime.combine(date, datetime.time()) + datetime.timedelta(seconds=day_start)
    aware = local.replace(tzinfo=zone(zone_name))
    delta = aware.astimezone(datetime.timezone.utc) - EPOCH
    return (delta.days * 86400 + delta.seconds) * SECOND


class World(Events, Breaks):
    """Generates itself; then `snaps`, `truth`, `edges`, `dates` and what was done are there."""

    def __init__(self, seed, attempt=0, broken=None):
        self.seed = seed
        self.attempt = attempt
        self.rng = random.Random(f"{seed}/{attempt}")
        large = self.large = seed % 4 == 3
        self.broken = broken
        self.snaps = []
        self.at = []
        self.truth = {}  # (name, index of the day) -> [upload, download]
        self.log = []  # what happened, for people: (instant, words)
        self.breaks = []  # (snapshot after it, queue's name and .id, what): a counter did not just go on
        self.names = set()
        self.last_shown = {}
        self._setup()
        self._run()

    # --- setting

    def _setup(self):
        rng = self.rng
        self.zone = rng.choice(ZONES)
        self.day_start = rng.choice((0, 0, 0, 4 * 3600))
        first = datetime.date.fromisoformat(rng.choice(STARTS))
        self.dates = [first + datetime.timedelta(days=i) for i in range(-2, 8)]
        self.edges = [instant(d, self.zone, self.day_start) for d in self.dates]
        middle = self.edges[2] if rng.random() < 0.75 else self.edges[2] + 11 * HOUR
        self.poll = rng.choice((30, 30, 30, 10, 60, 300)) * SECOND
        self.now = middle - rng.randrange(1, 6) * self.poll - rng.randrange(self.poll)
        self.host = "host-1"
        self.host_boot = self.now - rng.randrange(1, 10**6) * SECOND
        self.host_stopped = 0  # what its clock has missed
        self.paused = 0
        self.decides = rng.random() < 0.5
        self.session = 1
        self.line_rate = rng.choice((10_000_000_000, 1_000_000_000, 200_000_000))
        self.boot = self.now - rng.choice((rng.randrange(1, 200), rng.randrange(1, 10**7))) * SECOND
        self.fingerprint = 7
        self.received_late = rng.choice((0, 0, 0, 20 * SECOND))
        self.boundaries = rng.random() < 0.6
        self.next_id = 1
        count = rng.randrange(1, 4) if not self.large else rng.randrange(2, 9)
        has_parent = rng.random() < (0.6 if count > 1 or self.large else 0.3)
        self.queues = []
        if has_parent:
            self.queues.append(self._make("site", "", rng.choice((0, 100_000_000, 50_000_000))))
            if self.large and rng.random() < 0.5:
                self.queues.append(self._make("tower", "site", 0))
        for i in range(count):
            parent = ""
            if has_parent and rng.random() < 0.85:
                parent = self.queues[-1].row.name if self.queues[-1].row.name == "tower" else "site"
                if parent == "site" and len(self.queues) > 1 and self.queues[1].row.name == "tower":
                    parent = rng.choice(("site", "tower"))
            self.queues.append(self._make(f"q{i}", parent,
                                          rng.choice((0, 50_000_000, 10_000_000, 2_000_000))))
        for q in self.queues:
            old = rng.choice((0, rng.randrange(10**5), rng.randrange(10**9), rng.randrange(10**12)))
            if old:
                self._count(q, old // 9, old)
        self.image = [q.copy() for q in self.queues]
        self.image_uptime = max(0, (self.now - self.boot) // 2)
        themes = 1 + (rng.random() < 0.6) + (rng.random() < 0.3) + 2 * int(self.large)
        self.themes = rng.sample(EVENTS, themes)
        self._break_setup()
        self.cron_at = self.now + rng.randrange(60) * SECOND
        self.steps = 7 if not self.large else rng.randrange(12, 30)

    def _make(self, name, parent, limit):
        rng = self.rng
        row = Row(self.next_id, name, target=f"10.0.0.{self.next_id}/32", parent=parent,
                  dynamic=rng.random() < 0.3, max_up=limit // 4 * int(rng.random() < 0.9),
                  max_down=limit)
        if limit and rng.random() < 0.3:
            row.burst_down = limit * 2
        self.next_id += 1
        mode = rng.choice(("idle", "steady", "steady", "bursty", "full"))
        self.names.add(name)
        return Queue(row, mode)

    # --- traffic

    @staticmethod
    def _count(q, up, down):
        q.row.up += up
        q.row.down += down
        if up or down:
            q.row.packets += (up + down) // 700 + 1

    def _parent(self, q):
        if not q.row.parent:
            return None
        for p in self.queues:
            if p.row.name == q.row.parent:
                return p
        return None

    def _rate(self, q, way):
        """What may pass the queue by itself, in bit/s: its limits, its parents', its share."""
        rate = self.line_rate // (len(self.queues) + 1)
        at, share = q, 1
        for _ in range(5):
            if at is None:
                break
            most = (at.row.max_up, at.row.burst_up) if way == 0 else (at.row.max_down,
                                                                    at.row.burst_down)
            if most[0]:
                rate = min(rate, max(most) // share)
            share *= len(self.queues) + 1
            at = self._parent(at)
        # Children pass through it as well.
        if any(c.row.parent == q.row.name for c in self.queues):
            rate //= len(self.queues) + 1
        return rate

    def _move(self, until):
        """Traffic from now until then, all of it on one local day."""
        span = until - self.now
        if span <= 0:
            self.now = max(self.now, until)
            return
        day = self._day(until)
        rng = self.rng
        for q in self.queues:
            if q.mode == "idle":
                if rng.random() < 0.1:
                    q.row.packets += 1
                continue
            if q.mode == "bursty" and rng.random() < 0.5:
                continue
            share = {"steady": 0.2, "bursty": rng.random(), "full": 1.0}[q.mode]
            got = []
            for way in (0, 1):
                most = self._rate(q, way) * span // (8 * SECOND)
                got.append(int(most * share) if q.mode != "steady" else int(most * share * 0.5))
            if rng.random() < 0.1:
                got[0] = 0
            own = q.pending.setdefault(day, [0, 0])
            own[0] += got[0]
            own[1] += got[1]
            at = q
            for _ in range(5):
                if at is None:
                    break
                self._count(at, got[0], got[1])
                at = self._parent(at)
        self.now = until

    def _day(self, until):
        """Index of the day that holds the time just before `until`, by the readings' stamps."""
        day = 0
        for i, edge in enumerate(self.cuts):
            if until > edge:
                day = i
        return day

    def _pass(self, until):
        """Traffic until then, cut where a day ends."""
        for edge in self.cuts:
            if self.now < edge < until:
                self._move(edge)
        self._move(until)

    # --- truth

    def _tell(self, q, name):
        for day, got in q.pending.items():
            total = self.truth.setdefault((name, day), [0, 0])
            total[0] += got[0]
            total[1] += got[1]
        q.pending = {}

    def _end(self, q):
        self._tell(q, q.shown_name)
        self.queues.remove(q)

    # --- replies

    def _plan(self):
        """When the next reply is asked for, read and complete, and what its stamp says."""
        rng = self.rng
        gap = self.poll
        if "cut" in self.themes and rng.random() < 0.3:
            gap = rng.choice((rng.randrange(1, 40) * self.poll, rng.randrange(1, 30) * HOUR))
        gap *= self._break_gap_factor()
        gap = max(2 * SECOND, gap + rng.randrange(-SECOND, SECOND))
        begin = self.since_begin + gap
        edge = next((e for e in self.edges if self.since_end < e <= begin), None)
        boundary = False
        if edge is not None and self.boundaries and self.broken != "boot-at-midnight":
            begin = edge + rng.choice((0, 1000, 100_000))
            boundary = True
        begin = max(begin, self.since_end + 1000)
        length = rng.randrange(1000, 400_000)
        if "slow" in self.themes and rng.random() < 0.4:
            length = rng.randrange(SECOND, 20 * SECOND)
        end = begin + length
        sampled = begin + (length // 2 if length < SECOND else rng.choice((0, length // 2, length)))
        stamp = begin + length // 2
        skew = 0
        if boundary and end <= edge + 5 * SECOND:
            stamp, skew = edge, (end - edge) // 1000
        else:
            boundary = False
        if "stamp" in self.themes and not boundary and rng.random() < 0.3:
            wrong = stamp + rng.choice((-1, 1)) * rng.choice((rng.randrange(SECOND, 60 * SECOND),
                                                              rng.randrange(2 * HOUR)))
            # Two readings with the very stamp of a day's edge could lie on either side of it.
            if max(wrong, self.at[-1]) not in self.edges:
                stamp = wrong
        return begin, end, sampled, stamp, boundary, skew

    def _host_time(self, at):
        return at - self.host_boot - self.host_stopped

    def _reply(self, plan):
        begin, end, sampled, stamp, boundary, skew = plan
        rng = self.rng
        snap = Snap("r1", "simple", self.host, self._host_time(begin), self._host_time(end),
                    self.session, stamp, (sampled - self.boot) // SECOND, "SN1", self.fingerprint,
                    boundary, skew, self.paused, self.decides, end + self.received_late)
        snap.sampled = sampled
        first = not self.snaps
        lacking = set()
        if "missing" in self.themes and rng.random() < 0.35:
            able = [q for q in self.queues if not q.changed_name and (q.shown or first) and (
                q.missed == 0 or not q.row.parent and q.run == self.boot
                and len(self.snaps) < self.steps)]
            lacking = set(rng.sample(able, min(len(able), rng.randrange(1, 3))))
        bad = self._bad_rows(first)
        for q in self.queues:
            if q in lacking or self._break_lacks(q):
                if first:
                    q.shown_name = q.row.name
                q.missed += 1
                continue
            q.missed = 0
            q.run = self.boot
            r = q.row
            up, down, packets = r.up, r.down, r.packets
            shown = bad.get(q) or self._break_reply(q)
            self.last_shown[q] = (up, down, packets)
            if shown:
                up, down, packets = shown
                if (up, down, packets) != (r.up, r.down, r.packets):
                    snap.bad.add(r.name)
            snap.rows.append(Row(r.id, r.name, r.target, r.parent, r.dynamic, r.max_up, r.max_down,
                                 r.burst_up, r.burst_down, up, down, packets))
            q.shown = True
            q.changed_name = False
            q.shown_name = r.name
            self._tell(q, r.name)
        if lacking or snap.bad:
            self._note("reply lacks " + ",".join(q.row.name for q in lacking) + " bad " +
                       ",".join(sorted(snap.bad)))
        self.at.append(attribution(snap, self.at[-1] if self.at else 0))
        self.snaps.append(snap)
        self.since, self.since_begin, self.since_end = sampled, begin, end

    def _bad_rows(self, first):
        """Queue -> the counters that this reply shows instead of the true ones."""
        rng = self.rng
        bad = {}
        able = [q for q in self.queues if q.shown or first]
        if not able:
            return bad
        if "zeros_all" in self.themes and rng.random() < 0.3:
            bad = {q: (0, 0, 0) for q in able}
        for kind in ("zeros", "low", "spike"):
            if kind not in self.themes or rng.random() > 0.35:
                continue
            q = rng.choice(able)
            r = q.row
            if kind == "zeros":
                bad[q] = (0, 0, 0)
            elif kind == "low":
                bad[q] = (rng.randrange(r.up + 1), rng.randrange(r.down + 1),
                          rng.randrange(r.packets + 1))
            else:
                big = rng.choice((10**11, 10**13, 10**15))
                bad[q] = (r.up + rng.randrange(big), r.down + big,
                          rng.choice((r.packets, r.packets + big // 700)))
        return bad

    # --- the run

    def _run(self):
        rng = self.rng
        self.cuts = []
        self.since_begin = self.since_end = self.since = self.now
        begin = self.now
        self._day_cuts(None, None, None)
        for q in self.queues:
            q.shown = False
        self._reply((begin, begin + 50_000, begin + 25_000, begin + 25_000, False, 0))
        self.now = self.snaps[0].sampled
        for _ in range(self.steps):
            self._gap(rng)
        for q in list(self.queues):
            if q.shown:
                self._tell(q, q.shown_name)

    def _day_cuts(self, plan_at, plan_sampled, _):
        """Where in true time the local days end, as the readings' stamps tell it."""
        cuts = []
        for edge in self.edges:
            if plan_at is None:
                cuts.append(edge)
            elif edge <= self.at[-1]:
                # Two readings with the very stamp of the edge: both belong to the day that ends.
                both = edge == self.at[-1] and plan_at == edge
                cuts.append(plan_sampled if both else min(edge, self.since))
            elif edge < plan_at:
                cuts.append(min(max(edge, self.since), plan_sampled))
            else:
                cuts.append(max(edge, plan_sampled))
        self.cuts = cuts

    def _gap(self, rng):
        plan = self._plan()
        begin, end, sampled, stamp, boundary, skew = plan
        kinds = [k for k in self.themes if k in (
            "reset", "reset_all", "reboot", "restore", "clone", "rename", "rename_target", "retarget",
            "reuse_id", "redial", "redial_same_id", "recreate", "remove", "add", "reparent", "limits",
            "host_pause", "host_reboot", "new_session", "dip") and rng.random() < 0.35]
        happening = []
        if kinds:
            kind = rng.choice(kinds)
            when = self.since + rng.randrange(1, max(2, sampled - self.since))
            if kind == "host_pause":
                when = self.since + 1 + rng.randrange(max(1, self.poll // 2))
            happening.append((when, kind))
        if "cron" in self.themes:
            while self.cron_at <= self.since:
                self.cron_at += 60 * SECOND
            at = self.cron_at
            for _ in range(3):
                if at < sampled:
                    happening.append((at, "reset_all"))
                    at += 60 * SECOND
            if at < sampled:  # the last one before the reply is what shows
                at += (sampled - 1 - at) // (60 * SECOND) * 60 * SECOND
                happening.append((at, "reset_all"))
        happening.sort()
        pauses = any(k == "host_pause" for _, k in happening)
        probe = Snap("r1", "simple", self.host, 0, 0, 0, stamp, 0, "", 0, boundary, skew, 0, False,
                     end + self.received_late)
        if pauses:
            # The pause moves the reply; it is not one for a boundary then.
            happening = [h for h in happening if h[1] == "host_pause"]
            self._day_cuts(self.at[-1], self.since, None)
            self.cuts = [max(e, self.since) for e in self.edges]
        else:
            self._day_cuts(attribution(probe, self.at[-1]), sampled, None)
        self.until = sampled
        for when, act in self._break_in_gap(self.since, sampled):
            self._pass(when)
            act()
        for when, kind in happening:
            if kind == "reboot":
                # A boot within seconds of a day's edge is told to the wrong side: stated.
                for e in self.cuts:
                    if abs(when - e) < 15 * SECOND:
                        when = e + 15 * SECOND
                if when >= sampled - SECOND:
                    continue
            self._pass(when)
            self._event(kind)
            for q in self.queues:
                q.mode = q.mode if rng.random() < 0.9 else rng.choice(("idle", "steady", "bursty",
                                                                      "full"))
        if pauses:
            moved = max(0, self.now + SECOND - begin)
            begin, end, sampled = begin + moved, end + moved, sampled + moved
            stamp, boundary, skew = begin + (end - begin) // 2, False, 0
            if any(self.since < e <= end for e in self.edges):
                # Keep it simple: the stamp's day is the true one.
                for e in self.edges:
                    if begin <= e <= end:
                        shift = e - begin + 1
                        begin, end, sampled, stamp = (x + shift for x in (begin, end, sampled, stamp))
            plan = (begin, end, sampled, stamp, boundary, skew)
        self._pass(sampled)
        if rng.random() < 0.1 and self.now - self.boot > 0:
            self.image = [q.copy() for q in self.queues]
            self.image_uptime = self.now - self.boot
        self._reply(plan)
