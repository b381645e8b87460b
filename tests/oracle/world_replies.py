"""What a collector reads of a world's router, and what is wrong with it."""

import dataclasses

from model import SECOND, Row, Snap, attribution
from world_setup import HOUR


class Replies:
    """The part of a World that makes replies."""

    def _plan(self):
        """When the next reply is asked for, read and complete, and what its stamp says."""
        rng = self.rng
        gap = self.poll
        if "cut" in self.themes and rng.random() < 0.3:
            self.happened.add("cut")
            gap = rng.choice((rng.randrange(1, 40) * self.poll, rng.randrange(1, 30) * HOUR))
        gap *= self._break_gap_factor()
        gap = max(2 * SECOND, gap + rng.randrange(-SECOND, SECOND))
        begin = self.since_begin + gap
        edge = next((e for e in self.marks if self.since_end < e <= begin), None)
        boundary = False
        if edge is not None and self.boundaries and self.broken != "boot-at-midnight":
            begin = edge + rng.choice((0, 1000, 100_000))
            boundary = True
        begin = max(begin, self.since_end + 1000)
        length = rng.randrange(1000, 400_000)
        if "slow" in self.themes and rng.random() < 0.4:
            self.happened.add("slow")
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
            if max(wrong, self.at[-1]) not in self.marks:
                stamp = wrong
                self.happened.add("stamp")
        return begin, end, sampled, stamp, boundary, skew

    def _host_time(self, at):
        return at - self.host_boot - self.host_stopped

    def _reply(self, plan):
        begin, end, sampled, stamp, boundary, skew = plan
        rng = self.rng
        snap = Snap(self.router, "simple", self.host, self._host_time(begin), self._host_time(end),
                    self.session, stamp, (sampled - self.boot) // SECOND, "SN1", self.fingerprint,
                    boundary, skew, self.paused, self.decides, end + self.received_late)
        snap.sampled = sampled
        tree = dataclasses.replace(snap, menu="tree", rows=[], bad=set())
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
                    (snap if q.menu == "simple" else tree).bad.add(r.name)
            (snap if q.menu == "simple" else tree).rows.append(
                Row(r.id, r.name, r.target, r.parent, r.dynamic, r.max_up, r.max_down, r.burst_up,
                    r.burst_down, up, down, packets))
            q.shown = True
            q.changed_name = False
            q.shown_name = r.name
            self._tell(q, r.name)
            q.shown_parent = r.parent
        if lacking or snap.bad or tree.bad:
            self._note("reply lacks " + ",".join(q.row.name for q in lacking) + " bad " +
                       ",".join(sorted(snap.bad | tree.bad)))
        self.happened |= {"missing"} if lacking else set()
        self.at.append(attribution(snap, self.at[-1] if self.at else 0))
        self.snaps.append(snap)
        if "tree" in self.kinds:
            self.tree_snaps.append(tree)
        if not first:
            self.turns.append(self.turn)
        self.turn = "same"
        self.since, self.since_begin, self.since_end = sampled, begin, end

    def _bad_rows(self, first):
        """Queue -> the counters that this reply shows instead of the true ones."""
        rng = self.rng
        bad = {}
        able = [q for q in self.queues if q.shown or first]
        if not able:
            return bad
        if "zeros_all" in self.themes and rng.random() < 0.3:
            self.happened.add("zeros_all")
            bad = {q: (0, 0, 0) for q in able}
        for kind in ("zeros", "low", "spike"):
            if kind not in self.themes or rng.random() > 0.35:
                continue
            q = rng.choice(able)
            r = q.row
            self.happened.add(kind)
            if kind == "zeros":
                bad[q] = (0, 0, 0)
            elif kind == "low":
                bad[q] = (rng.randrange(r.up + 1), rng.randrange(r.down + 1),
                          rng.randrange(r.packets + 1))
            else:
                big = rng.choice((10**11, 10**13, 10**15))
                up = rng.randrange(big)
                bad[q] = (r.up + up if q.menu == "simple" else 0, r.down + big,
                          rng.choice((r.packets, r.packets + big // 700)))
        return bad
