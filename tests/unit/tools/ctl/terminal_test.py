#!/usr/bin/env python3
"""What netsentinelctl prints on a terminal of 80 columns, into a pipe, and for scripts."""
import fcntl
import json
import os
import pathlib
import pty
import struct
import subprocess
import tempfile
import termios
import unittest

CTL = pathlib.Path(os.environ["NS_BIN_DIR"]) / "netsentinelctl"
LONG = "a-router-with-a-long-name-" + "x" * 30


def on_terminal(arguments, columns):
    """The lines that a terminal of so many columns gets."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen([CTL, *arguments], stdout=theirs, stderr=subprocess.STDOUT) as process:
        os.close(theirs)
        text = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the other side is closed
                break
            if not part:
                break
            text += part
    os.close(ours)
    if process.returncode != 0:
        raise AssertionError(text.decode())
    return text.decode().replace("\r\n", "\n").splitlines()


class TerminalTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.dir = folder.name + "/authority"
        self.ctl("certs", "init", "--dir", self.dir)
        for name in ("lahore-hq", LONG):
            self.ctl("certs", "issue", "--dir", self.dir, "--role", "collector", "--name", name,
                     "--out", f"{folder.name}/{name}")

    def ctl(self, *arguments):
        return subprocess.run([CTL, *arguments], capture_output=True, text=True, check=True,
                              timeout=60).stdout

    def test_a_table_fits_the_terminal_and_says_what_is_not_shown(self):
        lines = on_terminal(["certs", "list", "--dir", self.dir], 80)
        tables = [line for line in lines if "file:" not in line and "/" not in line]
        self.assertLessEqual(max(len(line) for line in tables), 80, lines)
        self.assertIn("not shown here: SERIAL; --wide shows all", lines)
        self.assertTrue(any("…" in line for line in lines), lines)
        self.assertTrue(any(line.startswith("    file: ") for line in lines), lines)

    def test_wide_and_a_pipe_show_everything(self):
        wide = on_terminal(["certs", "list", "--dir", self.dir, "--wide"], 80)
        self.assertEqual("\n".join(wide) + "\n", self.ctl("certs", "list", "--dir", self.dir))
        self.assertIn("SERIAL", wide[0])
        self.assertTrue(any(LONG in line and f"{LONG}/" in line for line in wide), wide)

    def test_scripts_get_the_certificates_as_json(self):
        self.ctl("certs", "revoke", "lahore-hq", "--dir", self.dir, "--reason", "keyCompromise")
        answer = json.loads(self.ctl("certs", "list", "--dir", self.dir, "--json"))
        self.assertFalse(answer["authority_being_replaced"])
        by_name = {one["name"]: one for one in answer["certificates"]}
        self.assertEqual({"lahore-hq", LONG}, set(by_name))
        revoked, good = by_name["lahore-hq"], by_name[LONG]
        self.assertEqual(("revoked", "keyCompromise"),
                         (revoked["state"], revoked["revocation_reason"]))
        self.assertEqual(("good", "collector", False),
                         (good["state"], good["role"], good["old_authority"]))
        self.assertGreaterEqual(good["days_left"], 88)
        self.assertRegex(good["not_after"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertTrue(good["file"].endswith(".crt"), good)
        self.assertNotIn("revoked_at", good)
        one = json.loads(self.ctl("certs", "list", LONG, "--dir", self.dir, "--json"))
        self.assertEqual([LONG], [entry["name"] for entry in one["certificates"]])


if __name__ == "__main__":
    unittest.main()
