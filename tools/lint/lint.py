#!/usr/bin/env python3
"""Checks layering and house rules over the whole tree; prints path:line: [rule] what to do."""

import argparse
import os
import sys

sys.dont_write_bytecode = True

import append_only
import house_rules
import layering
import source_tree


def findings_in(root):
    files = source_tree.read_tree(root)
    found = layering.check(files) + house_rules.check(files) + append_only.check(files)
    return files, sorted(found, key=lambda item: (item.path, item.line, item.rule, item.message))


def main():
    default_root = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", default=default_root)
    parser.add_argument("--list-pure", action="store_true", help="print the pure .cc files and stop")
    arguments = parser.parse_args()
    if arguments.list_pure:
        for file in source_tree.read_tree(arguments.root):
            if layering.is_pure(file) and file.name.endswith(".cc"):
                print(file.path)
        return 0
    files, found = findings_in(arguments.root)
    for finding in found:
        print(finding)
    cpp = sum(file.is_cpp for file in files)
    if not cpp:
        print(f"lint: no C++ files under {arguments.root}", file=sys.stderr)
        return 2
    print(f"lint: {len(found)} findings in {len(files)} files, {cpp} of them C++", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
