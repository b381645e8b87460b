"""What can be known from readings alone, found by trying every explanation.

A second implementation of docs/accounting.md that shares no code with the first and works in
another way: nothing is kept up to date, every dispute is judged by listing all its paths anew. It
never sees the truth. Amounts are (upload, download) pairs.
"""

from model import MOST, SECOND, attribution

ON, RESET, GLITCH, RESTART, TIMELINE, BAD_BASE, ANEW, BASELINE, BAD = (
    "on", "reset", "glitch", "restart", "timeline", "base was bad", "made anew", "baseline", "bad")

FREEZE_READINGS = 8
FREEZE_US = 3600 * SECOND
TOMBSTONE_US = 7 * 86400 * SECOND
MARK_US = 3600 * SECOND
BUCKET_US = 10 * SECOND
NONE = (0, 0)
SAME = frozenset(["same"])


def add(a, b):
    return (a[0] + b[0], a[1] + b[1])


def less(a, b):
    return (max(0, a[0] - b[0]), max(0, a[1] - b[1]))


class Times:
    """The time between two snapshots, and what it says of the router."""

    __slots__ = ("elapsed", "slack", "reach", "drift", "explanations", "uptime_us", "request")

    def __init__(self, a, b, at_a, at_b):
        one_host = a.host != "" and a.host == b.host
        if one_host:
            e = max(0, b.end - a.end + max(0, b.paused - a.paused))
        else:
            e = max(0, at_b - at_a)
        da, db = max(0, a.end - a.begin), max(0, b.end - b.begin)
        self.slack = 3 * SECOND + da + db + e // 5000
        self.drift = (b.uptime - a.uptime) * SECOND - e
        self.uptime_us = b.uptime * SECOND
        self.request = db
        inside = self.uptime_us <= e + self.slack
        if one_host and a.session == b.session:
            s = SAME
        elif self.drift < -self.slack:
            if inside:
                s = frozenset(["restart"])
            else:
                s = frozenset(["timeline"]) if one_host else frozenset(["restart", "timeline"])
        elif self.drift > self.slack:
            s = frozenset(["timeline"]) if b.decided else frozenset(["same", "timeline"])
        else:
            s = frozenset(["same", "restart"]) if inside else SAME
        self.explanations = s
        # Time that the collector's host slept through passed at the router all the same.
        if self.drift > self.slack:
            e += self.drift
        self.elapsed = e
        self.reach = e + da + (0 if one_host else db) + 3 * SECOND + e // 5000


def ceiling(limit, reach):
    return min(MOST, limit * (reach + BUCKET_US) // (8 * SECOND) * 102 // 100)


def all_zero(r):
    return r.up == 0 and r.down == 0 and r.packets == 0


def carries(r):
    return r.up + r.down <= r.packets * 65535


def bytes_fell(a, b):
    return b.up < a.up or b.down < a.down


def fell(a, b):
    return bytes_fell(a, b) or (b.packets < a.packets and carries(b))


def own_limit(rows, way):
    """The limit that a row had at every one of these readings, or 0."""
    first = rows[0]
    most, burst = (first.max_up, first.burst_up) if way == 0 else (first.max_down, first.burst_down)
    if most == 0:
        return 0
    for r in rows[1:]:
        if (r.max_up, r.burst_up) != (most, burst) if way == 0 else (
                r.max_down, r.burst_down) != (most, burst):
            return 0
        if r.parent != first.parent:
            return 0
    return max(most, burst)


class Life:
    """A row while its `.id` and name go on."""

    __slots__ = ("name", "readings", "first", "unconfirmed", "rate", "parent", "debt",
                 "items", "since", "since_index", "vanished", "gone", "held")

    def __init__(self, name):
        self.name = name
        self.readings = []  # (snapshot, row): the last undisputed one, then the dispute's
        self.first = True  # readings[0] is the first ever
        self.unconfirmed = False  # readings[0] may itself be bad
        self.rate = None  # (bytes, elapsed) of the last step that went on for sure
        self.parent = None
        # As a parent:
        self.debt = ((0, 0), (0, 0), (0, 0))
        self.items = []
        self.since = 0
        self.since_index = 0
        self.vanished = 0
        self.gone = False
        self.held = False  # vanished in the middle of a child's dispute

    def disputed(self):
        return len(self.readings) > 1


class Delta:
    """Bytes of one name over (start, end]."""

    __slots__ = ("name", "first", "start", "end", "sure", "counted", "upper", "visible", "why",
                 "life")

    def __init__(self, life, first, start, end, sure, counted, upper, visible, why):
        self.life = life
        self.first = first  # snapshot of the reading before
        self.name = life.name
        self.start, self.end = start, end
        self.sure, self.counted, self.upper, self.visible = sure, counted, upper, visible
        self.why = why


class Path:
    __slots__ = ("bytes", "unseen", "rank", "bad", "last_good", "words")

    def __init__(self, got, unseen, rank, bad, last_good, words):
        self.bytes, self.unseen, self.rank, self.bad = got, unseen, rank, bad
        self.last_good, self.words = last_good, words

    def key(self):
        return (self.rank, self.bad, -(self.bytes[0] + self.bytes[1]), -self.last_good)


def judge(paths):
    """[sure, counted, upper] and the most bytes without unseen ones, over the paths."""
    best = min(paths, key=Path.key)
    sure = tuple(min(p.bytes[i] for p in paths) for i in (0, 1))
    upper = tuple(min(MOST, max(p.bytes[i] + p.unseen[i] for p in paths)) for i in (0, 1))
    visible = tuple(max(p.bytes[i] for p in paths) for i in (0, 1))
    return sure, best.bytes, upper, visible, [p.words for p in paths]


class Menu:
    """One menu of one router, reading after reading."""

    def __init__(self, line_rate, residue=True):
        self.line_rate = line_rate
        self.residue = residue
        self.snaps = []
        self.at = []  # attribution after the rules of time
        self.by_name = []  # per snapshot: name -> row
        self.live = {}  # (id, name) -> Life
        self.stones = {}  # the same, vanished
        self.deltas = []
        self.replies = 0  # complete ones of this timeline and these settings
        self.fallen_together = []  # attribution of snapshots at which most rows fell
        # What was judged, for the caller's check of the stated assumptions.
        # (name, name before, from snapshot, to snapshot, went on without a sign, base doubted, new base doubted)
        self.judged = []
        self.ceiling_exceeded = False
        self._times = {}

    # --- time

    def times(self, i, k):
        key = (i, k)
        found = self._times.get(key)
        if found is None:
            found = Times(self.snaps[i], self.snaps[k], self.at[i], self.at[k])
            self._times[key] = found
        return found

    def _attribute(self, snap):
        return attribution(snap, self.at[-1] if self.at else 0)

    # --- ceilings

    def _limit(self, i, k, rows, way):
        limit = own_limit(rows, way)
        if limit:
            return limit
        parent = rows[0].parent
        if any(r.parent != parent for r in rows):
            return self.line_rate
        for _ in range(32):
            if not parent:
                break
            chain = [self.by_name[j].get(parent) for j in range(i, k + 1)]
            if chain[0] is None or chain[-1] is None:
                break
            chain = [r for r in chain if r is not None]
            if any(r.parent != chain[0].parent for r in chain):
                break
            limit = own_limit(chain, way)
            if limit:
                return limit
            parent = chain[0].parent
        return self.line_rate

    def most(self, i, k, rows, reach=None):
        """C of both directions over the reach from snapshot i to k, given the row's readings."""
        if reach is None:
            reach = self.times(i, k).reach
        return (ceiling(self._limit(i, k, rows, 0), reach),
                ceiling(self._limit(i, k, rows, 1), reach))

    # --- one step of one row

    def _doubtful(self, a, b, between):
        (i, o), (k, n) = a, b
        if fell(o, n) or (all_zero(n) and not all_zero(o)):
            return True
        c = self.most(i, k, between)
        return n.up - o.up > c[0] or n.down - o.down > c[1]

    def _goes_on(self, a, b, between):
        (i, o), (k, n) = a, b
        if fell(o, n) or all_zero(n):
            return False
        c = self.most(i, k, between)
        return n.up - o.up <= c[0] and n.down - o.down <= c[1]

    def _marked(self, k):
        now = self.at[k]
        return sum(1 for t in self.fallen_together if now - t <= MARK_US and t <= now) >= 2

    def _like_rate(self, n, elapsed, rate):
        if rate is None or n.up + n.down == 0:
            return False
        left = (n.up + n.down) * rate[1]
        right = rate[0] * elapsed
        return left <= 4 * right and right <= 4 * left

    def _explain(self, a, b, between, explanations, rate, renamed=False):
        """Explanations of a step between two good readings: (word, bytes, unseen, rank)."""
        (i, o), (k, n) = a, b
        t = self.times(i, k)
        c = self.most(i, k, between)
        now = (n.up, n.down)
        got_fell = bytes_fell(o, n)
        packets_fell = n.packets < o.packets and carries(n)
        moved = (n.up - o.up, n.down - o.down)
        fits_on = not got_fell and moved[0] <= c[0] and moved[1] <= c[1]
        fits_zero = now[0] <= c[0] and now[1] <= c[1]
        changed = o.target != n.target or o.parent != n.parent or o.name != n.name
        strong = got_fell or packets_fell or not fits_on
        sign = strong or changed or self._marked(k)
        found = []
        if "same" in explanations:
            if fits_on and (not packets_fell or not fits_zero):
                found.append((ON, moved, NONE, 4 if sign else 0))
            if sign and fits_zero:
                like = strong and self._like_rate(n, t.elapsed, rate)
                found.append((RESET, now, less(c, now), 3 if like else 7))
            if got_fell:
                small = all(x >= y or y - x <= max(65536, y // 1000)
                            for x, y in ((n.up, o.up), (n.down, o.down)))
                if small or not fits_zero:
                    found.append((GLITCH, NONE, c, 2 if small else 9))
        if "restart" in explanations:
            lived = self.most(i, k, between,
                              min(t.reach, t.uptime_us + SECOND + t.request))
            if now[0] <= lived[0] and now[1] <= lived[1]:
                before = self.most(i, k, between, max(0, t.reach - t.uptime_us))
                sure = explanations == {"restart"}
                found.append((RESTART, now, before,
                              1 if sure or got_fell or packets_fell else 5))
            elif explanations == {"restart"}:
                found.append((RESTART, NONE, c, 1))
        if "timeline" in explanations:
            found.append((TIMELINE, NONE, c, 8))
        return found

    def has_sign(self, a, b, glitch):
        """True when a counter that did not just go on between the readings can be told from one
        that did; `glitch`: it only stepped back."""
        (i, o), (k, n) = a, b
        if self.times(i, k).explanations != SAME:
            return True
        words = [f[0] for f in self._explain(a, b, [o, n], SAME, None)]
        return GLITCH in words if glitch else RESET in words

    # --- disputes

    def _first_was_bad(self, life, j):
        """True when readings[0] may be bad and reading j the first good one."""
        if life.unconfirmed:
            return True
        (i, o), (k, n) = life.readings[0], life.readings[j]
        if not (life.first and all_zero(o)):
            return False
        c = self.most(i, k, [r for _, r in life.readings[:j + 1]])
        return n.up > c[0] or n.down > c[1]

    def _paths(self, life):
        """All paths of good readings to each reading of the dispute."""
        readings = life.readings
        to = [[Path(NONE, NONE, 0, 0, -1, ())]]
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
                    steps = steps + [(BAD_BASE, NONE, c, 8)]
                for word, got, unseen, rank in steps:
                    if bad:
                        rank = max(rank, 6)
                    for p in to[i]:
                        found.append(Path(add(p.bytes, got), add(p.unseen, unseen),
                                          max(p.rank, rank), p.bad + bad, i,
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
                found.append(Path(p.bytes, add(p.unseen, c), max(p.rank, 6), p.bad + last - i, i,
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
                if life.unconfirmed and all_zero(row):
                    self._take(life, reading, found, unconfirmed=True)
                    return
                if life.unconfirmed:
                    found.append((BAD_BASE, NONE, self.most(base[0], k, rows), 8))
                self._take(life, reading, found)
                return
        life.readings.append(reading)
        readings = life.readings
        last = len(readings) - 1
        to = self._paths(life)
        for i in range(last):
            if to[i] and self._goes_on(readings[i], reading, [r for _, r in readings[i:]]) and all(
                    self._doubtful(readings[i], readings[m], [r for _, r in readings[i:m + 1]])
                    for m in range(i + 1, last)):
                doubted = any(p.words[0].startswith(BAD_BASE) for p in to[last])
                self.judged.append((life.name, readings[0][1].name, readings[0][0], k, False, doubted, False))
                self._emit(life, readings[0][0], k, to[last])
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
            if not self._goes_on(readings[j - 1], readings[j], [readings[j - 1][1], readings[j][1]]):
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
        paths = [Path(got, unseen, rank, 0, 0, (f"{word}@{k}",)) for word, got, unseen, rank in found]
        self._emit(life, base[0], k, paths, start)
        plain = len(found) == 1 and found[0][0] == ON
        if plain and found[0][1] != NONE:
            life.rate = (sum(found[0][1]), self.times(base[0], k).elapsed)
        # A step from another timeline or from zero does not rest on the reading before it.
        doubted = life.unconfirmed or all(f[0] in (TIMELINE, RESTART, ANEW, BASELINE) for f in found)
        self.judged.append((life.name, base[1].name, base[0], k, plain, doubted, unconfirmed))
        self._rebase(life, reading, unconfirmed)

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
        if s == SAME:
            self._note_falls(k)
        restarted = s == {"restart"}
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
        self.replies += 1
        self._link(k)
        self._settle_parents(k, parents_before)
        for key in [key for key, life in self.stones.items()
                    if "same" not in s or self.at[k] - self.at[life.vanished] > TOMBSTONE_US or
                    any(r.id == key[0] for r in snap.rows)]:
            del self.stones[key]

    def _note_falls(self, k):
        had = dropped = 0
        before = {r.id: r for r in self.snaps[k - 1].rows}
        for row in self.snaps[k].rows:
            old = before.get(row.id)
            if old is None or old.name != row.name or (old.up == 0 and old.down == 0):
                continue
            had += 1
            dropped += fell(old, row)
        if had and dropped * 2 > had:
            self.fallen_together.append(self.at[k])

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
        unsure = False
        if s != {"restart"} and s != {"timeline"} and self._doubtful(base, reading, rows):
            found.append((BAD, NONE, self.most(base[0], k, rows), 6))
            unsure = True
        if not found:
            found = [(BASELINE, NONE, self.most(base[0], k, rows), 8)]
        if s == {"restart"} and found[0][1] == (row.up, row.down):
            self._restarted(life, k, row, found[0])
            return
        self._take(life, reading, found, unconfirmed=unsure)

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
        paths = [Path(got, unseen, rank, 0, 0, (f"{word}@{k}",)) for word, got, unseen, rank in found]
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
        found += self._explain(base, (k, row), rows, s - {"same"}, life.rate)
        if not found:
            found.append((BASELINE, NONE, c, 8))
        self._take(life, (k, row), found, unconfirmed=not on)

    # --- parents

    def _link(self, k):
        rows = {life.name: life for life in self.live.values()}
        for life in self.stones.values():
            rows.setdefault(life.name, life)
        for life in self.live.values():
            parent = life.readings[-1][1].parent
            life.parent = rows.get(parent) if parent else None

    def _settle_parents(self, k, parents_before):
        everyone = list(self.live.values()) + [
            s for s in self.stones.values()]
        handed = []
        for life in everyone:
            own = [x for x in life.items if x[0] == "own"]
            life.items = [x for x in life.items if x[0] != "own"]
            handed.append((life, own))
        # Bytes of a child go to its parents at both ends of the step.
        live = set(self.live.values())
        for life, own in handed:
            now = life.parent if life in live else parents_before.get(life)
            before = parents_before.get(life, now)
            for parent in {before, now} - {None}:
                for _, _, d, last in own:
                    parent.items.append(("child", before is now, d, last))
        for life, own in handed:
            life.items += [("self", True, d, last) for _, _, d, last in own]
        waits = self._waiting()
        for life in everyone:
            if life.gone and life.vanished == k and life in waits:
                life.held = True
            if life not in waits or life.gone:
                self._residue(life, k)

    def _waiting(self):
        waits = set()
        for life in self.live.values():
            if life.disputed():
                at = life
                for _ in range(33):
                    if at is None or at in waits:
                        break
                    waits.add(at)
                    at = at.parent
        return waits

    def _residue(self, life, k, keep=False):
        """Bytes of the row that its children did not move; `keep` asks without changing anything."""
        if life.gone:
            return self._residue_of_gone(life, k, keep)
        mine = [x[2] for x in life.items if x[0] == "self"]
        theirs = [(x[1], x[2]) for x in life.items if x[0] == "child"]
        out, debt = mine, life.debt
        if theirs or debt != (NONE, NONE, NONE):
            out, debt = self._less_children(life, mine, theirs)
        if not keep:
            self.deltas += out
            life.items, life.debt, life.since_index = [], debt, k
        return out

    def _residue_of_gone(self, life, k, keep):
        """What it may have moved unseen is told as it is; what its children move from then on, and
        all of a stretch in which one of them was disputed, waits until it is back."""
        out = [x[2] for x in life.items if x[0] == "self" and x[2].why == ["vanished"]]
        rest = [x for x in life.items if x[2] not in out]
        if life.held and not keep:
            self.deltas += out
            life.items = rest
            return out
        mine = [x[2] for x in rest if x[0] == "self"]
        theirs, waiting = [], []
        for kind, whole, d, last in rest:
            if kind == "child" and 0 <= last < life.vanished:
                theirs.append((whole, d))
            elif kind == "child":
                waiting.append((kind, whole, d, last))
        debt = life.debt
        if mine:
            unsure = [(None, x[2]) for x in waiting] if life.held else []
            settled, debt = self._less_children(life, mine, theirs + unsure)
            out = out + settled
        if not keep:
            self.deltas += out
            life.items, life.debt = waiting, debt
            if mine:
                life.since_index = life.vanished - 1
        return out

    def _less_children(self, life, mine, theirs):
        p_sure = p_counted = p_upper = NONE
        for d in mine:
            p_sure, p_counted, p_upper = add(p_sure, d.sure), add(p_counted, d.counted), add(
                p_upper, d.upper)
        sure = counted = visible = upper = late = NONE
        for whole, d in theirs:
            counted = add(counted, d.counted)
            if whole is None or d.first < life.since_index:
                late = add(late, d.upper)
                continue
            if whole:
                sure = add(sure, d.sure)
            visible = add(visible, d.visible)
            upper = add(upper, d.upper)
        lo, owed, hi = life.debt
        own_counted = less(p_counted, add(counted, owed))
        own_sure = less(p_sure, add(add(upper, late), hi))
        own_upper = less(p_upper, add(sure, lo))
        debt = (less(add(sure, lo), p_upper), less(add(counted, owed), p_counted),
                less(add(visible, hi), p_sure))
        if not mine:
            return [], debt
        start, end = min(d.start for d in mine), max(d.end for d in mine)
        own_upper = tuple(max(a, b) for a, b in zip(own_upper, own_counted))
        own_sure = tuple(min(a, b) for a, b in zip(own_sure, own_counted))
        before = [d for d in mine if d.why == ["before the boot"]]
        if len(mine) == 2 and len(before) == 1:
            boot = before[0].end
            return [Delta(life, life.since_index, boot, end, own_sure, own_counted, own_counted,
                          own_counted, [["residue"], mine[0].why]),
                    Delta(life, life.since_index, start, boot, NONE, NONE,
                          less(own_upper, own_counted), NONE, [["residue"], before[0].why])], debt
        return [Delta(life, life.since_index, start, end, own_sure, own_counted, own_upper, own_counted,
                      [["residue"]] + [d.why for d in mine])], debt

    # --- answers

    def figures(self):
        """All deltas as if nothing more were ever read."""
        result = list(self.deltas)
        saved = {}
        for life in list(self.live.values()):
            if not life.disputed():
                continue
            paths = self._frozen(life, self._paths(life))
            sure, counted, upper, visible, words = judge(paths)
            d = Delta(life, life.readings[0][0], self.at[life.readings[0][0]], self.at[life.readings[-1][0]], sure, counted,
                      upper, visible, words)
            saved[life] = d
        everyone = list(self.live.values()) + list(self.stones.values())
        items = {life: list(life.items) for life in everyone}
        for life, d in saved.items():
            if life.parent is not None:
                life.parent.items.append(("child", True, d, -1))
            life.items.append(("self", True, d, -1))
        for life in everyone:
            result += self._residue(life, len(self.snaps) - 1, keep=True)
        for life in everyone:
            life.items = items[life]
        return result


def divide(amount, start, end, edges):
    """Shares of an amount between ascending edges inside (start, end): largest remainder."""
    cuts = [start] + list(edges) + [end]
    total = end - start
    shares = []
    for i in range(len(cuts) - 1):
        whole = amount * (cuts[i + 1] - cuts[i])
        shares.append([whole // total, whole % total, i])
    rest = amount - sum(s[0] for s in shares)
    for s in sorted(shares, key=lambda s: (-s[1], s[2]))[:rest]:
        s[0] += 1
    return [s[0] for s in shares]


def span_figures(deltas, name, begin, end, edges):
    """[sure, counted, upper] of a name over (begin, end]; `edges` are all day starts, ascending."""
    sure, counted, upper = [0, 0], [0, 0], [0, 0]
    for d in deltas:
        if d.name != name or d.end <= begin or (d.start >= end and d.end > end):
            continue
        if d.start >= begin and d.end <= end:
            for w in (0, 1):
                sure[w] += d.sure[w]
                counted[w] += d.counted[w]
                upper[w] += d.upper[w]
            continue
        inner = [e for e in edges if d.start < e < d.end]
        cuts = [d.start] + inner + [d.end]
        for w in (0, 1):
            for i, share in enumerate(divide(d.counted[w], d.start, d.end, inner)):
                if cuts[i] >= begin and cuts[i + 1] <= end:
                    counted[w] += share
            upper[w] += d.upper[w]
    return tuple(sure), tuple(counted), tuple(upper)
