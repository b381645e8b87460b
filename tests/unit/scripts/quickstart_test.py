#!/usr/bin/env python3
"""Options, folders, signals and the time limit of scripts/quickstart, without its programs."""
import contextlib
import importlib.machinery
import importlib.util
import io
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from unittest import mock

sys.dont_write_bytecode = True
ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../.."))
SUPPORT = os.path.join(ROOT, "scripts/support")
sys.path.insert(0, SUPPORT)

import processes  # noqa: E402
import quickstart  # noqa: E402
import setup  # noqa: E402
from processes import Failure  # noqa: E402

PIN = ":".join(["A5"] * 32)

# A quickstart whose run starts one child and waits. The child says when it was asked to stop, and
# does so once it is allowed to.
DRIVER = """
import sys, time
sys.dont_write_bytecode = True
sys.path.insert(0, {support!r})
import quickstart
CHILD = '''
import pathlib, signal, sys, time
folder = pathlib.Path(sys.argv[1])
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
(folder / "ready").touch()
while not asked: time.sleep(0.01)
(folder / "asked").touch()
while not (folder / "may-stop").exists(): time.sleep(0.01)
(folder / "stopped").touch()
'''
def story(options, setup, fleet):
    fleet.start("child", [sys.executable, "-c", CHILD, {folder!r}])
    while True:
        time.sleep(1)
quickstart.run_once = quickstart.run_live = story
quickstart.ensure_root = lambda: None
sys.exit(quickstart.main())
"""


def until(condition, what):
    deadline = time.monotonic() + 30
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain for {what}")
        time.sleep(0.01)


class Folder(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)


class SignalTest(Folder):
    def start(self, *arguments):
        process = subprocess.Popen(
            [sys.executable, "-c", DRIVER.format(support=SUPPORT, folder=str(self.folder)),
             "--dir", str(self.folder / "run"), *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        until((self.folder / "ready").exists, "the child to start")
        return process

    def finish(self, process):
        until((self.folder / "asked").exists, "the child to be stopped")
        (self.folder / "may-stop").touch()
        return process.wait(30)

    def test_a_story_that_is_interrupted_has_not_passed(self):
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)):
            with self.subTest(number):
                process = self.start("--once")
                process.send_signal(number)
                self.assertEqual(code, self.finish(process), process.stdout.read())
                self.assertTrue((self.folder / "stopped").exists())
                for name in ("ready", "asked", "may-stop", "stopped"):
                    (self.folder / name).unlink()

    def test_a_live_run_ends_well_when_it_is_stopped(self):
        process = self.start()
        process.send_signal(signal.SIGINT)
        self.assertEqual(0, self.finish(process), process.stdout.read())
        self.assertTrue((self.folder / "stopped").exists())

    def test_more_signals_do_not_cut_the_stopping_short(self):
        process = self.start("--once")
        process.send_signal(signal.SIGINT)
        until((self.folder / "asked").exists, "the child to be stopped")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            process.send_signal(number)
        self.assertEqual(130, self.finish(process), process.stdout.read())
        self.assertTrue((self.folder / "stopped").exists())

    def test_a_signal_waits_for_what_is_held(self):
        signals = processes.Signals()
        with self.assertRaises(processes.Interrupted) as raised:
            with signals.hold():
                signals._handle(signal.SIGTERM, None)
                reached = True
        self.assertTrue(reached)
        self.assertEqual(143, processes.exit_code(raised.exception))

    def test_a_hangup_that_the_caller_ignores_stays_ignored(self):
        before = {number: signal.getsignal(number)
                  for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            processes.Signals().install()
            self.assertIs(signal.SIG_IGN, signal.getsignal(signal.SIGHUP))
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class PortTest(unittest.TestCase):
    def test_a_reserved_port_is_for_a_server_that_asks_for_it(self):
        with processes.reserve_port() as keeper:
            for _ in range(2):
                with socket.create_server(keeper.getsockname()) as server:
                    socket.create_connection(server.getsockname()).close()
            with socket.socket() as other, self.assertRaises(OSError):
                other.bind(keeper.getsockname())


class FolderTest(Folder):
    def test_a_folder_that_is_not_ours_is_left_alone(self):
        (self.folder / "photo").touch()
        with self.assertRaisesRegex(Failure, "is not empty and was not made by this script"):
            processes.fresh_folder(self.folder)
        self.assertTrue((self.folder / "photo").exists())

    def test_what_an_earlier_run_left_goes(self):
        made, lock = processes.fresh_folder(self.folder / "run")
        lock.close()
        (made / "logs").mkdir()
        (made / "logs" / "old.log").touch()
        (made / "link").symlink_to(self.folder)
        made, lock = processes.fresh_folder(self.folder / "run")
        lock.close()
        self.assertEqual([processes.MARKER], [entry.name for entry in made.iterdir()])
        self.assertTrue(self.folder.exists())

    def test_a_folder_in_use_is_refused(self):
        made, lock = processes.fresh_folder(self.folder / "run")
        (made / "mine").touch()
        with lock, self.assertRaisesRegex(Failure, "another run is using"):
            processes.fresh_folder(self.folder / "run")
        self.assertTrue((made / "mine").exists())

    def test_a_file_in_its_place_is_said(self):
        (self.folder / "file").touch()
        with self.assertRaisesRegex(Failure, "cannot be used"):
            processes.fresh_folder(self.folder / "file")


class OptionsTest(Folder):
    def refused(self, *arguments):
        with contextlib.redirect_stderr(io.StringIO()) as said, self.assertRaises(SystemExit) as end:
            quickstart.parse(arguments)
        self.assertEqual(2, end.exception.code)
        return said.getvalue()

    def password(self, text):
        path = self.folder / "password"
        path.write_text(text)
        return str(path)

    def setup_here(self):
        made = setup.Setup(self.folder, self.folder)
        for keeper in made.keepers.values():
            self.addCleanup(keeper.close)
        return made

    def test_wrong_options_are_said(self):
        pinned = ("--router", "r", "--user", "u", "--pin-sha256", PIN)
        for words, arguments in (
                ("--router HOST needs --user", ("--router", "r", "--pin-sha256", PIN)),
                ("--router HOST needs --user", ("--router", "", "--user", "u")),
                ("api-ssl needs --pin-sha256 or --ca", ("--router", "r", "--user", "u")),
                ("api-ssl needs --pin-sha256 or --ca", (*pinned, "--ca", __file__)),
                ("is not a file", ("--router", "r", "--user", "u", "--ca", "/nowhere")),
                ("go with --transport api-ssl", (*pinned, "--transport", "api")),
                ("--once plays on simulated routers", (*pinned, "--once")),
                ("/nowhere cannot be read", (*pinned, "--password-file", "/nowhere")),
                ("is empty", (*pinned, "--password-file", self.password("\n"))),
                ("64 hexadecimal digits", ("--router", "r", "--user", "u", "--pin-sha256", "aa")),
                ("is not a rate such as", (*pinned, "--line-rate", "fast")),
                ("--user goes with --router", ("--user", "u")),
                ("--line-rate goes with --router", ("--line-rate", "1Gbps")),
                ("--kill goes with --once", ("--kill", "notifier")),
                ("invalid choice: 'simulator'", ("--once", "--kill", "simulator")),
                ("is not a zone", ("--time-zone", "Mars/Olympus")),
                ("does not go with --once", ("--once", "--time-zone", "UTC")),
                ("unrecognized arguments: --onze", ("--onze",))):
            with self.subTest(arguments):
                self.assertIn(words, self.refused(*arguments))

    def test_an_unknown_lie_is_said(self):
        with mock.patch.dict(os.environ, NS_MUTATE="lose_one_bite"):
            self.assertIn("lose_one_bite", self.refused("--once"))

    def test_right_options_are_taken(self):
        quickstart.parse(["--once", "--mysql"])
        quickstart.parse(["--time-zone", "Asia/Karachi"])
        self.assertTrue(quickstart.parse(["--once", "--kill", "database"]).mysql)
        quickstart.parse(["--router", "r", "--user", "u", "--transport", "api",
                          "--password-file", self.password("secret\n")])

    def test_an_empty_password_is_no_random_one(self):
        options = quickstart.parse(["--router", "r", "--user", "u", "--pin-sha256", PIN])
        made = self.setup_here()
        with mock.patch("getpass.getpass", return_value=""), self.assertRaisesRegex(
                Failure, "no password was entered for u@r"):
            quickstart.router_password(options, made)
        self.assertEqual("\n", made.secret("empty", "").read_text())
        self.assertNotEqual("\n", made.secret("random").read_text())

    def test_the_line_rate_of_a_real_router_is_the_programs_default_or_the_one_given(self):
        made = self.setup_here()
        for arguments, wanted in (((), ""), (("--line-rate", "2Gbps"), "line_rate: 2Gbps, ")):
            options = quickstart.parse(["--router", "r", "--user", "u", "--pin-sha256", PIN,
                                        "--password-file", self.password("p"), *arguments])
            with mock.patch.object(made, "tls_yaml", return_value="{}"):
                text = made.aggregator_yaml(quickstart.real_router(options, made), "", "UTC",
                                            "00:00", "1GiB", "2s").read_text()
            self.assertIn(f"[lab-collector], {wanted}poll_interval", text)


class FailureTest(Folder):
    def test_a_program_that_is_not_there_is_said(self):
        with self.assertRaisesRegex(Failure, "/nowhere/it cannot be started: No such file"):
            processes.Fleet(self.folder).start("it", ["/nowhere/it"])
        with self.assertRaisesRegex(Failure, "the thing: /nowhere/it cannot be started"):
            processes.run(["/nowhere/it"], "the thing")

    def test_a_simulator_that_is_gone_is_said(self):
        with self.assertRaisesRegex(Failure, "the simulator does not answer"):
            processes.Simulator(self.folder / "control.sock")

    def test_a_story_that_takes_too_long_has_failed(self):
        options = quickstart.parse(["--once"])
        fleet = mock.Mock(**{"stop.return_value": {}})
        for took, late in ((quickstart.STORY_LIMIT_S, False), (quickstart.STORY_LIMIT_S + 1, True)):
            with mock.patch.multiple(quickstart, start_all=mock.Mock(return_value=({}, 0)),
                                     Simulator=mock.Mock(), Story=mock.Mock(), prove=mock.Mock(),
                                     say=mock.Mock()), \
                    mock.patch("quickstart.time.monotonic", side_effect=[0, took]):
                context = self.assertRaisesRegex(Failure, "took 91.0 s; 90 s is the limit")
                with context if late else contextlib.nullcontext():
                    quickstart.run_once(options, mock.Mock(folder=self.folder), fleet)


def compose_story():
    """deploy/compose/story, as a module."""
    loader = importlib.machinery.SourceFileLoader(
        "compose_story", os.path.join(ROOT, "deploy/compose/story"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


class ComposeStoryTest(Folder):
    def run_it(self, ending, *arguments):
        """Runs it with a story that ends so; (exit code, compose's commands)."""
        module, calls = compose_story(), []

        def compose(*words):
            calls.append(words[0])
            return ""

        with mock.patch.multiple(
                module, Compose=mock.Mock(return_value=compose), ensure_root=mock.Mock(),
                play=mock.Mock(side_effect=ending), SIGNALS=processes.Signals()), \
                mock.patch.object(processes.Signals, "install"), \
                mock.patch.object(sys, "argv", ["story", "--dir", str(self.folder / "run"),
                                                *arguments]), \
                contextlib.redirect_stdout(io.StringIO()), \
                contextlib.redirect_stderr(io.StringIO()):
            return module.main(), calls

    def test_its_exit_code_tells_how_it_ended_and_all_is_taken_down(self):
        for ending, code in ((None, 0), (Failure("no"), 1),
                             (processes.Interrupted(signal.SIGHUP), 129),
                             (processes.Interrupted(signal.SIGTERM), 143)):
            with self.subTest(ending):
                self.assertEqual((code, ["down", "logs", "down"]), self.run_it([ending]))
        self.assertEqual((0, ["down", "logs"]), self.run_it([None], "--keep"))

    def test_a_folder_that_is_not_ours_is_left_alone(self):
        (self.folder / "run").mkdir()
        (self.folder / "run" / "photo").touch()
        self.assertEqual((1, []), self.run_it([None]))
        self.assertTrue((self.folder / "run" / "photo").exists())


if __name__ == "__main__":
    unittest.main()
