"""Compares what is true, what can be known, and what the product says."""

from enumerate_paths import Menu
from spans import span_figures


def enumerated(world):
    menu = Menu(world.line_rate)
    menu.open_after = []  # per snapshot: is anything undecided that a later reading may settle?
    for snap in world.snaps:
        menu.take(snap)
        menu.open_after.append(bool(menu.stones) or any(
            life.disputed() or life.unconfirmed for life in menu.live.values()))
    return menu


def broken_assumptions(world, menu):
    """Which stated assumptions this world does not keep: then nobody can know the truth."""
    found = []
    for name, before, base, k, plain, base_doubted, new_doubted in menu.judged:
        if name in world.snaps[k].bad and not new_doubted:
            found.append(f"the bad reading of {name} in reply {k} looks like traffic")
        if before in world.snaps[base].bad and not base_doubted:
            found.append(f"the bad reading of {before} in reply {base} was taken as good")
    for k, name, row_id, kind in world.breaks:
        before = _good(world, row_id, range(k - 1, -1, -1))
        after = _good(world, row_id, range(k, len(world.snaps)))
        if before is None or after is None:
            continue
        if not menu.has_sign(before, after, kind == "dip"):
            found.append(f"{kind} of {name} before reply {k} left no sign")
    if menu.ceiling_exceeded:
        found.append("three readings beyond the ceiling")
    return found


def _good(world, row_id, where):
    """The first reply of these that shows the row's true counters."""
    for i in where:
        for row in world.snaps[i].rows:
            if row.id == row_id and row.name not in world.snaps[i].bad:
                return i, row
    return None


def spans(world):
    """(label, first day, last day) worth asking about: each day with readings, and all of them."""
    first = max(i for i, e in enumerate(world.edges) if e < world.at[0])
    last = max(i for i, e in enumerate(world.edges) if e < world.at[-1])
    found = [(i, i) for i in range(first, last + 1)]
    if last > first:
        found.append((first, last))
    return found


def finished_first_day(world):
    """(day, snapshots at which it was over), or None."""
    day = spans(world)[0][0]
    over = [k for k, at in enumerate(world.at) if at >= world.edges[day + 1]]
    return (day, over) if over else None


def true_bytes(world, name, first, last):
    up = down = 0
    for day in range(first, last + 1):
        got = world.truth.get((name, day))
        if got:
            up += got[0]
            down += got[1]
    return up, down


def known(world, deltas, name, first, last):
    return span_figures(deltas, name, world.edges[first], world.edges[last + 1], world.edges)


def contained(truth, sure, upper):
    return all(sure[w] <= truth[w] <= upper[w] for w in (0, 1))
