#!/usr/bin/env python3
"""scripts/install-deps, scripts/test and others against stand-ins for the tools they call."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../.."))

# Says that every package is installed but those in $FAKE_MISSING, until apt-get ran.
DPKG_QUERY = """
name=${@: -1}
case " $FAKE_MISSING " in
  *" $name "*) [ -e "$FAKE_FOLDER/installed" ] || exit 1 ;;
esac
printf installed
"""
APT_GET = """
echo "$*" >>"$FAKE_FOLDER/apt-calls"
[ -e "$NS_POLICY_RC_D" ] && echo present >>"$FAKE_FOLDER/policy"
if [ "$1" = "$FAKE_APT_FAILS" ]; then
  echo "E: Unable to fetch some archives" >&2
  exit 100
fi
[ "$1" != install ] || touch "$FAKE_FOLDER/installed"
"""


def until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("waited in vain")
        time.sleep(0.01)


def runs(pid):
    """Whether the process has not ended; one that nobody has waited for yet has."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Sandbox:
    """A folder of stand-ins that come first in PATH."""

    def __init__(self, case):
        self.folder = tempfile.mkdtemp()
        case.addCleanup(shutil.rmtree, self.folder)
        self.policy = os.path.join(self.folder, "policy-rc.d")
        self.tool("dpkg-query", DPKG_QUERY)
        self.tool("apt-get", APT_GET)
        self.tool("id", 'echo "${FAKE_UID:-0}"')
        self.tool("update-rc.d", 'echo "$*" >>"$FAKE_FOLDER/rc-calls"')

    def tool(self, name, body):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write("#!/usr/bin/env bash\n" + body + "\n")
        os.chmod(path, 0o755)

    def run(self, command, **environment):
        return subprocess.run(
            command,
            env={
                "PATH": f"{self.folder}:/usr/sbin:/usr/bin:/sbin:/bin",
                "FAKE_FOLDER": self.folder,
                "NS_POLICY_RC_D": self.policy,
                "TMPDIR": self.folder,
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )

    def install(self, *groups, **environment):
        return self.run([os.path.join(ROOT, "scripts/install-deps"), *groups], **environment)

    def read(self, name):
        path = os.path.join(self.folder, name)
        if not os.path.exists(path):
            return ""
        with open(path, encoding="utf-8") as file:
            return file.read()


class InstallDepsTest(unittest.TestCase):
    def setUp(self):
        self.box = Sandbox(self)

    def test_does_not_call_apt_when_everything_is_installed(self):
        result = self.box.install("all")
        self.assertEqual(0, result.returncode, result.stdout)
        self.assertIn("are installed", result.stdout)
        self.assertEqual("", self.box.read("apt-calls"))

    def test_needs_no_root_when_everything_is_installed(self):
        self.assertEqual(0, self.box.install("test", FAKE_UID="1000").returncode)

    def test_says_that_it_needs_root(self):
        result = self.box.install("build", FAKE_MISSING="mold", FAKE_UID="1000")
        self.assertEqual(1, result.returncode)
        self.assertIn("run as root or with sudo", result.stdout)
        self.assertEqual("", self.box.read("apt-calls"))

    def test_installs_what_is_missing_and_nothing_else(self):
        result = self.box.install("build", FAKE_MISSING="mold ninja-build")
        self.assertEqual(0, result.returncode, result.stdout)
        install = self.box.read("apt-calls").splitlines()[-1].split()
        self.assertEqual(["mold", "ninja-build"], [word for word in install if word in (
            "mold", "ninja-build", "cmake", "g++")])
        self.assertIn("--no-install-recommends", install)
        self.assertIn("--no-remove", install)

    def test_forbids_services_to_start_only_while_it_works(self):
        self.box.install("build", FAKE_MISSING="mold")
        self.assertIn("present", self.box.read("policy"))
        self.assertFalse(os.path.exists(self.box.policy))

    def test_leaves_a_policy_of_the_machine_alone(self):
        with open(self.box.policy, "w", encoding="utf-8") as file:
            file.write("theirs")
        self.box.install("build", FAKE_MISSING="mold")
        self.assertEqual("theirs", self.box.read("policy-rc.d"))

    def test_keeps_exim_off_at_boot(self):
        result = self.box.install("test", FAKE_MISSING="exim4-daemon-light")
        self.assertEqual(0, result.returncode, result.stdout)
        self.assertEqual("exim4 disable\n", self.box.read("rc-calls"))

    def test_names_the_step_that_failed_and_the_log(self):
        for step, words in (("update", "reading the package lists"), ("install", "installing 1")):
            with self.subTest(step):
                result = self.box.install("build", FAKE_MISSING="mold", FAKE_APT_FAILS=step)
                self.assertEqual(1, result.returncode)
                for part in (words, "E: Unable to fetch", "offline", ".log"):
                    self.assertIn(part, result.stdout)
                self.assertFalse(os.path.exists(self.box.policy))

    def test_refuses_an_unknown_group(self):
        result = self.box.install("everything")
        self.assertEqual(1, result.returncode)
        self.assertIn("unknown group or option: everything", result.stdout)

    def test_lists_the_packages_of_a_group(self):
        listed = self.box.install("--list", "quickstart").stdout.split()
        self.assertIn("libgrpc++-dev", listed)
        self.assertIn("mariadb-server-core", listed)
        self.assertNotIn("clang-16", listed)


class TestScriptTest(unittest.TestCase):
    """In a copy of scripts/ with cmake and ctest replaced."""

    def setUp(self):
        self.box = Sandbox(self)
        self.tree = os.path.join(self.box.folder, "tree")
        shutil.copytree(os.path.join(ROOT, "scripts"), os.path.join(self.tree, "scripts"))
        self.box.tool("cmake", 'echo "cmake $*" >>"$FAKE_FOLDER/calls"; exit "${FAKE_CMAKE:-0}"')
        self.box.tool("ctest", """
echo "ctest $*" >>"$FAKE_FOLDER/calls"
mkdir -p build/release/Testing/Temporary
printf '1/1 Test: a_test\\n%b\\n' "${FAKE_OUTPUT:-}" >build/release/Testing/Temporary/LastTest.log
echo "100% tests passed, 0 tests failed out of 1"
exit "${FAKE_CTEST:-0}"
""")

    def run_it(self, *arguments, **environment):
        return self.box.run([os.path.join(self.tree, "scripts/test"), *arguments], **environment)

    def test_configures_builds_and_tests_the_preset(self):
        result = self.run_it("--label", "unit", "--", "-R", "accounting")
        self.assertEqual(0, result.returncode, result.stdout)
        calls = self.box.read("calls").splitlines()
        self.assertEqual("cmake --preset release", calls[0])
        self.assertTrue(calls[1].startswith("cmake --build --preset release"), calls)
        self.assertTrue(calls[2].endswith("-L ^unit$ -R accounting"), calls)
        self.assertIn("1 tests run", result.stdout)

    def test_leaves_benchmarks_out_unless_asked(self):
        self.run_it()
        self.run_it("--label", "bench")
        calls = [call for call in self.box.read("calls").splitlines() if call.startswith("ctest")]
        # On the command line -LE would replace what the preset leaves out.
        self.assertNotIn("-LE", calls[0])
        self.assertIn("-L ^bench$ -LE ^$", calls[1])

    def test_the_presets_leave_out_what_they_cannot_run(self):
        with open(os.path.join(ROOT, "CMakePresets.json"), encoding="utf-8") as presets:
            tests = {test["name"]: test for test in json.load(presets)["testPresets"]}
        for name, label in (("debug", "^bench$"), ("release", "^bench$"), ("asan", "script"),
                            ("tsan", "script")):
            self.assertEqual(label, tests[name]["filter"]["exclude"]["label"], name)

    def test_ends_with_the_closing_line_of_ctest(self):
        last = self.run_it().stdout.splitlines()[-2:]
        self.assertEqual(["100% tests passed, 0 tests failed out of 1", "test: all passed"], last)

    def test_fails_when_a_test_fails(self):
        result = self.run_it(FAKE_CTEST="8")
        self.assertEqual(1, result.returncode)
        self.assertIn("tests failed", result.stdout)

    def test_does_not_test_what_was_not_configured(self):
        self.assertEqual(1, self.run_it(FAKE_CMAKE="1").returncode)
        self.assertNotIn("ctest", self.box.read("calls"))

    def test_a_skipped_test_fails_in_ci_only(self):
        for output in ("[  SKIPPED ] Store.Works (0 ms)", "OK (skipped=1)", "x ... skipped 'why'"):
            with self.subTest(output):
                self.assertEqual(0, self.run_it(FAKE_OUTPUT=output).returncode)
                result = self.run_it(FAKE_OUTPUT=output, CI="true")
                self.assertEqual(1, result.returncode)
                self.assertIn(output, result.stdout)


class QuickstartScriptTest(unittest.TestCase):
    """In a copy of scripts/ with apt and cmake replaced."""

    def setUp(self):
        self.box = Sandbox(self)
        self.tree = os.path.join(self.box.folder, "tree")
        shutil.copytree(os.path.join(ROOT, "scripts"), os.path.join(self.tree, "scripts"))
        self.box.tool("cmake", 'echo "cmake $*" >>"$FAKE_FOLDER/calls"; exit 1')

    def run_it(self, *arguments, **environment):
        return self.box.run([os.path.join(self.tree, "scripts/quickstart"), *arguments],
                            FAKE_MISSING="mold", **environment)

    def test_wrong_options_are_said_before_anything_is_installed_or_built(self):
        result = self.run_it("--router", "192.0.2.1")
        self.assertEqual(2, result.returncode, result.stdout)
        self.assertIn("--router HOST needs --user NAME", result.stdout)
        self.assertEqual("", self.box.read("apt-calls") + self.box.read("calls"))

    def test_installs_and_builds_when_the_options_are_right(self):
        result = self.run_it("--once")
        self.assertEqual(1, result.returncode, result.stdout)
        if os.geteuid() != 0:
            self.assertIn("run as root", result.stdout)
            return
        self.assertNotEqual("", self.box.read("apt-calls"))
        self.assertEqual("cmake --preset release", self.box.read("calls").strip())

    def test_waits_for_another_build(self):
        os.mkdir(os.path.join(self.tree, "build"))
        with open(os.path.join(self.tree, "build/.quickstart-lock"), "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # Of an hour it waits a moment.
            self.box.tool("flock", 'exec /usr/bin/flock "${@/3600/0.1}"')
            result = self.run_it("--once")
        self.assertEqual(1, result.returncode, result.stdout)
        if os.geteuid() != 0:
            self.assertIn("run as root", result.stdout)
            return
        self.assertIn("waiting for another build", result.stdout)
        self.assertIn("end it", result.stdout)
        self.assertEqual("", self.box.read("apt-calls"))

    def test_help_needs_nothing(self):
        result = self.run_it("--help")
        self.assertEqual(0, result.returncode, result.stdout)
        self.assertIn("--once --kill WHAT", result.stdout)
        self.assertEqual("", self.box.read("apt-calls"))


class StoriesTest(unittest.TestCase):
    """.ci/stories, in a copy of the tree's scripts with scripts/quickstart replaced."""

    def setUp(self):
        self.box = Sandbox(self)
        self.tree = os.path.join(self.box.folder, "tree")
        for folder in (".ci", "scripts"):
            shutil.copytree(os.path.join(ROOT, folder), os.path.join(self.tree, folder))

    def quickstart(self, body):
        self.box.tool("quickstart", f'echo "told $*"\n{body}')
        os.replace(os.path.join(self.box.folder, "quickstart"),
                   os.path.join(self.tree, "scripts/quickstart"))

    def run_it(self):
        return self.box.run([os.path.join(self.tree, ".ci/stories")])

    def test_passes_when_only_the_lost_byte_is_complained_about(self):
        self.quickstart('[ -z "${NS_MUTATE:-}" ] || { echo "the figures differ"; exit 1; }')
        result = self.run_it()
        self.assertEqual(0, result.returncode, result.stdout)
        for words in ("told --once --dir", "--mysql", "sqlite: as it should",
                      "mysql: as it should", "lost byte: as it should"):
            self.assertIn(words, result.stdout)

    def test_names_each_story_that_failed(self):
        self.quickstart("exit 3")
        result = self.run_it()
        self.assertEqual(1, result.returncode)
        for words in ("error: sqlite failed (exit 3); its log is", "error: mysql failed (exit 3)",
                      "error: lost byte failed for another reason than lose_one_byte (exit 3)"):
            self.assertIn(words, result.stdout)

    def test_a_lie_that_is_not_noticed_is_a_failure(self):
        self.quickstart("")
        result = self.run_it()
        self.assertEqual(1, result.returncode)
        self.assertIn("lost byte passed although its checker was made to lose one byte",
                      result.stdout)

    def test_leaves_nothing_running_when_it_is_interrupted(self):
        self.quickstart("""
sleep 60 &
echo $! >>"$FAKE_FOLDER/started"
wait
""")
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            with self.subTest(number):
                started = os.path.join(self.box.folder, "started")
                open(started, "w", encoding="utf-8").close()
                process = subprocess.Popen(
                    [os.path.join(self.tree, ".ci/stories")], stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT, env={**os.environ, "FAKE_FOLDER": self.box.folder})
                until(lambda: len(self.box.read("started").splitlines()) == 3)
                process.send_signal(number)
                self.assertEqual(code, process.wait(30), process.communicate()[0])
                process.stdout.close()
                for child in self.box.read("started").split():
                    until(lambda pid=child: not runs(pid))


class BenchScriptTest(unittest.TestCase):
    """In a copy of scripts/ with cmake and the benches replaced."""

    def setUp(self):
        self.box = Sandbox(self)
        self.tree = os.path.join(self.box.folder, "tree")
        shutil.copytree(os.path.join(ROOT, "scripts"), os.path.join(self.tree, "scripts"))
        self.box.tool("cmake", 'echo "cmake $*" >>"$FAKE_FOLDER/calls"')
        for path in ("build/release/bin/bench_accounting", "build/release/bin/bench_api_reader",
                     "build/release/bin/bench_front", "build/release/bin/bench_store",
                     "tests/bench/run_api_reader"):
            name = path.rsplit("/", 1)[-1]
            os.makedirs(os.path.join(self.tree, os.path.dirname(path)), exist_ok=True)
            self.box.tool(name, f'echo "{name} $*" >>"$FAKE_FOLDER/calls"')
            os.rename(os.path.join(self.box.folder, name), os.path.join(self.tree, path))

    def run_it(self, *arguments):
        result = self.box.run([os.path.join(self.tree, "scripts/bench"), *arguments])
        return result, self.box.read("calls").splitlines()

    def test_builds_and_runs_all_one_after_the_other(self):
        result, calls = self.run_it()
        self.assertEqual(0, result.returncode, result.stdout)
        self.assertEqual(["cmake", "cmake", "bench_accounting", "bench_api_reader",
                          "run_api_reader", "bench_front", "bench_store"],
                         [call.split()[0] for call in calls])
        self.assertIn("bench_api_client netsentinel-simulator bench_front bench_store", calls[1])

    def test_runs_what_is_named(self):
        result, calls = self.run_it("store")
        self.assertEqual(0, result.returncode, result.stdout)
        self.assertEqual("cmake --build --preset release --target bench_store", calls[1])
        self.assertEqual(["bench_store "], calls[2:])

    def test_refuses_an_unknown_name(self):
        result, calls = self.run_it("everything")
        self.assertEqual(2, result.returncode)
        self.assertIn("no such bench: everything", result.stdout)
        self.assertEqual([], calls)

    def test_knows_every_bench(self):
        with open(os.path.join(ROOT, "scripts/bench"), encoding="utf-8") as file:
            known = file.read().replace("bench_$name", "bench_accounting bench_store")
        for name in os.listdir(os.path.join(ROOT, "tests/bench")):
            if name.startswith("bench_") and name.endswith(".cc"):
                self.assertIn(name.removesuffix(".cc"), known)


if __name__ == "__main__":
    unittest.main()
