"""Rows of which the readings disagree: every path of good readings is listed anew."""

from evidence_steps import (ANEW, BAD_BASE, BASELINE, FREEZE_READINGS, FREEZE_US, NONE, ON, RESET,
                            RESTART, SAME, TIMELINE, Delta, Path, Steps, add, all_zero, bytes_fell,
                            fell, judge)


class Disputes(Steps):
    """Rows that go on under their `.id` and name."""

    # --- disputes

    def _first_was_bad(self, life, j):
        """True when readings[0] may be bad and reading j the first good one."""
        if life.unconfirmed:
            return True
        (i, o), (k, n) = life.readings[0], life.readings[j]
        if j != 1 or not (life.first and all_zero(o)):
            return False
        c = self.most(i, k, [r for _, r in life.readings[:j + 1]])
        return n.up > c[0] or n.down > c[1]

    def _paths(self, life):
        """All paths of good readings to each reading of the dispute."""
        readings = life.readings
        to = [[Path(NONE, NONE, 0, 0, 0, -1, ())]]
        for j in range(1, len(readings)):
            found = []
            for i in range(j):
                rows = [r for _, r in readings[i:j + 1]]
                if not all(self._doubtful(readings[i], readings[m],
                                          [r for _, r in readings[i:m + 1]])
                           for m in range(i + 1, j)):
                    continue
                bad = j - i - 1
                steps = self._explain(readings[i], readings[j], rows, SAME, life.rate) if to[i] else []
                if i == 0 and self._first_was_bad(life, j):
                    c = self.most(readings[0][0], readings[j][0], rows)
                    steps = steps + [(BAD_BASE, NONE, c, 8 if life.unconfirmed else 6)]
                for word, got, unseen, rank in steps:
                    worst = max(rank, 6) if bad else rank
                    for p in to[i]:
                        found.append(Path(add(p.bytes, got), add(p.unseen, unseen),
                                          max(p.rank, worst), p.bad + bad, p.ranks + rank, i,
                                          p.words + (f"{word}@{readings[j][0]}",)))
            to.append(found)
        return to

    def _frozen(self, life, to):
        """Paths as if nothing more were read: any track may have been the last good one."""
        readings = life.readings
        last = len(readings) - 1
        found = list(to[last])
        for i in range(last):
            if not to[i]:
                continue
            if not all(self._doubtful(readings[i], readings[m], [r for _, r in readings[i:m + 1]])
                       for m in range(i + 1, last + 1)):
                continue
            c = self.most(readings[i][0], readings[last][0], [r for _, r in readings[i:]])
            for p in to[i]:
                found.append(Path(p.bytes, add(p.unseen, c), max(p.rank, 6), p.bad + last - i, p.ranks, i,
                                  p.words + (f"bad since {readings[i][0]}",)))
        return found

    def _emit(self, life, i, k, paths, start=None):
        sure, counted, upper, visible, words = judge(paths)
        self._deliver(Delta(life, i, self.at[i] if start is None else start, self.at[k], sure, counted,
                            upper, visible, words), k)

    def _deliver(self, delta, k):
        life = delta.life
        life.items.append(("own", True, delta, k))

    def _rebase(self, life, reading, unconfirmed):
        life.readings = [reading]
        life.first = False
        life.unconfirmed = unconfirmed

    def _freeze(self, life):
        """Ends an open dispute at its newest reading."""
        if not life.disputed():
            return
        paths = self._frozen(life, self._paths(life))
        doubted = any(p.words and p.words[0].startswith(BAD_BASE) for p in paths)
        self.judged.append((life.name, life.readings[0][1].name, life.readings[0][0],
                            life.readings[-1][0], False, life.unconfirmed or doubted, True))
        self._emit(life, life.readings[0][0], life.readings[-1][0], paths)
        self._rebase(life, life.readings[-1], unconfirmed=True)

    def _read(self, life, k, row):
        """The row goes on under its `.id` and name, and the snapshot says nothing else."""
        reading = (k, row)
        if not life.disputed():
            base = life.readings[0]
            rows = [base[1], row]
            if not self._doubtful(base, reading, rows):
                found = self._explain(base, reading, rows, SAME, life.rate)
                if life.unconfirmed:
                    found.append((BAD_BASE, NONE, self.most(base[0], k, rows), 8))
                # Zeros after zeros settle nothing.
                self._take(life, reading, found, unconfirmed=life.unconfirmed and all_zero(row))
                return
        life.readings.append(reading)
        readings = life.readings
        last = len(readings) - 1
        to = self._paths(life)
        for i in range(last):
            if to[i] and self._goes_on(readings[i], reading, [r for _, r in readings[i:]]) and all(
                    self._doubtful(readings[i], readings[m], [r for _, r in readings[i:m + 1]])
                    for m in range(i + 1, last)):
                # Where the base may be bad: the readings that may be the first good ones then.
                doubted = {int(p.words[0].split("@")[1]) for p in to[last]
                           if p.words[0].startswith(BAD_BASE)}
                self.judged.append((life.name, readings[0][1].name, readings[0][0], k, False, doubted, False))
                self._emit(life, readings[0][0], k, to[last])
                best = min(to[last], key=Path.key)
                self.reset_now += any(w.startswith(RESET) for w in best.words)
                before = readings[-2]
                if life.rate is None and row.up + row.down > before[1].up + before[1].down and (
                        not all_zero(before[1])) and self._goes_on(
                        before, reading, [before[1], row]):
                    life.rate = (row.up + row.down - before[1].up - before[1].down,
                                 self.times(before[0], k).elapsed)
                self._rebase(life, reading, unconfirmed=False)
                return
        if self._three_beyond(life, to):
            return
        opened = readings[1][0]
        if last >= FREEZE_READINGS or self.times(opened, k).elapsed >= FREEZE_US and last > 1:
            self._freeze(life)

    def _three_beyond(self, life, to):
        readings = life.readings
        last = len(readings) - 1
        if last < 3 or any(to[j] for j in range(last - 2, last + 1)):
            return False
        for j in (last - 1, last):
            if fell(readings[j - 1][1], readings[j][1]) or all_zero(readings[j][1]):
                return False
        sound = max(j for j in range(last - 2) if to[j])
        o, m = readings[sound][1], readings[last][1]
        if bytes_fell(o, m):
            return False
        best = min(to[sound], key=Path.key)
        k = readings[last][0]
        counted = add(best.bytes, (m.up - o.up, m.down - o.down))
        self.ceiling_exceeded = True
        self._deliver(Delta(life, readings[0][0], self.at[readings[0][0]], self.at[k], NONE, counted,
                            counted, counted, ["ceiling exceeded"]), readings[last][0])
        self._rebase(life, readings[last], unconfirmed=False)
        return True

    def _take(self, life, reading, found, start=None, unconfirmed=False):
        """A step that is judged at once."""
        base = life.readings[0]
        k = reading[0]
        paths = [Path(got, unseen, rank, 0, rank, 0, (f"{word}@{k}",))
                 for word, got, unseen, rank in found]
        self._emit(life, base[0], k, paths, start)
        plain = len(found) == 1 and found[0][0] == ON
        if plain and found[0][1] != NONE:
            life.rate = (sum(found[0][1]), self.times(base[0], k).elapsed)
        # A step from another timeline or from zero does not rest on the reading before it.
        doubted = life.unconfirmed or all(f[0] in (TIMELINE, RESTART, ANEW, BASELINE) for f in found)
        self.judged.append((life.name, base[1].name, base[0], k, plain, doubted, unconfirmed))
        self._rebase(life, reading, unconfirmed)
