"""What can be known from readings alone, found by trying every explanation.

A second implementation of docs/accounting.md that shares no code with the first and works in
another way: nothing is kept up to date, every dispute is judged by listing all its paths anew. It
never sees the truth. Amounts are (upload, download) pairs.
"""

from disputes import Disputes
from evidence_steps import (ANEW, AWAY_US, BAD, BAD_BASE, BASELINE, NONE, ON, SAME, SECOND, TIMELINE,
                            TOMBSTONE_US, Delta, Life, Path, all_zero, fell, less)
from residues import Residues


class Menu(Disputes, Residues):
    """One menu of one router, reading after reading."""

    def __init__(self, line_rate, residue=True):
        super().__init__(line_rate)
        self.residue = residue
        self.live = {}  # (id, name) -> Life
        self.stones = {}  # the same, vanished
        self.deltas = []
        self.replies = 0  # complete ones of this timeline and these settings
        # What was judged, for the caller's check of the stated assumptions: (name, name before, from
        # snapshot, to snapshot, went on without a sign, base doubted, new base doubted).
        self.judged = []
        self.ceiling_exceeded = False
        self.frozen_first = -1  # the snapshot at which all disputes were ended before it was judged
        self.reset_now = 0  # disputes of this snapshot that ended with a reset counted

    # --- a snapshot

    def take(self, snap):
        k = len(self.snaps)
        self.at.append(self._attribute(snap))
        self.snaps.append(snap)
        self.by_name.append({r.name: r for r in snap.rows})
        if k == 0:
            for row in snap.rows:
                self._baseline(k, row)
            self.replies = 1
            self._link(k)
            self._settle_parents(k, {})
            return
        t = self.times(k - 1, k)
        s = t.explanations
        if snap.fingerprint != self.snaps[k - 1].fingerprint:
            self.replies = 0
        parents_before = {life: life.parent for life in self.live.values()}
        above_zero = sum(1 for life in self.live.values() if life.readings[-1][1].up
                         or life.readings[-1][1].down)
        self.reset_now = 0
        restarted = s == {"restart"}
        self.frozen_first = k if s != SAME else -1
        if restarted or "same" not in s:
            self.replies = 0
        matched, new = self._match(k, across=restarted)
        gone = [key for key, life in self.live.items() if life not in matched]
        for key in gone:
            self._vanish(key, k)
        if "same" in s and s != SAME:
            for life in self.stones.values():
                life.unconfirmed = True
        for life, (row, how) in matched.items():
            self._matched(life, k, row, how, s)
        for row in new:
            self._appear(k, row, s)
        self.live = {}
        for life, (row, _) in matched.items():
            self.live[(row.id, row.name)] = life
        for life in self._born:
            row = life.readings[-1][1]
            self.live[(row.id, row.name)] = life
        if self.reset_now * 2 > above_zero and self.reset_now:
            self.resets_together.append(self.at[k])
        self.replies += 1
        # What a row that replies lack may move is in its parent's counter.
        for life in self.stones.values():
            if life.vanished < k and self.at[k] - self.at[life.vanished] <= AWAY_US:
                c = self._alone(k - 1, k, life.readings[0][1])
                life.items.append(("away", True, Delta(life, k - 1, self.at[k - 1], self.at[k], NONE,
                                                       NONE, c, NONE, ["away"]), k))
        self._link(k)
        self._settle_parents(k, parents_before)
        for key in [key for key, life in self.stones.items()
                    if "same" not in s or self.at[k] - self.at[life.vanished] > TOMBSTONE_US or
                    any(r.id == key[0] for r in snap.rows)]:
            del self.stones[key]

    def _match(self, k, across):
        """Lives that the snapshot's rows go on with, and how; and rows without one."""
        self._born = []
        self._held = {id_ for (id_, _), life in self.live.items()
                      if life.disputed() and not life.readings[-1][1].dynamic}
        rows = list(self.snaps[k].rows)
        matched = {}
        if not across:
            for row in list(rows):
                life = self.live.get((row.id, row.name))
                if life is not None:
                    matched[life] = (row, "goes on")
                    rows.remove(row)
            for row in list(rows):
                for (id_, _), life in self.live.items():
                    old = life.readings[-1][1]
                    if (id_ == row.id and life not in matched and not old.dynamic and not row.dynamic
                            and not life.disputed()):
                        matched[life] = (row, "renamed")
                        rows.remove(row)
                        break
        for row in list(rows):
            for (_, name), life in self.live.items():
                if name == row.name and life not in matched:
                    matched[life] = (row, "goes on" if across else "recreated")
                    rows.remove(row)
                    break
        return matched, rows

    def _vanish(self, key, k):
        life = self.live[key]
        self._freeze(life)
        row = life.readings[0][1]
        c = self._alone(k - 1, k, row)
        self._deliver(Delta(life, k - 1, self.at[k - 1], self.at[k], NONE, NONE, c, NONE,
                            ["vanished"]), k)
        life.vanished = k
        life.gone = True
        self.stones[key] = life

    def _alone(self, i, k, row):
        """C of a row that only one of the snapshots shows."""
        return self.most(i, k, [row])

    def _matched(self, life, k, row, how, s):
        reading = (k, row)
        if how == "goes on" and s == SAME:
            self._read(life, k, row)
            return
        self._freeze(life)
        base = life.readings[0]
        rows = [base[1], row]
        doubted = life.unconfirmed
        if how == "recreated":
            life.name = row.name
            if "same" in s:
                found = self._anew(base[0], k, rows)
                found += self._explain(base, reading, rows, s - {"same"}, life.rate)
                self._take(life, reading, found)
                return
        if how == "renamed" and "same" in s:
            self._rename(life, k, row, s)
            return
        if how == "renamed":  # another timeline, in which it has another name
            self._deliver_alone(Life(life.name), base[0], k, self.most(base[0], k, rows))
            life.name = row.name
        found = self._explain(base, reading, rows, s, life.rate)
        if doubted and "same" in s:
            found.append((BAD_BASE, NONE, self.most(base[0], k, rows), 8))
        # Nothing may be a bad reply's.
        unsure = s == {"timeline"} and all_zero(row)
        if s != {"restart"} and s != {"timeline"} and self._doubtful(base, reading, rows):
            found.append((BAD, NONE, self.most(base[0], k, rows), 6))
            unsure = True
        if not found:
            found = [(BASELINE, NONE, self.most(base[0], k, rows), 8)]
        if s == {"restart"} and found[0][1] == (row.up, row.down):
            self._restarted(life, k, row, found[0])
            return
        # Nothing after nothing settles nothing.
        self._take(life, reading, found, unconfirmed=unsure or doubted and all_zero(row))

    def _restarted(self, life, k, row, step):
        """Bytes since the boot, and what can have passed before it, over their own times."""
        base = life.readings[0]
        at0, at1 = self.at[base[0]], self.at[k]
        boot = min(max(at1 - self.times(base[0], k).uptime_us, at0), at1)
        now = step[1]
        self._deliver(Delta(life, base[0], boot, at1, now, now, now, now, ["restart"]), k)
        self._deliver(Delta(life, base[0], at0, boot, NONE, NONE, step[2], NONE,
                            ["before the boot"]), k)
        self.judged.append((life.name, base[1].name, base[0], k, False, True, False))
        self._rebase(life, (k, row), unconfirmed=False)

    def _anew(self, i, k, rows):
        c = self.most(i, k, rows)
        n = (rows[-1].up, rows[-1].down)
        if n[0] <= c[0] and n[1] <= c[1]:
            return [(ANEW, n, less(c, n), 7)]
        return [(BASELINE, NONE, c, 8)]

    def _rename(self, life, k, row, s):
        base = life.readings[0]
        reading = (k, row)
        rows = [base[1], row]
        c = self.most(base[0], k, rows)
        old_name = life.name
        did_fall = fell(base[1], row)
        moved = (row.up - base[1].up, row.down - base[1].down)
        on = not did_fall and moved[0] <= c[0] and moved[1] <= c[1]
        anew = self._anew(base[0], k, rows)
        if on:
            found = [(ON, moved, NONE, 4)]
            if anew[0][0] == ANEW:
                found += anew
        else:
            found = anew + [(BAD, NONE, c, 9)]
        found += self._explain(base, reading, rows, s - {"same"}, life.rate)
        if life.unconfirmed:
            found.append((BAD_BASE, NONE, c, 8))
        if not on or anew[0][0] == ANEW or "timeline" in s:
            ghost = Life(old_name)
            self._deliver_alone(ghost, base[0], k, c)
        life.name = row.name
        self._take(life, reading, found, unconfirmed=not on)

    def _deliver_alone(self, ghost, i, k, c):
        self.deltas.append(Delta(ghost, i, self.at[i], self.at[k], NONE, NONE, c, NONE,
                                 ["its name went on to another"]))

    def _baseline(self, k, row):
        life = Life(row.name)
        life.readings = [(k, row)]
        life.since = self.at[k]
        life.since_index = k
        self.live[(row.id, row.name)] = life
        return life

    def _appear(self, k, row, s):
        stone = self.stones.pop((row.id, row.name), None) if "same" in s else None
        if stone is not None:
            stone.gone = stone.held = False
            self._return(stone, k, row, s)
            self._born.append(stone)
            return
        life = Life(row.name)
        life.readings = [(k, row)]
        life.since = self.at[k - 1]
        life.since_index = k - 1
        self._born.append(life)
        n = (row.up, row.down)
        c = self._alone(k - 1, k, row)
        if s == {"restart"}:
            t = self.times(k - 1, k)
            lived = self.most(k - 1, k, [row], min(t.reach, t.uptime_us + SECOND + t.request))
            if n[0] <= lived[0] and n[1] <= lived[1]:
                at0, at1 = self.at[k - 1], self.at[k]
                boot = min(max(at1 - t.uptime_us, at0), at1)
                before = self.most(k - 1, k, [row], max(0, t.reach - t.uptime_us))
                self._deliver(Delta(life, k - 1, boot, at1, n, n, n, n, ["appeared, restart"]), k)
                self._deliver(Delta(life, k - 1, at0, boot, NONE, NONE, before, NONE,
                                    ["before the boot"]), k)
            else:
                self._deliver(Delta(life, k - 1, self.at[k - 1], self.at[k], NONE, NONE, c, NONE,
                                    ["refused"]), k)
            life.first = False
            return
        found = []
        if "same" in s and self.replies > 0:
            fits = n[0] <= c[0] and n[1] <= c[1]
            if fits:
                found.append((ANEW, n, less(c, n), 7))
            if self.replies == 1 or not fits or (row.id in self._held and not row.dynamic):
                found.append((BASELINE, NONE, c, 8))
        elif "same" in s:
            found.append((BASELINE, NONE, NONE, 8))
        if "restart" in s:
            found.append((ANEW, n, less(c, n), 5))
        if "timeline" in s:
            found.append((TIMELINE, NONE, c, 8))
        life.first = any(f[0] != ANEW for f in found)
        # It may be the disputed row under a new name, and this the reading of a bad reply.
        life.unconfirmed = "same" in s and row.id in self._held and not row.dynamic
        paths = [Path(got, unseen, rank, 0, rank, 0, (f"{word}@{k}",))
                 for word, got, unseen, rank in found]
        self._emit(life, k - 1, k, paths)

    def _return(self, life, k, row, s):
        base = life.readings[0]
        rows = [base[1], row]
        c = self.most(base[0], k, rows)
        moved = (row.up - base[1].up, row.down - base[1].down)
        found = []
        did_fall = fell(base[1], row)
        on = not did_fall and moved[0] <= c[0] and moved[1] <= c[1]
        if on:
            found.append((ON, moved, NONE, 4))
        since = self._alone(k - 1, k, row)
        n = (row.up, row.down)
        if n[0] <= since[0] and n[1] <= since[1]:
            found.append((ANEW, n, less(since, n), 7))
        if did_fall:
            found.append((BAD, NONE, c, 9))
        if life.unconfirmed:
            found.append((BAD_BASE, NONE, c, 8))
        elif life.first and all_zero(base[1]) and not on and not did_fall:
            found.append((BAD_BASE, NONE, c, 6))
        found += self._explain(base, (k, row), rows, s - {"same"}, life.rate)
        if not found:
            found.append((BASELINE, NONE, c, 8))
        self._take(life, (k, row), found, unconfirmed=not on)
