"""What the driver is told of a case: the same history in several courses of delivery.

A script is a list of the driver's lines; its questions are answered in the order of `asked`.
"""

import random

import wire
from check import asked_segments
from model import SECOND, command


class Script:
    """Lines for the driver, and what each of its questions is about."""

    def __init__(self, case):
        self.case = case
        self.lines = _setting(case)
        self.asked = []  # (part, what, name, begin, end): instants that are marks

    def ask_days(self, part, what, first, last):
        world = part.world
        for name in sorted(world.names):
            routers = ["r1", "r2"] if world.twin_snaps else [world.router]
            for router in routers:
                self.lines.append(f"usage s {router} {name} {world.dates[first]} {world.dates[last]}")
                self.asked.append((part, what, name, world.edges[first], world.edges[last + 1]))

    def ask_all(self):
        for part in self.case.parts:
            for first, last in part.asked:
                self.ask_days(part, f"days {first}-{last}", first, last)
            world = part.world
            for i in asked_segments(world):
                day, segment = world.segments[i]
                for name in sorted(world.names):
                    self.lines.append(
                        f"usage s {world.router} {name} {world.dates[day]} {world.dates[day]} {segment}")
                    self.asked.append((part, f"day {day} segment {segment}", name, world.marks[i],
                                       world.marks[i + 1]))


def _setting(case):
    world = case.world
    cuts = "".join(f" {c}" for c in world.cut_times)
    lines = [f"site s {world.zone} {world.day_start}{cuts}"]
    parents = "residue" if world.residue else "roots"
    poll = max(1, world.poll // SECOND)
    routers = ["r1"] + (["r2"] if len(case.parts) > 1 or world.twin_snaps else [])
    for router in routers:
        lines.append(f"router {router} s {world.account} {world.line_rate} {poll} {parents}")
    if world.tree_snaps:
        other = "tree" if world.account == "simple" else "simple"
        lines.append(f"rule {other} ([^x].*) $1 both apart")
    return lines + [f"start {min(p.world.snaps[0].received for p in case.parts)}"]


def deliveries(case):
    """(received, part, number of the reply or -1, its snapshots) in the order of receipt."""
    found = []
    for part in case.parts:
        world = part.world
        for k, snap in enumerate(world.snaps):
            snaps = [snap] + ([world.tree_snaps[k]] if world.tree_snaps else [])
            found.append((snap.received, part, k, snaps))
        found += [(snap.received, part, -1, [snap]) for snap in world.twin_snaps]
    return sorted(found, key=lambda d: d[0])


def plain(case, watch=True):
    """Every snapshot delivered as soon as it is read; a finished day is asked for again and again."""
    script = Script(case)
    for received, part, k, snaps in deliveries(case):
        for snap in snaps:
            script.lines += command(snap)
        script.lines.append(f"deliver {len(snaps)} {received} 0")
        if watch and part.watched is not None and k in part.watched[1]:
            day = part.watched[0]
            script.ask_days(part, f"at reply {k}", day, day)
    script.ask_all()
    script.lines.append("rows")
    return script


def disturbed(case):
    """The same history through an aggregator that flushes, fails to, and starts anew, and a
    collector that delivers late: nothing may change by a byte."""
    rng = random.Random(f"disturbed {case.seed}")
    script = Script(case)
    waiting = 0
    # Two entries for one device, and stamps ahead of their receipt: when they are delivered matters.
    late = case.may_wait()
    all_of_them = deliveries(case)
    for i, (received, _, _, snaps) in enumerate(all_of_them):
        for snap in snaps:
            script.lines += command(snap)
        waiting += len(snaps)
        if late and rng.random() < 0.3 and i + 1 < len(all_of_them):
            continue
        script.lines.append(f"deliver {waiting} {received} {rng.randrange(2)}")
        waiting = 0
        if rng.random() < 0.4:
            script.lines.append(f"flush {received}")
        elif rng.random() < 0.1:
            script.lines.append(f"failflush {received}")
        if rng.random() < 0.25:
            script.lines.append(f"restart {received}")
    script.ask_all()
    script.lines.append("rows")
    return script


def thinned(case):
    """The same history through a spool that is short of room."""
    rng = random.Random(f"thinned {case.seed}")
    script = Script(case)
    world = case.world
    edges = " ".join(str(e) for e in world.marks)
    count = delivered = 0
    all_of_them = deliveries(case)
    for i, (received, _, _, snaps) in enumerate(all_of_them):
        for snap in snaps:
            script.lines += command(snap)
        count += len(snaps)
        if i < 2:
            script.lines.append(f"deliver {len(snaps)} {received} 0")
            delivered = count
    for _ in range(count // 2):
        script.lines.append(f"thin {rng.randrange(delivered, max(delivered + 1, count - 1))} {edges}")
    script.lines.append(f"deliver {count} {all_of_them[-1][0]} 0")
    script.ask_all()
    return script


# Steps of the aggregator's clock: by how much, and for how long at most.
STEPS = ((7 * SECOND, 120 * SECOND), (-9 * SECOND, 120 * SECOND), (25 * 3600 * SECOND, 15 * SECOND),
         (-3 * 3600 * SECOND, 300 * SECOND), (2 * 3600 * SECOND, 500 * SECOND),
         (40 * 86400 * SECOND, 4 * SECOND), (-40 * 86400 * SECOND, 30 * SECOND))


def stepped(case):
    """The same history through an aggregator whose wall clock steps and comes back, with others to
    ask or none, across restarts of the program and of its host: nothing may change by a byte."""
    rng = random.Random(f"stepped {case.seed}")
    script = Script(case)
    # A far collector, one on its host, a database elsewhere or one with the host's own clock.
    who = rng.randrange(4) | rng.choice((0, 0, 4, 4, 8))
    all_of_them = deliveries(case)
    now = all_of_them[0][0] - 400 * SECOND
    # While no time is agreed no day closes, and what comes back to an open day counts there. After a
    # start nobody can tell a database with the host's own wrong clock from one that knows better.
    reboots = "missing" not in case.world.themes and who < 8
    rebooted = False
    script.lines.append(f"clock {now} 0 {who}")
    for received, _, _, snaps in all_of_them:
        for snap in snaps:
            script.lines += command(snap)
        off, lasts = rng.choice(STEPS) if rng.random() < 0.4 else (0, SECOND)
        if rebooted and abs(off) <= 300 * SECOND:
            off = 0  # nobody can tell a start whose clock is off by so little
        start = max(now + SECOND, received - rng.randrange(1, max(2, lasts // SECOND)) * SECOND // 2)
        script.lines.append(f"clock {start} 0 {who}")
        if reboots and abs(off) > 300 * SECOND and rng.random() < 0.2:
            rebooted = True
            # The host starts anew with a wrong clock: no time is agreed until others say so.
            script.lines.append(f"reboot {start} {off}")
        now = max(start, received)
        script.lines.append(f"clock {now} {off} {who}")
        script.lines.append(f"deliver {len(snaps)} agreed 0")
        if rng.random() < 0.3:
            script.lines.append("flush agreed")
        if rng.random() < 0.2:
            script.lines.append("restart agreed")
        script.lines.append(f"clock {now + SECOND // 2} 0 {who}")
        now += SECOND // 2
    script.ask_all()
    script.lines.append("rows")
    return script


def wired(case):
    """The same history as the router's bytes through the collector's reader: replies that are no
    good in between are refused, and leave nothing."""
    script = Script(case)
    routers = wire.Routers(case)
    for received, part, _, snaps in deliveries(case):
        script.lines += routers.reply(snaps)
        script.lines.append(f"deliver {len(snaps)} {received} 0")
    script.ask_all()
    script.lines.append("rows")
    script.faults = routers.faults
    script.expected = routers.expected
    return script
