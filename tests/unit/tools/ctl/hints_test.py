#!/usr/bin/env python3
"""Every command that an error or a page tells people to type is one that netsentinelctl takes."""
import os
import pathlib
import re
import shlex
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[4]
CTL = pathlib.Path(os.environ["NS_BIN_DIR"]) / "netsentinelctl"
USAGE = 2  # wrong flags; whatever else goes wrong afterwards is 1
FOLDERS = ("aggregator", "collector", "common", "notifier", "tools")


def hints_in_code(text):
    """The commands between backquotes, with VALUE for what a program puts in."""
    joined = re.sub(r'"\s*\n?\s*"', "", text)
    for hint in re.findall(r"`(netsentinelctl [^`]+)`", joined):
        yield re.sub(r'",.*?,\s*"', "VALUE", hint, flags=re.DOTALL)


def commands_on_page(text):
    """The commands that stand at the beginning of a line of a fenced block."""
    for block in re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("netsentinelctl "):
                yield line


def all_commands():
    found = {}
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".cc", ".h"):
                for hint in hints_in_code(path.read_text()):
                    found.setdefault(hint, path.relative_to(ROOT))
    for path in sorted((ROOT / "docs").rglob("*.md")):
        for command in commands_on_page(path.read_text()):
            found.setdefault(command, path.relative_to(ROOT))
    return found


class HintsTest(unittest.TestCase):
    def test_what_people_are_told_to_type_is_taken_as_typed(self):
        commands = all_commands()
        self.assertGreater(len(commands), 12, sorted(commands))
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith("NETSENTINEL_")}
        for command, place in commands.items():
            with self.subTest(command, place=str(place)), tempfile.TemporaryDirectory() as folder:
                words = shlex.split(command)
                result = subprocess.run([CTL, *words[1:]], cwd=folder, env=environment, timeout=60,
                                        capture_output=True, text=True, check=False)
                self.assertNotEqual(result.returncode, USAGE, result.stderr)

    def test_hints_are_read_as_people_see_them(self):
        text = 'Error("run `netsentinelctl certs "\n      "renew ",\n   name, " --role x`")'
        self.assertEqual(["netsentinelctl certs renew VALUE --role x"], list(hints_in_code(text)))


if __name__ == "__main__":
    unittest.main()
