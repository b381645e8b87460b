#!/usr/bin/env python3
"""Runs one libFuzzer binary until it has done enough executions and enough seconds.

Exit 0: nothing found, or with --expect-planted-bug: the planted bug found, and not by a seed.
"""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

PLANTED_MARK = "planted bug reached"
DONE = re.compile(r"Done (\d+) runs in (\d+) second")


def fuzz(args, corpus_dirs, limits):
    command = [
        str(args.binary), "-seed=20261122", f"-max_len={args.max_len}", "-timeout=20",
        "-rss_limit_mb=1024", f"-artifact_prefix={args.artifacts}/{args.binary.name}-", *limits
    ]
    dictionary = args.corpus.with_name(args.corpus.name + ".dict")
    if dictionary.exists():
        command.append(f"-dict={dictionary}")
    command += corpus_dirs
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    output = done.stdout.decode("utf-8", "replace")
    found = DONE.search(output)
    return done.returncode, output, int(found[1]) if found else 0, int(found[2]) if found else 0


def show_tail(output):
    print("\n".join(output.splitlines()[-60:]))


def expect_nothing(args, corpus_dirs):
    runs = seconds = 0
    while runs < args.runs or seconds < args.seconds:
        # libFuzzer ends at whichever limit comes first, so they are given one after the other.
        if seconds < args.seconds:
            limits = [f"-max_total_time={args.seconds - seconds}"]
        else:
            limits = [f"-runs={args.runs - runs}"]
        code, output, more_runs, more_seconds = fuzz(args, corpus_dirs, limits)
        if code != 0 or more_runs == 0:
            show_tail(output)
            print(f"{args.binary.name}: failed (exit {code}); the input is in {args.artifacts}")
            return 1
        runs += more_runs
        seconds += max(more_seconds, 1)
    print(f"{args.binary.name}: {runs} executions in {seconds} s, nothing found")
    return 0


def expect_planted_bug(args, corpus_dirs):
    code, output, _, _ = fuzz(args, corpus_dirs, ["-runs=0"])
    if code != 0:
        show_tail(output)
        print(f"{args.binary.name}: a seed fails by itself, so finding the bug would prove nothing")
        return 1
    # Counted in executions, so that a busy machine makes it slower and not weaker.
    code, output, _, _ = fuzz(args, corpus_dirs, [f"-runs={args.runs * 5}"])
    if code == 0 or PLANTED_MARK not in output:
        show_tail(output)
        print(f"{args.binary.name}: the planted bug was not found (exit {code})")
        return 1
    runs = re.findall(r"^#(\d+)", output, re.MULTILINE)
    print(f"{args.binary.name}: planted bug found after {runs[-1] if runs else '?'} executions")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, required=True)
    parser.add_argument("--seconds", type=int, required=True)
    parser.add_argument("--max-len", type=int, required=True)
    parser.add_argument("--corpus", type=pathlib.Path, required=True)
    parser.add_argument("--artifacts", type=pathlib.Path, required=True)
    parser.add_argument("--expect-planted-bug", action="store_true")
    parser.add_argument("binary", type=pathlib.Path)
    args = parser.parse_args()
    if not any(args.corpus.iterdir()):
        print(f"no seed in {args.corpus}")
        return 1
    args.artifacts.mkdir(parents=True, exist_ok=True)
    # New inputs go to the first folder: the seeds in the tree stay as they are.
    with tempfile.TemporaryDirectory(prefix="netsentinel-fuzz-") as found:
        check = expect_planted_bug if args.expect_planted_bug else expect_nothing
        return check(args, [found, str(args.corpus)])


if __name__ == "__main__":
    sys.exit(main())
