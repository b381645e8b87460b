#!/usr/bin/env python3
"""Checks that docs/configuration.md names every key that the programs read."""

import pathlib
import re
import sys

SOURCES = ("collector/app/settings.cc", "aggregator/app/settings.cc",
           "aggregator/app/policy_settings.cc", "notifier/app/settings.cc",
           "common/config/shared_sections.cc", "common/shell/shell.cc")
CALL = re.compile(r'(?:\b(?:Required|Optional)\w+(?:<[\w:]+>)?|NameListOrWord)\(\s*"(\w+)"'
                  r'|ReadListenAddress\(\w+, "(\w+)"')


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    named = {word for span in re.findall(r"`([^`]+)`", (root / "docs/configuration.md").read_text())
             for word in re.findall(r"\w+", span)}
    missing, seen = [], 0
    for source in SOURCES:
        for match in CALL.finditer((root / source).read_text()):
            key = match[1] or match[2]
            seen += 1
            if key not in named:
                missing.append(f"{source}: key \"{key}\" is not in docs/configuration.md: add its "
                               "type, range, default and meaning")
    if seen < 60:
        missing.append(f"only {seen} keys found in the sources: the pattern no longer fits them")
    print("\n".join(sorted(set(missing))) or f"{seen} keys documented")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
