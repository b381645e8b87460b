"""Random worlds under virtual time: routers that move true bytes, and what a collector reads of them.

A world knows the truth: the bytes of every queue (of a parent: those that its children did not
move) per local day, from the first reply to the last. Everything follows from the seed.
"""

import random

from model import SECOND, Snap, attribution
from world_breaks import Breaks
from world_events import Events
from world_kinds import Kinds, kinds_of
from world_replies import Replies
from world_setup import Setup


# What happens between two replies; the others happen to a reply.
EVENTS_BETWEEN = (
    "reset", "reset_all", "reboot", "restore", "clone", "rename", "rename_target", "retarget", "reuse_id",
    "redial", "redial_same_id", "recreate", "remove", "add", "reparent", "limits", "host_pause",
    "host_reboot", "new_session", "dip")


class World(Setup, Kinds, Replies, Events, Breaks):
    """Generates itself; then `snaps`, `truth`, `edges`, `dates` and what was done are there.

    `kind`: a kind of world, or an event, that it is to have; `like`: another world whose site and
    time it shares, as another router."""

    def __init__(self, seed, attempt=0, broken=None, kind=None, like=None):
        self.seed = seed
        self.kind = kind
        self.like = like
        self.router = "r1" if like is None else "r2"
        self.kinds = kinds_of(seed, kind) if broken is None and like is None else set()
        self.attempt = attempt
        self.rng = random.Random(f"{seed}/{attempt}" if like is None else f"other {seed}/{attempt}")
        self.extra = random.Random(f"extra {seed}/{attempt}")
        large = self.large = seed % 4 == 3
        self.broken = broken
        self.snaps = []  # of the simple queues
        self.tree_snaps = []  # the same replies' queue trees, where there are any
        self.twin_snaps = []  # of the same router's other entry
        self.at = []
        self.happened = set()  # kinds of things that did happen
        self.truth = {}  # (name, index of the mark) -> [upload, download]
        self.log = []  # what happened, for people: (instant, words)
        self.breaks = []  # (snapshot after it, queue's name and .id, what): a counter did not just go on
        self.names = set()
        self.last_shown = {}
        self.turns = ["same"]  # per snapshot: what its router's counters did since the one before
        self.turn = "same"
        self._setup()
        self._run()

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
            if q.menu == "tree":
                got[0] = 0
            own = self._top(q).pending.setdefault(day, [0, 0])
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
        """Index of the mark that the time just before `until` follows, by the readings' stamps."""
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
        if not self.residue and (q.row.parent or q.shown_parent):
            q.pending = {}  # of a child at either end of the step nothing counts
        if not self.counts(name):
            q.pending = {}
        for day, got in q.pending.items():
            total = self.truth.setdefault((name, day), [0, 0])
            total[0] += got[0]
            total[1] += got[1]
        q.pending = {}

    def _end(self, q):
        self._tell(q, q.shown_name)
        self.queues.remove(q)

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
        for edge in self.marks:
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
        """From one reply to the next."""
        plan = self._plan()
        _, end, sampled, stamp, boundary, skew = plan
        happening = self._planned_events(rng, sampled)
        pauses = any(kind == "host_pause" for _, kind in happening)
        if pauses:
            # The pause moves the reply; it is not one for a boundary then.
            happening = [h for h in happening if h[1] == "host_pause"]
            self.cuts = [self.since if e <= self.at[-1] else max(e, self.since) for e in self.marks]
        else:
            probe = Snap("r1", "simple", self.host, 0, 0, 0, stamp, 0, "", 0, boundary, skew, 0, False,
                         end + self.received_late)
            self._day_cuts(attribution(probe, self.at[-1]), sampled, None)
        self.until = sampled
        for when, act in self._break_in_gap(self.since, sampled):
            self._pass(when)
            act()
        self._let_happen(rng, happening, sampled)
        if pauses:
            plan = self._after_pause(plan)
        self._pass(plan[2])
        if rng.random() < 0.1 and self.now - self.boot > 0:
            self.image = [q.copy() for q in self.queues]
            self.image_uptime = self.now - self.boot
        self._reply(plan)

    def _planned_events(self, rng, sampled):
        """(instant, kind) of what happens until the reply is read, in order."""
        kinds = [k for k in self.themes if k in EVENTS_BETWEEN and rng.random() < 0.35]
        happening = []
        if "twins" in self.kinds:
            # At most 40 in a long gap: then that entry was not read for a while either.
            step = max(self.twin_poll, (sampled - self.since) // 40)
            happening += [(at, "twin_reply") for at in range(
                max(self.twin_next, self.since + SECOND), sampled, step)]
            if len(self.snaps) > self.steps - 2:  # both entries end at the same counters
                kinds = []
                for q in self.queues:
                    q.mode = "idle"
        if kinds:
            kind = rng.choice(kinds)
            when = self.since + rng.randrange(1, max(2, sampled - self.since))
            if kind == "host_pause":
                when = self.since + 1 + rng.randrange(max(1, self.poll // 2))
            happening.append((when, kind))
        if "cron" in self.themes:
            happening += self._cron(sampled)
        return sorted(happening)

    def _cron(self, sampled):
        """Resets of all counters, each minute: the first three, and the last one before the reply,
        which is what shows."""
        while self.cron_at <= self.since:
            self.cron_at += 60 * SECOND
        at = self.cron_at
        found = []
        for _ in range(3):
            if at < sampled:
                found.append((at, "reset_all"))
                at += 60 * SECOND
        if at < sampled:
            at += (sampled - 1 - at) // (60 * SECOND) * 60 * SECOND
            found.append((at, "reset_all"))
        return found

    def _let_happen(self, rng, happening, sampled):
        for when, kind in happening:
            if kind == "reboot":
                # A boot within seconds of a day's edge is told to the wrong side: stated.
                for e in self.cuts:
                    if abs(when - e) < 15 * SECOND:
                        when = e + 15 * SECOND
                if when >= sampled - SECOND:
                    continue
            self._pass(when)
            if kind == "twin_reply":
                self._twin_reply()
                continue
            self._event(kind)
            for q in self.queues:
                q.mode = q.mode if rng.random() < 0.9 else rng.choice(("idle", "steady", "bursty",
                                                                      "full"))

    def _after_pause(self, plan):
        """The plan of a reply that a pause of the collector's host delayed."""
        begin, end, sampled = plan[:3]
        moved = max(0, self.now + SECOND - begin)
        begin, end, sampled = begin + moved, end + moved, sampled + moved
        stamp = begin + (end - begin) // 2
        if any(self.since < e <= end for e in self.marks):
            # Keep it simple: the stamp's day is the true one.
            for e in self.marks:
                if begin <= e <= end:
                    shift = e - begin + 1
                    begin, end, sampled, stamp = (x + shift for x in (begin, end, sampled, stamp))
        return begin, end, sampled, stamp, False, 0
