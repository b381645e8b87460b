"""Time, ceilings and the explanations of one step between two readings of a row."""

from model import MOST, SECOND, attribution

ON, RESET, GLITCH, RESTART, TIMELINE, BAD_BASE, ANEW, BASELINE, BAD = (
    "on", "reset", "glitch", "restart", "timeline", "base was bad", "made anew", "baseline", "bad")

FREEZE_READINGS = 8
FREEZE_US = 3600 * SECOND
TOMBSTONE_US = 7 * 86400 * SECOND
MARK_US = 86400 * SECOND
AWAY_US = 3600 * SECOND
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
                if not one_host and b.uptime >= a.uptime:
                    s |= SAME
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
                 "items", "since", "since_index", "vanished", "gone", "held", "past")

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
        self.past = set()  # parents since its own dispute began

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
    __slots__ = ("bytes", "unseen", "rank", "bad", "ranks", "last_good", "words")

    def __init__(self, got, unseen, rank, bad, ranks, last_good, words):
        self.bytes, self.unseen, self.rank, self.bad, self.ranks = got, unseen, rank, bad, ranks
        self.last_good, self.words = last_good, words

    def key(self):
        return (self.rank, self.bad, self.ranks, -(self.bytes[0] + self.bytes[1]), -self.last_good)


def judge(paths):
    """[sure, counted, upper] and the most bytes without unseen ones, over the paths."""
    best = min(paths, key=Path.key)
    sure = tuple(min(p.bytes[i] for p in paths) for i in (0, 1))
    upper = tuple(min(MOST, max(p.bytes[i] + p.unseen[i] for p in paths)) for i in (0, 1))
    visible = tuple(max(p.bytes[i] for p in paths) for i in (0, 1))
    return sure, best.bytes, upper, visible, [best.words] + [
        p.words for p in paths if p is not best]


class Steps:
    """What has been read of one menu, and how any two readings of a row may be explained."""

    def __init__(self, line_rate):
        self.line_rate = line_rate
        self.snaps = []
        self.at = []  # attribution after the rules of time
        self.by_name = []  # per snapshot: name -> row
        self.resets_together = []  # attribution of snapshots at which most rows were reset
        # What is said of an open dispute knows of the newest snapshot's resets too.
        self.asking = False
        self.judging = None
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
        """C of both directions over the reach from snapshot i to k, given the row's readings. A
        queue tree has one direction."""
        if reach is None:
            reach = self.times(i, k).reach
        up = 0 if self.snaps[k].menu == "tree" else ceiling(self._limit(i, k, rows, 0), reach)
        return (up,
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
        newest = now + 1 if self.asking else now
        return sum(1 for t in self.resets_together if t < newest and now - t <= MARK_US) >= 2

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
        # A habit of another tool holds for all steps that are judged while it is known.
        sign = strong or changed or self._marked(len(self.snaps) - 1 if self.judging is None else k)
        found = []
        if "same" in explanations:
            if fits_on and (not packets_fell or not fits_zero):
                found.append((ON, moved, NONE, 4 if sign else 0))
            if sign and fits_zero:
                like = strong and self._like_rate(n, t.elapsed, rate)
                found.append((RESET, now, less(c, now), 3 if like else 7))
            if got_fell and now != NONE:
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
        self.judging = k
        words = [f[0] for f in self._explain(a, b, [o, n], SAME, None)]
        self.judging = None
        return GLITCH in words if glitch else RESET in words
