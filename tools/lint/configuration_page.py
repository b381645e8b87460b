#!/usr/bin/env python3
"""Checks docs/configuration.md against the keys that the programs read, by their full paths and in
both directions: every key has a row in its program's table, and every row has its key.

The sources are read as text: functions that take a config::Section, the sections they open, the
keys they ask for, and the functions they hand a section to.
"""

import pathlib
import re
import sys

COMMON = ("common/config/shared_sections.cc", "common/shell/shell.cc")
# Program: its sources, and the functions that are handed the whole file.
PROGRAMS = {
    "collector.yaml": (("collector/app/settings.cc",), "ReadCollectorSettings"),
    "aggregator.yaml": (("aggregator/app/settings.cc", "aggregator/app/policy_settings.cc"),
                        "ReadAggregatorSettings"),
    "notifier.yaml": (("notifier/app/settings.cc",), "ReadNotifierSettings"),
}
SHELL = "ReadShellSettings"
EVERYWHERE = "In all three files"

_FUNCTION = re.compile(r"^[\w:<>,&* ]*\b(\w+)\(\s*(?:config::)?Section&?\s+(\w+)[^;{]*\{", re.M)
_STEP = re.compile(
    r"auto& \[\w+, (?P<named>\w+)\] : (?P<of>\w+)\.NamedSections\(\)"
    r"|(?:Section&?\s+(?P<opened>\w+)\s*[=:]\s*)?\b(?P<section>\w+)\."
    r"(?P<method>(?:Required|Optional)\w+|NameListOrWord)(?:<[\w:]+>)?\(\s*\"(?P<key>\w+)\""
    r"|\b(?P<called>[A-Z]\w+)\((?=\s*(?P<given>\w+)\s*[,)])"
    r"(?=\s*\w+(?:,\s*\"(?P<given_key>\w+)\")?)")
# A key that is read through a parameter, with the word that the caller gives.
_BY_PARAMETER = "ReadListenAddress"
# One row tells of the files of a peer that has a tls of its own.
_PEER_TLS = re.compile(r"^(\w+\.tls)\.(ca|cert|key|crl)$")


def functions(text):
    """{name: (name of its section, body)} of the functions that take a section first."""
    found = {}
    for match in _FUNCTION.finditer(text):
        end = text.find("\n}", match.end())
        found[match[1]] = (match[2], text[match.end():end])
    return found


def _join(path, key):
    return f"{path}.{key}" if path else key


def keys_of(table, name, path=""):
    """(paths of keys, paths of sections) that a function reads from a section at `path`."""
    parameter, body = table[name]
    sections = {parameter: path}
    keys, opened = set(), set()
    for step in _STEP.finditer(body):
        if step["named"] and step["of"] in sections:
            sections[step["named"]] = _join(sections[step["of"]], "NAME")
            opened.add(sections[step["named"]])
        elif step["method"] and step["section"] in sections:
            below = _join(sections[step["section"]], step["key"])
            if "Section" not in step["method"]:
                keys.add(below)
                continue
            opened.add(below)
            below += "[]" if step["method"].endswith("List") else ""
            if step["opened"]:
                sections[step["opened"]] = below
        elif step["called"] and step["given"] in sections:
            if step["called"] == _BY_PARAMETER and step["given_key"]:
                keys.add(_join(sections[step["given"]], step["given_key"]))
            elif step["called"] in table:
                more = keys_of(table, step["called"], sections[step["given"]])
                keys |= more[0]
                opened |= more[1]
    return keys, opened


def read_by_programs(root):
    """{table of the page: (keys, sections)}."""
    shared = "\n".join((root / source).read_text() for source in COMMON)
    found = {}
    for title, (sources, entry) in PROGRAMS.items():
        table = functions(shared + "\n" + "\n".join((root / source).read_text()
                                                    for source in sources))
        keys, opened = keys_of(table, entry) if entry in table else (set(), set())
        more = keys_of(table, SHELL)
        keys = {_PEER_TLS.sub(r"\1", key) for key in keys | more[0]}
        found[title] = (keys, opened | more[1])
    return found


def documented(text):
    """{table of the page: keys of its rows' first cells}."""
    found = {}
    for part in re.split(r"^## ", text, flags=re.M)[1:]:
        title, _, body = part.partition("\n")
        cells = re.findall(r"^\|([^|]*)\|", body, re.M)
        found[title.strip()] = {key for cell in cells for key in re.findall(r"`([^`]+)`", cell)}
    return found


def problems(root):
    pages = documented((root / "docs/configuration.md").read_text())
    everywhere = pages.get(EVERYWHERE, set())
    found = []
    for title, (keys, opened) in read_by_programs(root).items():
        if len(keys) < 12:
            found.append(f"only {len(keys)} keys of {title} found in the sources: fit the patterns "
                         "of tools/lint/configuration_page.py to them")
            continue
        rows = pages.get(title, set())
        for key in sorted(keys - rows - everywhere):
            found.append(f"docs/configuration.md: {title} lacks `{key}`: add its type, range, "
                         "default and meaning")
        for key in sorted(rows - keys - opened):
            found.append(f"docs/configuration.md: {title} has `{key}`, which the program does not "
                         "read: take the row out")
        for key in sorted(everywhere - keys - opened):
            found.append(f"docs/configuration.md: \"{EVERYWHERE}\" has `{key}`, which the program "
                         f"of {title} does not read")
        for key in sorted(rows & everywhere):
            found.append(f"docs/configuration.md: `{key}` stands both in {title} and in "
                         f"\"{EVERYWHERE}\"")
    return found


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    found = problems(root)
    print("\n".join(found) or "docs/configuration.md names the keys that the programs read")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
