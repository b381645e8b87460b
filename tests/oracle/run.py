"""Runs seeds through the product and says where it is wrong. scripts/oracle calls it."""

import argparse
import collections
import multiprocessing
import os
import sys
import time

import driver_client
import show
from check import (broken_assumptions, contained, enumerated, finished_first_day, known, spans,
                   true_bytes)
from exceptions import excepted
from world import World
from world_breaks import BREAKS

OWED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "owed_seeds.txt")
ATTEMPTS = 8
BATCH = 50


def make(seed, broken=None):
    """The seed's world: the first of its attempts that keeps the stated assumptions."""
    for attempt in range(ATTEMPTS):
        world = World(seed, attempt, broken)
        menu = enumerated(world)
        why = broken_assumptions(world, menu)
        if not why or broken is not None:
            return world, menu
    return None, None


def read_owed(path=OWED):
    """{seed: kinds} of the seeds that are known to fail."""
    owed = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if line.strip() and not line.startswith("#"):
                seed, kinds = line.split(":")
                owed[int(seed)] = {kind.strip() for kind in kinds.split(",")}
    return owed


class Found:
    """One thing that is wrong with a seed; `name` is the queue's, where it is one queue's."""

    def __init__(self, seed, kind, words):
        self.seed, self.kind, self.words = seed, kind, words
        self.name = words.split(" ", 1)[0].rstrip(":")
        self.exception = None


def compare(world, menu, asked, lines):
    """What is wrong with the product's answers, by kind."""
    found = []
    for words in driver_client.complaints(lines):
        found.append(Found(world.seed, "refused", words))
    figures = menu.figures()
    answers = driver_client.usage(lines)
    watched = finished_first_day(world)
    early = len(watched[1]) * len(world.names) if watched else 0
    found += monotonic(world, menu, watched, answers[:early])
    answers = answers[early:]
    found += add_up(world, asked, answers)
    at = 0
    for first, last in asked:
        for name in sorted(world.names):
            if at >= len(answers):
                return found + [Found(world.seed, "refused", "questions without an answer")]
            sure, counted, upper, _ = answers[at]
            at += 1
            truth = true_bytes(world, name, first, last)
            days = f"{name} days {first}-{last}"
            if not contained(truth, sure, upper):
                found.append(Found(world.seed, "truth outside",
                                   f"{days}: truth {truth}, sure {sure}, upper {upper}"))
            k_sure, k_counted, k_upper = known(world, figures, name, first, last)
            if not contained(truth, k_sure, k_upper):
                found.append(Found(world.seed, "enumerator wrong", f"{days}: truth {truth}, sure "
                                   f"{k_sure}, upper {k_upper}"))
                continue
            if world.large:
                continue
            if any(sure[w] < k_sure[w] or upper[w] > k_upper[w] for w in (0, 1)):
                found.append(Found(world.seed, "wider", f"{days}: sure {sure} upper {upper}, could be "
                                   f"{k_sure} {k_upper}"))
            if counted != k_counted:
                found.append(Found(world.seed, "counted", f"{days}: {counted}, by the list "
                                   f"{k_counted}"))
    return found


def monotonic(world, menu, watched, answers):
    """A finished day's sure bytes never fall as readings arrive. Its upper bound never rises, and a
    parent's sure bytes never fall, once nothing is undecided: a dispute that lies across the day's
    end holds later bytes too."""
    found = []
    parents = {row.parent for snap in world.snaps for row in snap.rows}
    names = sorted(world.names)
    for i in range(len(names), len(answers)):
        sure, _, upper, _ = answers[i]
        was_sure, _, was_upper, _ = answers[i - len(names)]
        k = watched[1][i // len(names)]
        words = f"{names[i % len(names)]} day {watched[0]} at reply {k}"
        settled = not menu.open_after[k - 1]
        if (settled or names[i % len(names)] not in parents) and any(
                sure[w] < was_sure[w] for w in (0, 1)):
            found.append(Found(world.seed, "sure fell", f"{words}: {was_sure} to {sure}"))
        if settled and any(upper[w] > was_upper[w] for w in (0, 1)):
            found.append(Found(world.seed, "upper rose", f"{words}: {was_upper} to {upper}"))
    return found


def add_up(world, asked, answers):
    """What is counted on the days of a span is what is counted on the span; what is sure of the
    span is at least what is sure of the days, and its upper bound at most theirs."""
    if len(asked) < 2:
        return []
    found = []
    names = len(world.names)
    for i, name in enumerate(sorted(world.names)):
        of_days = answers[i:len(answers) - names:names]
        sure, counted, upper, _ = answers[len(answers) - names + i]
        for w in (0, 1):
            if sum(a[1][w] for a in of_days) != counted[w] or sum(
                    a[0][w] for a in of_days) > sure[w] or sum(a[2][w] for a in of_days) < upper[w]:
                found.append(Found(world.seed, "sums", f"{name}: days {of_days}, span {sure} "
                                   f"{counted} {upper}"))
                break
    return found


def rows(lines):
    return [line for line in lines if line.startswith("day ")]


def work(task):
    """Runs some seeds with a driver of its own."""
    path, seeds, broken = task
    driver = driver_client.Driver(path)
    found, skipped = [], 0
    try:
        for begin in range(0, len(seeds), BATCH):
            worlds = []
            for seed in seeds[begin:begin + BATCH]:
                world, menu = make(seed, broken)
                if world is None:
                    skipped += 1
                    continue
                worlds.append((world, menu, spans(world)))
            scripts = []
            for world, menu, asked in worlds:
                scripts.append(driver_client.plain(world, asked, finished_first_day(world)))
                scripts.append(driver_client.disturbed(world, asked))
                # Where a stamp is ahead of its receipt, when it is delivered decides what it counts
                # for, so a spool that waits changes the figures.
                scripts.append(driver_client.thinned(world, asked) if "stamp" not in world.themes
                               else driver_client.plain(world, asked))
            answers = driver.run(scripts)
            for i, (world, menu, asked) in enumerate(worlds):
                one, two, three = answers[3 * i:3 * i + 3]
                found += compare(world, menu, asked, one)
                last = len(driver_client.usage(two))
                if rows(one) != rows(two) or (
                        driver_client.usage(one)[-last:] != driver_client.usage(two)):
                    found.append(Found(world.seed, "restart", "the rows differ after flushes, "
                                       "restarts and late deliveries"))
                sure = [(u[0], u[2]) for u in driver_client.usage(one)[-last:]]
                if sure != [(u[0], u[2]) for u in driver_client.usage(three)] or (
                        driver_client.complaints(three)):
                    found.append(Found(world.seed, "merge", "the figures differ when snapshots are "
                                       "merged in the spool"))
                if broken is None:
                    for f in found:
                        if f.seed == world.seed:
                            f.exception = excepted(world, menu, f.kind, f.name)
    finally:
        driver.close()
    return found, skipped


def replay(path, seed, broken):
    """Everything about one seed."""
    world, menu = make(seed, broken)
    if world is None:
        print(f"oracle: seed {seed}: no attempt keeps the stated assumptions")
        return 0
    asked = spans(world)
    driver = driver_client.Driver(path)
    script = driver_client.plain(world, asked)
    lines = driver.run([script[:-1] + ["rows", "events"]])[0]
    driver.close()
    answers = driver_client.usage(lines)
    product = {}
    at = 0
    for first, last in asked:
        for name in sorted(world.names):
            sure, counted, upper, grade = answers[at]
            product[(first, last, name)] = (f"sure {sure} counted {counted} upper {upper} "
                                            f"grade {grade}")
            at += 1
    print(show.text(world, menu, product))
    for line in lines:
        if not line.startswith("usage"):
            print("  " + line)
    found, _ = work((path, [seed], broken))
    for f in found:
        print(f"{f.kind}: {f.words}" + (f" (excepted: {f.exception})" if f.exception else ""))
    return 1 if any(f.exception is None for f in found) else 0


def commands(seed, broken):
    world, _ = make(seed, broken)
    for line in driver_client.plain(world, spans(world)) + ["run"]:
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


def main():
    parser = argparse.ArgumentParser(prog="scripts/oracle")
    parser.add_argument("--driver", required=True)
    parser.add_argument("--seeds", type=int, default=2000)
    parser.add_argument("--from", dest="first", type=int, default=0)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--break", dest="broken", choices=sorted(BREAKS))
    parser.add_argument("--commands", action="store_true")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--show", type=int, default=10)
    options = parser.parse_args()
    if options.seed is not None:
        if options.commands:
            commands(options.seed, options.broken)
            return 0
        return replay(options.driver, options.seed, options.broken)
    began = time.monotonic()
    seeds = range(options.first, options.first + options.seeds)
    part = max(BATCH, min(500, len(seeds) // (4 * options.jobs) + 1))
    tasks = [(options.driver, list(seeds[i:i + part]), options.broken) for i in range(0, len(seeds), part)]
    found, skipped = [], 0
    with multiprocessing.Pool(options.jobs) as pool:
        for more, left_out in pool.imap_unordered(work, tasks):
            found += more
            skipped += left_out
    if options.broken is not None:
        return broken_report(options, seeds, found)
    passed_over = collections.Counter()
    for title, seed in {(f.exception, f.seed) for f in found if f.exception}:
        passed_over[title] += 1
    found = [f for f in found if f.exception is None]
    owed = read_owed()
    failing = {f.seed for f in found}
    passes = sorted(seed for seed in owed if seed in seeds and seed not in failing)
    still = {f.seed for f in found if f.kind in owed.get(f.seed, ())}
    found = [f for f in found if f.kind not in owed.get(f.seed, ())]
    kinds = collections.Counter(f.kind for f in found)
    failed = {f.seed for f in found}
    for kind in kinds:
        for f in sorted((f for f in found if f.kind == kind), key=lambda f: f.seed)[:options.show]:
            print(f"oracle: {kind}: {f.words}\n        replay: scripts/oracle --seed {f.seed}")
    print(f"oracle: {len(seeds)} seeds in {time.monotonic() - began:.0f} s, {skipped} without a world "
          f"that keeps the assumptions, {len(failed)} failed"
          + "".join(f"; {kind} {n}" for kind, n in kinds.items()))
    for title, n in passed_over.most_common():
        print(f"oracle: {n} seeds differ as excepted: {title}")
    if still:
        print(f"oracle: {len(still)} seeds fail that are listed as owed in tests/oracle/owed_seeds.txt")
    if passes:
        print(f"oracle: these pass now, take them out of tests/oracle/owed_seeds.txt: {passes}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
