#!/usr/bin/env python3
"""Checks the table of conditions in docs/operations.md against what the programs show on /readyz: every
condition has a row, every row its condition, and the row says whether it makes the program unready.

The sources are read as text: a condition is named where it is said to hold or not, by a literal, a
constant of the same file, or a list that a loop goes through.
"""

import pathlib
import re
import sys

PAGE = "docs/operations.md"
# Program of the table: the folders of its sources.
PROGRAMS = {"all": "common/shell common/rpc", "aggregator": "aggregator", "notifier": "notifier",
            "collector": "collector"}

_SAID = re.compile(r"\breadiness_?\.(?P<how>NotReady|Ready|MakeAdvisory)\(\s*"
                   r"(?:\"(?P<name>\w+)\"|(?P<variable>\w+))")
_ROW = re.compile(r"^\| (\w+) \| `(\w+)` \| (not ready|shown) \|", re.M)


def _names(text, variable):
    """The conditions that a variable stands for; None when this file does not say."""
    constant = re.search(rf"\b{variable}(?:\[\])? = \"(\w+)\";", text)
    if constant:
        return [constant[1]]
    loop = re.search(rf"for \([^;()]*\b{variable} : \{{([^}}]*)\}}\)", text)
    return re.findall(r"\"(\w+)\"", loop[1]) if loop else None


def shown_by(root, folders):
    """({condition: "shown" or "not ready"}, [variables nothing is known of]) of folders' sources."""
    said, advisory, unknown = set(), set(), []
    for path in sorted(path for folder in folders.split() for path in (root / folder).rglob("*.cc")):
        text = path.read_text()
        for match in _SAID.finditer(text):
            names = [match["name"]] if match["name"] else _names(text, match["variable"])
            if names is None:
                # A member was given its name elsewhere, where the condition is made an advisory one.
                if not match["variable"].endswith("_"):
                    unknown.append(f"{path.relative_to(root)}: {match['variable']}")
                continue
            said.update(names)
            if match["how"] == "MakeAdvisory":
                advisory.update(names)
    return {name: "shown" if name in advisory else "not ready" for name in said}, unknown


def problems(root):
    rows = {(program, name): kind
            for program, name, kind in _ROW.findall((root / PAGE).read_text())}
    found = []
    for program, folder in PROGRAMS.items():
        conditions, unknown = shown_by(root, folder)
        if len(conditions) < 2:
            found.append(f"only {len(conditions)} conditions found in {folder}: fit the patterns of "
                         "tools/lint/condition_table.py to the sources")
            continue
        found += [f"{place}: which condition is that? Name it by a literal or a constant"
                  for place in unknown]
        for name, kind in sorted(conditions.items()):
            row = rows.pop((program, name), None)
            if row is None:
                found.append(f"{PAGE}: the table lacks `{name}` of {program} ({kind}): say when it "
                             "does not hold and what to do")
            elif row != kind:
                found.append(f"{PAGE}: `{name}` of {program} is \"{kind}\", not \"{row}\"")
    found += [f"{PAGE}: {program} has no condition `{name}`: take the row out"
              for program, name in sorted(rows) if program in PROGRAMS]
    return found


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    found = problems(root)
    print("\n".join(found) or f"{PAGE} names the conditions that the programs show")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
