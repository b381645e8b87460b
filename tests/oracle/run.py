"""Runs seeds through the product and says where it is wrong. scripts/oracle calls it."""

import argparse
import collections
import multiprocessing
import os
import sys
import time

import driver_client
import scripts_of_cases as scripts
import show
from check import broken_assumptions, contained, known_bytes, make, true_bytes
from exceptions import excepted
from world_breaks import BREAKS
from world_kinds import KINDS
from world_setup import EVENTS

OWED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "owed_seeds.txt")
BATCH = 50


def read_owed(world, path=OWED):
    """{seed: kinds} of the seeds that are known to fail, of those without --world or with this one."""
    owed = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if line.strip() and not line.startswith("#"):
                name, kinds = line.split(":")
                *of_world, seed = name.split()
                if of_world == ([world] if world else []):
                    owed[int(seed)] = {kind.strip() for kind in kinds.split(",")}
    return owed


class Found:
    """One thing that is wrong with a seed; `name` is the queue's, where it is one queue's."""

    def __init__(self, seed, kind, words, part=None):
        self.seed, self.kind, self.words, self.part = seed, kind, words, part
        self.name = words.split(" ", 1)[0].rstrip(":")
        self.exception = None


def _sum(answers):
    return tuple(tuple(sum(a[i][w] for a in answers) for w in (0, 1)) for i in range(3)) + (
        max(a[3] for a in answers),)


def compare(case, script, lines):
    """What is wrong with the product's answers, by kind."""
    found = [Found(case.seed, "refused", words) for words in driver_client.complaints(lines)]
    answers = driver_client.usage(lines)
    if len(answers) != len(script.asked):
        return found + [Found(case.seed, "refused", "questions without an answer")]
    answered = {}
    for asked, answer in zip(script.asked, answers):
        answered.setdefault(asked, []).append(answer)
    answered = {asked: _sum(of_entries) for asked, of_entries in answered.items()}
    for part in case.parts:
        mine = {asked[1:]: answer for asked, answer in answered.items() if asked[0] is part}
        found += monotonic(case.seed, part, mine)
        found += add_up(case.seed, part, mine)
        found += _judge(case.seed, part, mine)
    return found


def _judge(seed, part, answered):
    world = part.world
    found = []
    for (what, name, begin, end), (sure, counted, upper, _) in answered.items():
        if what.startswith("at reply"):
            continue
        truth = true_bytes(world, name, begin, end)
        days = f"{name} {what}"
        if not contained(truth, sure, upper):
            found.append(Found(seed, "truth outside", f"{days}: truth {truth}, sure {sure}, upper "
                               f"{upper}", part))
        if world.twin_snaps:
            # Which entry counts is the product's own rule; where nothing happened, all is known.
            if not world.log and (sure, counted) != (truth, truth):
                found.append(Found(seed, "counted", f"{days}: {counted}, sure {sure}, of two entries that "
                                   f"saw {truth}", part))
            continue
        k_sure, k_counted, k_upper = known_bytes(world, part.known.figures(), name, begin, end)
        if not contained(truth, k_sure, k_upper):
            found.append(Found(seed, "enumerator wrong", f"{days}: truth {truth}, sure {k_sure}, "
                               f"upper {k_upper}", part))
            continue
        if world.large:
            continue
        if any(sure[w] < k_sure[w] or upper[w] > k_upper[w] for w in (0, 1)):
            found.append(Found(seed, "wider", f"{days}: sure {sure} upper {upper}, could be {k_sure} "
                               f"{k_upper}", part))
        if counted != k_counted:
            found.append(Found(seed, "counted", f"{days}: {counted}, by the list {k_counted}", part))
    return found


def monotonic(seed, part, answered):
    """A finished day's sure bytes never fall as readings arrive. Its upper bound never rises, and a
    parent's sure bytes never fall, once nothing is undecided: a dispute that lies across the day's
    end holds later bytes too."""
    found = []
    if part.watched is None:
        return found
    world = part.world
    parents = {row.parent for snap in world.snaps + world.tree_snaps for row in snap.rows}
    day, over = part.watched
    begin, end = world.edges[day], world.edges[day + 1]
    for before, k in zip(over, over[1:]):
        settled = not part.known.open_after[k - 1]
        for name in sorted(world.names):
            was_sure, _, was_upper, _ = answered[(f"at reply {before}", name, begin, end)]
            sure, _, upper, _ = answered[(f"at reply {k}", name, begin, end)]
            words = f"{name} day {day} at reply {k}"
            if (settled or name not in parents) and any(sure[w] < was_sure[w] for w in (0, 1)):
                found.append(Found(seed, "sure fell", f"{words}: {was_sure} to {sure}", part))
            if settled and any(upper[w] > was_upper[w] for w in (0, 1)):
                found.append(Found(seed, "upper rose", f"{words}: {was_upper} to {upper}", part))
    return found


def add_up(seed, part, answered):
    """What is counted on the days of a span is what is counted on the span; what is sure of the
    span is at least what is sure of the days, and its upper bound at most theirs. So of segments
    and their day."""
    found = []
    for name in sorted(part.world.names):
        mine = {key: answer for key, answer in answered.items()
                if key[1] == name and not key[0].startswith("at reply")}
        for (what, _, begin, end), (sure, counted, upper, _) in mine.items():
            inside = [a for key, a in mine.items() if begin <= key[2] and key[3] <= end
                      and (key[2], key[3]) != (begin, end)]
            days = [a for key, a in mine.items() if key[0].startswith("days") and key[2] >= begin
                    and key[3] <= end and (key[2], key[3]) != (begin, end)]
            parts = days if days else inside
            covered = what.startswith("days") and parts and _covers(mine, begin, end, days, part)
            if not covered:
                continue
            for w in (0, 1):
                if sum(a[1][w] for a in parts) != counted[w] or sum(
                        a[0][w] for a in parts) > sure[w] or sum(a[2][w] for a in parts) < upper[w]:
                    found.append(Found(seed, "sums", f"{name} {what}: parts {parts}, whole {sure} "
                                       f"{counted} {upper}", part))
                    break
    return found


def _covers(mine, begin, end, days, part):
    """True when the parts that were asked for make up the whole of what was read of it."""
    if days:
        return True
    segments = [key for key in mine if key[0].startswith("day ") and begin <= key[2] < end]
    first, last = max(begin, part.world.at[0]), min(end, part.world.at[-1])
    return bool(segments) and min(k[2] for k in segments) <= first and max(
        k[3] for k in segments) >= last


def _outside(seed, script, answers):
    """Where the truth lies outside when snapshots were merged in the spool."""
    found = []
    for (part, what, name, begin, end), (sure, _, upper, _) in zip(script.asked, answers):
        truth = true_bytes(part.world, name, begin, end)
        if not contained(truth, sure, upper):
            found.append(Found(seed, "truth outside", f"{name} {what}, merged in the spool: truth {truth}, "
                               f"sure {sure}, upper {upper}", part))
    return found


class Told:
    """The scripts of a case, in the order in which the driver is given them."""

    def __init__(self, case):
        self.case = case
        self.plain = scripts.plain(case)
        self.by_name = {"restart": scripts.disturbed(case)}
        if case.may_wait():
            self.by_name["merge"] = scripts.thinned(case)
        if "clock" in case.kinds:
            self.by_name["clock"] = scripts.stepped(case)
        if "replies" in case.kinds:
            self.by_name["reader"] = scripts.wired(case)

    def lines(self):
        return [self.plain.lines] + [s.lines for s in self.by_name.values()]

    def judge(self, answers):
        """What is wrong with the driver's answers."""
        one = answers[0]
        found = compare(self.case, self.plain, one)
        for (name, script), lines in zip(self.by_name.items(), answers[1:]):
            found += self._same(name, script, one, lines)
        return found

    def _same(self, name, script, one, lines):
        asked = len(script.asked)
        usage, expected = driver_client.usage(lines), driver_client.usage(one)[-asked:]
        seed = self.case.seed
        if name == "merge":
            outside = _outside(seed, script, usage)
            if outside:
                return outside
            if [(u[0], u[2]) for u in expected] != [(u[0], u[2]) for u in usage] or (
                    driver_client.complaints(lines)):
                return [Found(seed, "merge", "the figures differ when snapshots are merged in the spool",
                              self.case.parts[0])]
            return []
        found = []
        if name == "reader":
            got = [line.split(" ", 1)[0] for line in lines if line.startswith(("taken", "lost"))]
            if got != script.expected:
                at = next((i for i, (a, b) in enumerate(zip(got, script.expected)) if a != b), len(got))
                found.append(Found(seed, "reader", f"reply {at} of {len(script.expected)} was not "
                                   f"{(script.expected + ['asked for'])[at]}"))
        rows = driver_client.rows
        if name == "clock":
            rows = driver_client.rows_without_watch
        if rows(one) != rows(lines) or expected != usage or (
                driver_client.complaints(lines)):
            found.append(Found(seed, name, WHY_ROWS_DIFFER[name]))
        return found


WHY_ROWS_DIFFER = {
    "restart": "the rows differ after flushes, restarts and late deliveries",
    "clock": "the rows differ when the aggregator's own clock steps",
    "reader": "the rows differ when replies come through the collector's reader",
}


class Done:
    """What a worker found, and what its worlds were of."""

    def __init__(self):
        self.found = []
        self.skipped = 0
        self.kinds = collections.Counter()
        self.faults = collections.Counter()

    def add(self, other):
        self.found += other.found
        self.skipped += other.skipped
        self.kinds += other.kinds
        self.faults += other.faults


def work(task):
    """Runs some seeds with a driver of its own."""
    path, seeds, broken, kind = task
    driver = driver_client.Driver(path)
    done = Done()
    try:
        for begin in range(0, len(seeds), BATCH):
            told = []
            for seed in seeds[begin:begin + BATCH]:
                case = make(seed, broken, kind)
                if case is None:
                    done.skipped += 1
                    continue
                told.append(Told(case))
                done.kinds.update(case.kinds | case.world.happened)
            answers = driver.run([lines for t in told for lines in t.lines()])
            at = 0
            for t in told:
                count = len(t.lines())
                found = t.judge(answers[at:at + count])
                at += count
                if "reader" in t.by_name:
                    done.faults += t.by_name["reader"].faults
                for f in found:
                    if broken is None and f.part is not None:
                        f.exception = excepted(f.part.world, f.part.known, f.kind, f.name)
                    f.part = None
                done.found += found
    finally:
        driver.close()
    return done


def replay(path, seed, broken, kind):
    """Everything about one seed."""
    case = make(seed, broken, kind)
    if case is None:
        print(f"oracle: seed {seed}: no attempt keeps the stated assumptions")
        return 0
    script = scripts.plain(case, watch=False)
    driver = driver_client.Driver(path)
    lines = driver.run([script.lines + ["events"]])[0]
    driver.close()
    answers = driver_client.usage(lines)
    product = {}
    for asked, answer in zip(script.asked, answers):
        part, what, name = asked[:3]
        sure, counted, upper, grade = answer
        product.setdefault((part, what, name), []).append(
            f"sure {sure} counted {counted} upper {upper} grade {grade}")
    for part in case.parts:
        print(show.text(part, {k[1:]: " + ".join(v) for k, v in product.items() if k[0] is part},
                        [k[1:] for k in script.asked if k[0] is part]))
    for line in lines:
        if not line.startswith("usage"):
            print("  " + line)
    found = work((path, [seed], broken, kind)).found
    for f in found:
        print(f"{f.kind}: {f.words}" + (f" (excepted: {f.exception})" if f.exception else ""))
    return 1 if any(f.exception is None for f in found) else 0


def commands(seed, broken, kind):
    for line in scripts.plain(make(seed, broken, kind)).lines + ["run"]:
        print(line)


def broken_report(options, seeds, found):
    """The worlds break an assumption, so truths outside are what must be there."""
    outside = sorted({f.seed for f in found if f.kind == "truth outside"})
    print(f"oracle: broken: {BREAKS[options.broken]}")
    for seed in outside[:3]:
        words = next(f.words for f in found if f.seed == seed and f.kind == "truth outside")
        print(f"oracle: truth outside, as it must be: {words}\n        replay: scripts/oracle --break "
              f"{options.broken} --seed {seed}")
    print(f"oracle: --break {options.broken}: truth outside in {len(outside)} of {len(seeds)} worlds")
    if not outside:
        print("oracle: error: no world shows that the assumption is needed")
    return 0 if outside else 1


def worlds_report(options, kinds, faults):
    """How many worlds had what; everything must have been there."""
    wanted = [options.world] if options.world else sorted(set(EVENTS) | set(KINDS))
    for kind in wanted:
        print(f"oracle: {kinds[kind]} worlds with {kind}")
    if faults:
        print("oracle: replies refused by the collector's reader: "
              + ", ".join(f"{n} {fault}" for fault, n in sorted(faults.items())))
    lacking = [kind for kind in wanted if kinds[kind] == 0]
    if lacking:
        print(f"oracle: error: no world had {', '.join(lacking)}")
    return 1 if lacking else 0


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/oracle")
    parser.add_argument("--driver", required=True)
    parser.add_argument("--seeds", type=int, default=2000)
    parser.add_argument("--from", dest="first", type=int, default=0)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--break", dest="broken", choices=sorted(BREAKS))
    parser.add_argument("--world", choices=sorted(set(KINDS) | set(EVENTS)))
    parser.add_argument("--counts", action="store_true")
    parser.add_argument("--commands", action="store_true")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--show", type=int, default=10)
    return parser.parse_args()


def run_all(options, seeds):
    part = max(BATCH, min(500, len(seeds) // (4 * options.jobs) + 1))
    tasks = [(options.driver, list(seeds[i:i + part]), options.broken, options.world)
             for i in range(0, len(seeds), part)]
    done = Done()
    with multiprocessing.Pool(options.jobs) as pool:
        for more in pool.imap_unordered(work, tasks):
            done.add(more)
    return done


def main():
    options = arguments()
    if options.seed is not None:
        if options.commands:
            commands(options.seed, options.broken, options.world)
            return 0
        return replay(options.driver, options.seed, options.broken, options.world)
    began = time.monotonic()
    seeds = range(options.first, options.first + options.seeds)
    done = run_all(options, seeds)
    found, skipped = done.found, done.skipped
    if options.broken is not None:
        return broken_report(options, seeds, found)
    passed_over = collections.Counter()
    for title, seed in {(f.exception, f.seed) for f in found if f.exception}:
        passed_over[title] += 1
    found = [f for f in found if f.exception is None]
    owed = read_owed(options.world)
    failing = {f.seed for f in found}
    passes = sorted(seed for seed in owed if seed in seeds and seed not in failing)
    still = {f.seed for f in found if f.kind in owed.get(f.seed, ())}
    found = [f for f in found if f.kind not in owed.get(f.seed, ())]
    kinds = collections.Counter(f.kind for f in found)
    failed = {f.seed for f in found}
    again = f" --world {options.world}" if options.world else ""
    for kind in kinds:
        for f in sorted((f for f in found if f.kind == kind), key=lambda f: f.seed)[:options.show]:
            print(f"oracle: {kind}: {f.words}\n        replay: scripts/oracle{again} --seed {f.seed}")
    print(f"oracle: {len(seeds)} seeds in {time.monotonic() - began:.0f} s, {skipped} without a world "
          f"that keeps the assumptions, {len(failed)} failed"
          + "".join(f"; {kind} {n}" for kind, n in kinds.items()))
    for title, n in passed_over.most_common():
        print(f"oracle: {n} seeds differ as excepted: {title}")
    if still:
        print(f"oracle: {len(still)} seeds fail that are listed as owed in tests/oracle/owed_seeds.txt")
    if passes:
        print(f"oracle: these pass now, take them out of tests/oracle/owed_seeds.txt: {passes}")
    lacking = 0
    if options.counts or options.world:
        lacking = worlds_report(options, done.kinds, done.faults)
    return 1 if found or lacking else 0


if __name__ == "__main__":
    sys.exit(main())
