"""Worlds that break one stated assumption each: nobody could know the truth of them, and the oracle
must say that the product does not."""

from model import SECOND

# Name -> what it breaks, in words for people.
BREAKS = {
    "silent-reset": "a reset that overtakes every witness between two readings looks like traffic",
    "limit-restored": "a limit that was raised and restored between two readings cannot be seen",
    "limit-before-gone": "a limit or parent that changed after a queue's last reading cannot be seen",
    "two-bad": "two bad readings in a row never go on from one another",
    "spike-below": "a bad reading above the truth is beyond what the row's limit lets pass",
    "missing-twice": "a row that has never been read is not missing from two replies in a row",
    "young-image": "a restored image is older than the time since the last reading",
    "stale": "a reply shows the counters of its own time",
    "boot-at-midnight": "a router does not boot within a second of a day's edge",
    "first-bad": "the first reading of a row is not bad, unless it is zeros below a full counter",
}


class Breaks:
    """The part of a World that does what the stated assumptions rule out."""

    def _break_setup(self):
        """Changes the setting so that the break shows."""
        if self.broken is None:
            return
        self.themes = []
        for q in self.queues:
            q.mode = "full"
        if self.broken in ("silent-reset", "spike-below"):
            for q in self.queues:
                q.row.up = q.row.down = q.row.packets = 0
        if self.broken in ("limit-restored", "limit-before-gone"):
            self.queues = [q for q in self.queues if not q.row.parent][:1]
            row = self.queues[0].row
            row.max_up, row.max_down, row.burst_up, row.burst_down = 1_000_000, 2_000_000, 0, 0

    def _break_gap_factor(self):
        """Gaps that grow: what passes in one is more than all that the counter showed before."""
        return len(self.snaps) + 1 if self.broken == "silent-reset" else 1

    def _break_in_gap(self, begin, sampled):
        """Events of the gap: (instant, what to do)."""
        k = len(self.snaps)
        if self.broken == "silent-reset" and k >= 2:
            return [(begin + 1, lambda: self._for_leaves(self._zero))]
        if self.broken == "limit-restored" and k == self.steps:
            return [(begin + SECOND, lambda: self._scale_limits(20)),
                    (max(begin + 2 * SECOND, sampled - SECOND), lambda: self._scale_limits(1 / 20))]
        if self.broken == "limit-before-gone" and k == self.steps:
            return [(begin + SECOND, lambda: self._scale_limits(20)),
                    (max(begin + 2 * SECOND, sampled - SECOND),
                     lambda: [self._end(q) for q in list(self.queues)])]
        if self.broken == "young-image" and k == 3 and sampled - begin > 8 * SECOND:
            return [(sampled - 2 * SECOND, self._young_image)]
        if self.broken == "boot-at-midnight":
            for edge in self.cuts:
                if begin < edge - SECOND // 2 and edge + 3 * SECOND < sampled:
                    return [(edge - SECOND * 3 // 4, lambda: self._event("reboot"))]
        return []

    def _for_leaves(self, act):
        for q in self.queues:
            if not any(c.row.parent == q.row.name for c in self.queues):
                act(q)

    def _scale_limits(self, by):
        for q in self.queues:
            q.row.max_up = int(q.row.max_up * by)
            q.row.max_down = int(q.row.max_down * by)

    def _young_image(self):
        self.boot = self.now - 3 * SECOND
        self.session += 1
        for q in self.queues:
            q.row.up //= 2
            q.row.down //= 2
            q.row.packets //= 2

    def _break_reply(self, queue):
        """Counters that this reply shows of the row instead of its own, or None."""
        k = len(self.snaps)
        r = queue.row
        if self.broken == "two-bad" and k in (3, 4):
            self.garbage = getattr(self, "garbage", {})
            g = self.garbage.setdefault(queue, (r.up // 3, r.down // 3, r.packets // 3))
            return tuple(x + (k - 3) for x in g)
        if self.broken == "spike-below" and k == 3:
            return (r.up * 5 // 4 + 1, r.down * 5 // 4 + 1, r.packets * 2)
        if self.broken == "stale" and k == self.steps:
            return self.last_shown.get(queue)
        if self.broken == "first-bad" and k == 0:
            return (r.up // 3, r.down // 3, r.packets // 3)
        return None

    def _break_lacks(self, queue):
        return self.broken == "missing-twice" and len(self.snaps) < 2 and queue is self.queues[-1]
