"""Kinds of worlds beside the plain ones: what is configured, and who else reads the router.

A seed has the kinds that its number gives it; `scripts/oracle --world NAME` gives one to every seed.
"""

import random

from model import SECOND, Row, Snap

# Name -> what it is, in words for people.
KINDS = {
    "cuts": "days are cut into segments near the readings",
    "tree": "queue trees are read beside simple queues, and count by a mapping rule",
    "roots": "only queues without a parent count",
    "deep": "parents of parents: site, tower, floor",
    "twins": "the router stands under two entries, each read by a collector of its own",
    "one-identity": "two routers under two entries show one serial number",
    "clock": "the aggregator's own clock steps, by seconds, hours or 40 days, and back",
    "replies": "every reply passes the collector's reader as the router's bytes, with faults between",
}
# What nothing else is combined with.
ALONE = {"twins", "one-identity"}
# What may happen to a router that two collectors read: each leaves a sign whoever looks, and no name
# ends at another instant for the one than for the other.
TWIN_EVENTS = ("reboot", "redial", "recreate", "remove", "add", "limits", "new_session", "cut")


def kinds_of(seed, forced=None):
    """The kinds that a seed's world has."""
    rng = random.Random(f"kinds {seed}")
    found = set()
    if seed % 8 == 5 or seed % 16 == 11:
        found.add(rng.choice(sorted(set(KINDS) - {"replies"})))
        if rng.random() < 0.3:
            found.add(rng.choice(("cuts", "deep", "clock", "tree")))
    if seed % 10 == 7:
        found.add("replies")
    if forced in KINDS:
        found.add(forced)
    for kind in sorted(ALONE & found):
        return {kind} if forced not in KINDS or forced == kind else {forced}
    return found


class Kinds:
    """The part of a World that is there for its kinds. Chance is drawn from `extra`, so that a seed
    without kinds is what it would be if there were none."""

    def _kinds_setup_queues(self):
        self.residue = "roots" not in self.kinds
        self.account = "simple"
        if "deep" in self.kinds:
            self._deepen(self.extra)
        if "tree" in self.kinds:
            self._plant(self.extra)

    def _kinds_setup(self):
        extra = self.extra
        if "cuts" in self.kinds:
            self._cut(extra)
        if "clock" in self.kinds:
            self.themes = [t for t in self.themes if t != "stamp"] or ["reset"]
        if "twins" in self.kinds:
            self.themes = extra.sample(TWIN_EVENTS, 1 + extra.randrange(2))
            self.received_late = 0
            self.twin_poll = extra.choice((10, 30, 60)) * SECOND
            self.twin_next = self.now + extra.randrange(SECOND, 2 * self.twin_poll)
            self.twin_host = extra.choice(("host-1", "host-2"))

    def _deepen(self, extra):
        """A chain of parents above the leaves there are, or fewer of them in a small world."""
        leaves = [q for q in self.queues if q.row.name.startswith("q")]
        if not self.large:
            leaves = leaves[:2]
        chain = []
        for name in ("site", "tower", "floor")[:2 if len(leaves) > 1 and not self.large else 3]:
            chain.append(self._make(name, chain[-1].row.name if chain else "",
                                    extra.choice((0, 0, 100_000_000, 50_000_000))))
        for q in leaves:
            q.row.parent = extra.choice(chain[1:]).row.name
        self.queues = chain + leaves

    def _plant(self, extra):
        """Queue trees, one of which nobody counts, under a parent of their own or not."""
        self.account = extra.choice(("simple", "simple", "tree"))
        if not self.large:
            self.queues = self.queues[:2]
        top = extra.random() < 0.5
        for name in (["tall"] if top else []) + ["t0", "t1"][:1 + extra.randrange(2)]:
            self._to_tree(self._make(name, "tall" if top and name != "tall" else "",
                                     extra.choice((0, 0, 50_000_000, 5_000_000))))
        other = self._make("x0", "", 0)
        if self.account == "tree":
            self.queues.append(other)
        else:
            self._to_tree(other)

    def _to_tree(self, q):
        q.menu = "tree"
        row = q.row
        row.dynamic = False
        row.target = f"mark{row.id}"
        row.max_up = row.burst_up = row.up = 0
        self.queues.append(q)

    def _cut(self, extra):
        """Up to three cuts within some polls of the middle of the world."""
        near = self.now + 4 * self.poll
        for _ in range(1 + extra.randrange(3)):
            at = near + extra.randrange(-4 * self.poll, 8 * self.poll)
            local = self._local_seconds(at)
            if local != self.day_start and local not in self.cut_times:
                self.cut_times.append(local)
        self.cut_times.sort()

    def counts(self, name):
        """False for a queue that no rule names."""
        return not name.startswith("x")

    # --- truth of roots

    def _top(self, q):
        """The queue that its bytes count for."""
        if self.residue:
            return q
        for _ in range(5):
            parent = self._parent(q)
            if parent is None:
                break
            q = parent
        return q

    # --- the other entry

    def _twin_reply(self):
        """The router's counters now, as the collector of the other entry reads them."""
        self.twin_next = self.now + self.twin_poll
        begin = self.now
        host_boot = self.host_boot if self.twin_host == self.host else self.host_boot - 7777 * SECOND
        snap = Snap("r2", "simple", self.twin_host, begin - host_boot, begin - host_boot + 20_000,
                    900 + self.session, begin + 10_000, (begin - self.boot) // SECOND, "SN1", 7, False, 0,
                    0, False, begin + 20_000)
        snap.sampled = begin
        snap.rows = [_copy(q.row) for q in self.queues]
        self.twin_snaps.append(snap)


def _copy(r):
    return Row(r.id, r.name, r.target, r.parent, r.dynamic, r.max_up, r.max_down, r.burst_up,
               r.burst_down, r.up, r.down, r.packets)
