"""Plants bugs in a scratch copy of the accounting, one at a time: the oracle must find each.

Every bug is an exact edit of one place. An edit whose old text is not there exactly once fails: then
the table below is to be brought up to date. A bug is found when a seed fails that does not fail
without it.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys

import run

ROOT = pathlib.Path(__file__).resolve().parents[2]
MOST_SEEDS = 2000
CHUNK = 200
COPIED = ("CMakeLists.txt", "cmake", "common", "aggregator", "tests", "proto", "collector", "notifier",
          "tools", "deploy", "scripts", "docs")

A, C, R = "aggregator/accounting/", "common/counters/", "collector/routeros/"
# Name -> (file, old text, new text).
BUGS = {
    "the least is taken for the most": (
        A + "evidence.cc", "to.sure = to.reached ? Least(to.sure, sure) : sure;",
        "to.sure = to.reached ? Most(to.sure, sure) : sure;"),
    "unseen bytes of a course are forgotten": (
        A + "evidence.cc", "to.upper = Most(to.upper, from.upper + option.bytes + option.unseen);",
        "to.upper = Most(to.upper, from.upper + option.bytes);"),
    "a reset hides nothing": (
        A + "evidence.cc", "{what, from_zero, Less(most, from_zero),", "{what, from_zero, {},"),
    "no counter ever steps back": (
        A + "evidence.cc", "if (byte_fell && !from_zero.zero()) {",
        "if (byte_fell && from_zero.zero()) {"),
    "another timeline is no explanation": (
        A + "evidence.cc", "if (timeline) Try(i, j, {Explanation::kTimeline, {}, most, kRankTimeline});",
        "(void)timeline;"),
    "the usual rate says nothing": (
        A + "evidence.cc", "return here <= usual * 4 && usual <= here * 4;", "return false;"),
    "the bucket is twice as large": (
        A + "evidence.cc", "constexpr std::int64_t kBucketUs = 10'000'000;",
        "constexpr std::int64_t kBucketUs = 20'000'000;"),
    "a step back may be ten times as large": (
        A + "evidence.cc", "constexpr std::uint64_t kSmallFallPart = 1000;",
        "constexpr std::uint64_t kSmallFallPart = 100;"),
    "what a frozen dispute may have hidden is forgotten": (
        A + "evidence.cc", "figures.upper = Most(figures.upper, node.upper + unseen);",
        "figures.upper = Most(figures.upper, node.upper);"),
    "zeros after zeros are evidence": (
        A + "evidence.cc", "if (ShowsNothing(At(j)) && !(j == 1 && ShowsNothing(At(0)))) return false;",
        "if (ShowsNothing(At(j)) && j == 1 && !ShowsNothing(At(0))) return false;"),
    "a span keeps what crosses its begin": (
        A + "usage_sum.cc", "crossing += run.front()->begin_inside;",
        "crossing += TrafficBytes{};"),
    "a span forgets what crosses its end": (
        A + "usage_sum.cc", "sum.unseen += run.back()->end_outside;",
        "sum.unseen += TrafficBytes{};"),
    "an edge knows one share too few": (
        A + "book_expand.cc", "add.extra.end_outside = Sum(upper_shares, i + 1, parts.size());",
        "add.extra.end_outside = Sum(upper_shares, i + 2, parts.size());"),
    "a child's unseen bytes are its parent's": (
        A + "applier_settle.cc", "own.sure = Less(Less(raw.sure, owed.most), owed.unseen);",
        "own.sure = Less(raw.sure, owed.most);"),
    "a debt is forgiven": (
        A + "applier_settle.cc", "owed.counted = Less(owed.counted, raw.counted);",
        "owed.counted = {};"),
    "uptime is believed within half a minute": (
        C + "matching.cc", "return 3 * kSecondUs + requests + ElapsedUs(before, now) / 5000;",
        "return 30 * kSecondUs + requests + ElapsedUs(before, now) / 5000;"),
    "an uptime ahead is nothing": (
        C + "matching.cc", "if (drift > slack) return {.same = !one_host || !now.pause_decided, .timeline = true};",
        "if (drift > slack) return {.same = true};"),
    "a restored image is a restart": (
        C + "matching.cc",
        "return {.same = !one_host && uptime >= uptime_before, .restart = !one_host, .timeline = true};",
        "return {.restart = true};"),
    "a pause of the host is not counted": (
        C + "matching.cc",
        "const std::int64_t paused = std::max<std::int64_t>(now.host_paused_us - before.host_paused_us, 0);",
        "const std::int64_t paused = 0;"),
    "merging loses a fall": (
        C + "merge.cc", "NoWitnessFell(before.reading, now.reading);",
        "(NoWitnessFell(before.reading, now.reading) || !before.held);"),
    "a checkpoint forgets the usual rate": (
        A + "checkpoint.cc", "AppendVarint(out, slot.rate.bytes);", "AppendVarint(out, 0);"),
    "a checkpoint forgets that a base may be bad": (
        A + "checkpoint.cc", "slot.base_may_be_bad = static_cast<std::uint8_t>(doubted);",
        "slot.base_may_be_bad = 0;"),
    "a stamp may be a minute ahead of its receipt": (
        A + "menu_state.cc", "at = std::min(stamp, received_us + kAheadUs);",
        "at = std::min(stamp, received_us + 60 * kSecondUs);"),
    "two entries of one device are two machines": (
        A + "book_twins.cc", "if (!OneBoot(now, *other.last)) {", "if (OneBoot(now, *other.last)) {"),
    "one serial number is one machine": (
        A + "book_twins.cc", "return std::abs(began_a - began_b) <= slack;",
        "return std::abs(began_a - began_b) >= 0;"),
    "children count where only roots do": (
        A + "applier_dispute.cc",
        "if (context_.settings.parents != ParentsMode::kRoots) return false;", "return false;"),
    "what lies on a cut belongs to the segment before": (
        A + "calendar.cc", "at_us >= edges[segment + 1]", "at_us > edges[segment + 1]"),
    "a stamp is held to a receipt that nobody agreed to": (
        A + "menu_state.cc", "if (received_us == 0) return std::max(stamp, previous_us);",
        "if (received_us < 0) return std::max(stamp, previous_us);"),
    "a step of the wall clock is followed at once": (
        "aggregator/ingest/agreed_time.cc",
        "if (std::abs(offset - offset_us_) > kFollowUs) return LookAtStep(offset, boot_us);",
        "(void)&AgreedTime::LookAtStep;"),
    "a queue tree's bytes are its upload": (
        R + "queue_menu_reader.cc", "return NumberPair{0, *number};", "return NumberPair{*number, 0};"),
    "one row may come twice": (
        R + "queue_menu_reader.cc", "if (!rows.try_emplace(known.row_id, row).second) {",
        "if (!rows.try_emplace(known.row_id, row).second && rows.empty()) {"),
    "a refusal in mid reply is no refusal": (
        R + "session.cc", "request.result.status = StatusOfTraps(request.command, request.result.traps);",
        "(void)StatusOfTraps;"),
}


def sh(*command, cwd=None):
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)
    if done.returncode != 0:
        print(done.stdout[-4000:])
        raise SystemExit(f"falsify: error: {' '.join(command)} failed")


def copy_tree(scratch):
    """The sources, files that have not changed left alone, so that little is compiled anew."""
    for top in COPIED:
        source = ROOT / top
        files = [source] if source.is_file() else [f for f in source.rglob("*") if f.is_file()]
        for file in files:
            if "__pycache__" in file.parts:
                continue
            to = scratch / file.relative_to(ROOT)
            if to.exists() and to.read_bytes() == file.read_bytes():
                continue
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, to)


def build(scratch):
    sh("ninja", "-C", "build", "oracle_driver", cwd=scratch)
    return str(scratch / "build" / "bin" / "oracle_driver")


def failing(driver, first):
    """Seeds of the chunk that fail, each with the first kind of its failures."""
    kinds = {}
    for f in run.work((driver, list(range(first, first + CHUNK)), None, None)).found:
        kinds.setdefault((f.seed, f.kind), f)  # excepted or not: it is new here
    return kinds


def safely(driver, first):
    try:
        return failing(driver, first)
    except (RuntimeError, OSError, ValueError, IndexError):
        return {(first, "the driver ended"): None}


def main():
    parser = argparse.ArgumentParser(prog="scripts/oracle --falsify")
    parser.add_argument("--only", action="append", help="names of bugs; without it all of them")
    parser.add_argument("--scratch", default=str(ROOT / "build" / "oracle-falsify"))
    options = parser.parse_args()
    names = options.only or list(BUGS)
    wrong = 0
    for name in names:
        file, old, _ = BUGS[name]
        count = (ROOT / file).read_text(encoding="utf-8").count(old)
        if count != 1:
            print(f"falsify: error: \"{name}\": its old text stands {count} times in {file}")
            wrong += 1
    scratch = pathlib.Path(options.scratch)
    scratch.mkdir(parents=True, exist_ok=True)
    copy_tree(scratch)
    sh("cmake", "-S", ".", "-B", "build", "-G", "Ninja", "-DNS_WERROR=OFF",
       "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_CXX_FLAGS_DEBUG=-O1", cwd=scratch)
    driver = build(scratch)
    sound = {}
    missed = []
    for name in names:
        file, old, new = BUGS[name]
        text = (scratch / file).read_text(encoding="utf-8")
        if text.count(old) != 1:
            continue
        (scratch / file).write_text(text.replace(old, new), encoding="utf-8")
        mutant = scratch / "mutant"
        shutil.copyfile(build(scratch), mutant)
        os.chmod(mutant, 0o755)
        (scratch / file).write_text(text, encoding="utf-8")
        seen = None
        for first in range(0, MOST_SEEDS, CHUNK):
            if first not in sound:
                if first == 0 or max(sound) < first:
                    driver = build(scratch)
                sound[first] = set(safely(driver, first))
            more = {k: f for k, f in safely(str(mutant), first).items() if k not in sound[first]}
            if more:
                seen = min(more)
                break
        if seen is None:
            missed.append(name)
            print(f"falsify: NOT FOUND in {MOST_SEEDS} seeds: {name}", flush=True)
        else:
            print(f"falsify: found by seed {seen[0]} ({seen[1]}): {name}", flush=True)
    print(f"falsify: {len(names) - len(missed) - wrong} of {len(names)} bugs found, {wrong} edits out of "
          "date")
    return 1 if missed or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
