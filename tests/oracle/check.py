"""Compares what is true, what can be known, and what the product says."""

from enumerate_paths import Menu
from spans import span_figures
from world import World

ATTEMPTS = 8
SECOND = 1_000_000


class Known:
    """What the enumerator finds in a world's replies, of each of its menus."""

    def __init__(self, world):
        self.world = world
        self.menus = [(_enumerated(world, snaps), snaps)
                      for snaps in (world.snaps, world.tree_snaps) if snaps]
        first = self.menus[0][0]
        self.snaps, self.at, self.times = first.snaps, first.at, first.times
        self.open_after = [any(states) for states in zip(*(m.open_after for m, _ in self.menus))]
        self._figures = None

    def figures(self):
        """All deltas as if nothing more were ever read."""
        if self._figures is None:
            self._figures = [d for menu, _ in self.menus for d in menu.figures()
                             if self.world.counts(d.name)]
        return self._figures


def _enumerated(world, snaps):
    menu = Menu(world.line_rate, world.residue)
    menu.open_after = []  # per snapshot: is anything undecided that a later reading may settle?
    for snap in snaps:
        menu.take(snap)
        menu.open_after.append(bool(menu.stones) or any(
            life.disputed() or life.unconfirmed for life in menu.live.values()))
    return menu


class Part:
    """A world with what can be known of it and what is asked."""

    def __init__(self, world):
        self.world = world
        self.known = Known(world)
        self.asked = spans(world)
        self.watched = finished_first_day(world)


class Case:
    """What one seed makes: one world, or two on one site."""

    def __init__(self, seed, parts):
        self.seed = seed
        self.parts = parts
        self.world = parts[0].world
        self.kinds = self.world.kinds

    def may_wait(self):
        """False where it matters when a reply is delivered: a stamp is ahead of its receipt, or two
        entries read one device."""
        return not any("stamp" in p.world.themes or p.world.twin_snaps for p in self.parts)


def make(seed, broken=None, kind=None):
    """The seed's case: the first of its attempts that keeps the stated assumptions. None when there
    is none."""
    for attempt in range(ATTEMPTS):
        worlds = [World(seed, attempt, broken, kind)]
        if "one-identity" in worlds[0].kinds:
            worlds.append(World(seed, attempt, like=worlds[0]))
        parts = [Part(world) for world in worlds]
        if broken is not None or not any(broken_assumptions(p.world, p.known) for p in parts) and (
                len(worlds) == 1 or _apart(*worlds)):
            return Case(seed, parts)
    return None


def _apart(one, other):
    """True when the two routers never seem to have booted at one instant."""
    boots = [{s.stamp - s.uptime * SECOND for s in w.snaps} for w in (one, other)]
    return all(abs(a - b) > 90 * SECOND for a in boots[0] for b in boots[1])


def broken_assumptions(world, known):
    """Which stated assumptions this world does not keep: then nobody can know the truth."""
    found = []
    for menu, snaps in known.menus:
        found += _bad_as_good(menu, snaps)
        for k, name, row_id, kind, of_menu in world.breaks:
            if of_menu != snaps[0].menu:
                continue
            before = _good(snaps, row_id, range(k - 1, -1, -1))
            after = _good(snaps, row_id, range(k, len(snaps)))
            if before is None or after is None:
                continue
            if not menu.has_sign(before, after, kind == "dip"):
                found.append(f"{kind} of {name} before reply {k} left no sign")
        if menu.ceiling_exceeded:
            found.append("three readings beyond the ceiling")
    for k in range(1, len(world.snaps)):
        if world.snaps[k].host != world.snaps[k - 1].host and (
                world.turns[k] not in known.times(k - 1, k).explanations):
            found.append(f"the stamps beside the restart of the collector's host before reply {k} "
                         "are wrong by more than the router's uptime")
    return found


def _bad_as_good(menu, snaps):
    found = []
    for name, before, base, k, plain, base_doubted, new_doubted in menu.judged:
        if name in snaps[k].bad and not new_doubted:
            found.append(f"the bad reading of {name} in reply {k} looks like traffic")
        if before in snaps[base].bad and not (
                base_doubted is True or base_doubted and _first_good(snaps, before, base, k)
                in base_doubted):
            found.append(f"the bad reading of {before} in reply {base} was taken as good")
    return found


def _first_good(snaps, name, base, k):
    """The first snapshot after `base`, up to `k`, that shows the row's true counters."""
    for i in range(base + 1, k + 1):
        if name not in snaps[i].bad and any(r.name == name for r in snaps[i].rows):
            return i
    return None


def _good(snaps, row_id, where):
    """The first reply of these that shows the row's true counters."""
    for i in where:
        for row in snaps[i].rows:
            if row.id == row_id and row.name not in snaps[i].bad:
                return i, row
    return None


def spans(world):
    """(first day, last day) worth asking about: each day with readings, and all of them."""
    last_read = max([world.at[-1]] + [snap.stamp for snap in world.twin_snaps])
    first = max(i for i, e in enumerate(world.edges) if e < world.at[0])
    last = max(i for i, e in enumerate(world.edges) if e < last_read)
    if world.twin_snaps:
        return [(first, last)]
    found = [(i, i) for i in range(first, last + 1)]
    if last > first:
        found.append((first, last))
    return found


def asked_segments(world):
    """Indices of the marks whose segments are asked for: where the days are cut, those read in."""
    if not world.cut_times:
        return []
    return [i for i in range(len(world.marks) - 1)
            if world.marks[i + 1] > world.at[0] and world.marks[i] < world.at[-1]]


def finished_first_day(world):
    """(day, snapshots at which it was over), or None."""
    if world.twin_snaps:
        return None
    day = spans(world)[0][0]
    over = [k for k, at in enumerate(world.at) if at >= world.edges[day + 1]]
    return (day, over) if over else None


def true_bytes(world, name, begin, end):
    """Bytes that the queue moved between two instants that are marks."""
    up = down = 0
    for i, mark in enumerate(world.marks):
        got = world.truth.get((name, i))
        if got and begin <= mark < end:
            up += got[0]
            down += got[1]
    return up, down


def known_bytes(world, deltas, name, begin, end):
    """[sure, counted, upper] by the enumerator."""
    return span_figures(deltas, name, begin, end, world.marks)


def contained(truth, sure, upper):
    return all(sure[w] <= truth[w] <= upper[w] for w in (0, 1))
