#!/usr/bin/env python3
"""The quickstart's MariaDB, for real: who may reach it, and as whom it runs."""
import os
import pathlib
import pwd
import stat
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../.."))
sys.path.insert(0, os.path.join(ROOT, "scripts/support"))

import database  # noqa: E402
import processes  # noqa: E402


class FakeSetup:
    def __init__(self, folder):
        self.folder = folder

    def secret(self, name):
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text("the-password\n")
        return path


def mariadb(socket, *arguments, as_uid=None):
    other = ["setpriv", f"--reuid={as_uid}", "--clear-groups"] if as_uid is not None else []
    return subprocess.run([*other, "mariadb", "--no-defaults", f"--socket={socket}", *arguments],
                          capture_output=True, text=True, check=False, timeout=30)


class DatabaseTest(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder, lock = processes.fresh_folder(pathlib.Path(holder.name) / "run")
        self.addCleanup(lock.close)
        self.fleet = processes.Fleet(self.folder)
        self.addCleanup(self.fleet.stop)

    def test_only_its_owner_reaches_it_and_it_listens_on_no_address(self):
        self.assertEqual(stat.S_IMODE(self.folder.stat().st_mode), 0o700)
        started = database.Database(FakeSetup(self.folder), self.fleet)
        store = started.start()
        self.assertIn(f"mysql://netsentinel@/netsentinel?socket={started.socket}", store)

        folder = started.socket.parent
        self.assertEqual(stat.S_IMODE(folder.stat().st_mode), 0o700)
        owner = os.stat(f"/proc/{started.process.child.pid}").st_uid
        self.assertEqual(owner, folder.stat().st_uid)
        if os.geteuid() == 0:
            self.assertNotEqual(owner, 0, "the server runs as root")
            stranger = mariadb(started.socket, "-uroot", "-eSELECT 1",
                               as_uid=pwd.getpwnam("daemon").pw_uid)
            self.assertIn("Can't connect", stranger.stderr)

        listening = mariadb(started.socket, f"-u{database.own_name()}", "-NBe",
                            "SELECT @@skip_networking, @@port")
        self.assertEqual(listening.stdout.split()[0], "1", listening.stderr)
        # Accounts without a password are those that the kernel vouches for.
        open_accounts = mariadb(
            started.socket, f"-u{database.own_name()}", "-NBe",
            "SELECT user, host FROM mysql.global_priv WHERE"
            " COALESCE(JSON_VALUE(priv, '$.authentication_string'), '') = ''"
            " AND JSON_VALUE(priv, '$.plugin') <> 'unix_socket'"
            " AND COALESCE(JSON_VALUE(priv, '$.account_locked'), 0) = 0")
        self.assertEqual(open_accounts.stdout, "", open_accounts.stderr)
        wrong = mariadb(started.socket, "-unetsentinel", "-pwrong", "netsentinel", "-eSELECT 1")
        self.assertIn("Access denied", wrong.stderr)
        right = mariadb(started.socket, "-unetsentinel", "-pthe-password", "netsentinel",
                        "-NBe", "SELECT 1")
        self.assertEqual(right.stdout, "1\n", right.stderr)

        self.fleet.stop()
        self.assertFalse(folder.exists() and os.geteuid() == 0, "left behind")


if __name__ == "__main__":
    unittest.main()
