"""Where the product may differ from the enumerator, each by name with its reason.

Never more than these: a difference that none of them covers fails the seed, and a truth that lies
outside is no difference that anything covers. docs/testing.md lists them for people.
"""


def _is_parent(world, name):
    return any(row.parent == name for snap in world.snaps + world.tree_snaps for row in snap.rows)


def _vanished(world, name):
    for snaps in (world.snaps, world.tree_snaps):
        shown = False
        for snap in snaps:
            there = any(row.name == name for row in snap.rows)
            if shown and not there:
                return True
            shown = shown or there
    return False


def _mixed(menu):
    return any(len(menu.times(k - 1, k).explanations) > 1 for k in range(1, len(menu.snaps)))


# Name, kinds of difference, where it applies, and why it is let pass. Never "truth outside".
EXCEPTIONS = (
    ("parent missing from replies",
     {"wider", "counted", "sure fell", "upper rose"},
     lambda world, menu, name: "missing" in world.themes and _is_parent(world, name) and any(
         _vanished(world, n) for n in world.names),
     "what children move while their parent's row, or a disputed child's, is missing from replies is "
     "not collected for its return"),
    ("more than one explanation of a snapshot", {"wider", "counted"},
     lambda world, menu, name: _mixed(menu),
     "where a restart or another timeline is possible beside going on, the order of what is counted "
     "differs; bounds hold"),
    ("one .id under two names", {"wider"},
     lambda world, menu, name: _is_parent(world, name) and any(
         t in world.themes for t in ("reuse_id", "rename", "rename_target")),
     "the parent's sure bytes give way to both names' unseen bytes, though they share one queue"),
    ("row back after missing replies", {"wider", "counted"},
     lambda world, menu, name: "missing" in world.themes and _vanished(world, name),
     "a day that closed while the row was away takes no more bytes: they count from the first open "
     "day on, and what a row made anew may have hidden is reckoned from the first reply without it"),
    ("snapshots merged in the spool", {"merge"},
     lambda world, menu, name: True,
     "owed: a merged snapshot keeps the steps of rows whose life changed, not all that disputes and "
     "bounds look at; take this line out when it does"),
)


def excepted(world, menu, kind, name):
    """The name of the exception that covers the difference, or None."""
    for title, kinds, applies, _ in EXCEPTIONS:
        if kind in kinds and applies(world, menu, name):
            return title
    return None


assert not any("truth outside" in kinds for _, kinds, _, _ in EXCEPTIONS)
