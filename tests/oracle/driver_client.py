"""Talks to oracle_driver: tests/oracle/driver/main.cc says how."""

import random
import subprocess

from model import SECOND, command


class Driver:
    """One driver process; worlds are sent in batches."""

    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, bufsize=1 << 16)

    def run(self, scripts):
        """Answers, per script, as a list of lines."""
        lines = []
        for i, script in enumerate(scripts):
            lines.append(f"world {i}")
            lines += script
        lines.append("run\n")
        self.process.stdin.write("\n".join(lines))
        self.process.stdin.flush()
        answers = []
        for line in self.process.stdout:
            line = line.rstrip("\n")
            if line == "done":
                break
            if line.startswith("world "):
                answers.append([])
            else:
                answers[-1].append(line)
        if len(answers) != len(scripts):
            raise RuntimeError("the driver ended in the middle of a batch; run it by hand with the "
                               "commands of `scripts/oracle --seed S --commands`")
        return answers

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def setting(world):
    return [f"site s {world.zone} {world.day_start}",
            f"router r1 s simple {world.line_rate} {max(1, world.poll // SECOND)} residue",
            f"start {world.snaps[0].received}"]


def questions(world, spans):
    lines = []
    for first, last in spans:
        for name in sorted(world.names):
            lines.append(f"usage s r1 {name} {world.dates[first]} {world.dates[last]}")
    return lines


def plain(world, spans, watched=None):
    """Every snapshot delivered as soon as it is read; a finished day is asked for again and again."""
    lines = setting(world)
    for k, snap in enumerate(world.snaps):
        lines += command(snap)
        lines.append(f"deliver 1 {snap.received} 0")
        if watched is not None and k in watched[1]:
            lines += questions(world, [(watched[0], watched[0])])
    lines += questions(world, spans)
    lines.append("rows")
    return lines


def disturbed(world, spans):
    """The same history through an aggregator that flushes, fails to, and starts anew, and a
    collector that delivers late: nothing may change by a byte."""
    rng = random.Random(f"disturbed {world.seed}")
    lines = setting(world)
    waiting = 0
    late = "stamp" not in world.themes
    for snap in world.snaps:
        lines += command(snap)
        waiting += 1
        if late and rng.random() < 0.3 and snap is not world.snaps[-1]:
            continue
        lines.append(f"deliver {waiting} {snap.received} {rng.randrange(2)}")
        waiting = 0
        if rng.random() < 0.4:
            lines.append(f"flush {snap.received}")
        elif rng.random() < 0.1:
            lines.append(f"failflush {snap.received}")
        if rng.random() < 0.25:
            lines.append(f"restart {snap.received}")
    lines += questions(world, spans)
    lines.append("rows")
    return lines


def thinned(world, spans):
    """The same history through a spool that is short of room."""
    rng = random.Random(f"thinned {world.seed}")
    lines = setting(world)
    edges = " ".join(str(e) for e in world.edges)
    for i, snap in enumerate(world.snaps):
        lines += command(snap)
        if i < 2:
            lines.append(f"deliver 1 {snap.received} 0")
    for _ in range(len(world.snaps) // 2):
        lines.append(f"thin {rng.randrange(2, max(3, len(world.snaps) - 1))} {edges}")
    lines.append(f"deliver {len(world.snaps)} {world.snaps[-1].received} 0")
    lines += questions(world, spans)
    return lines


def usage(lines):
    """(sure, counted, upper, grade) of each answered question, in order."""
    found = []
    for line in lines:
        if line.startswith("usage "):
            w = [int(x) for x in line.split()[1:]]
            found.append(((w[0], w[1]), (w[2], w[3]), (w[2] + w[4], w[3] + w[5]), w[6]))
    return found


def complaints(lines):
    return [line for line in lines if line.startswith(("error", "refused"))]
