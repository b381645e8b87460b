"""Starts, watches, kills and stops the programs of a quickstart."""
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time


class Failure(Exception):
    """What went wrong, in words for the person at the terminal."""


def say(text):
    print(f"{pathlib.Path(sys.argv[0]).stem}: {text}", flush=True)


def free_port():
    """A port that is free now; another program could take it before we do, which is then reported."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(what, condition, seconds=30.0):
    """The condition's first true value; checks every 50 ms until the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failure(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(0.05)


class Process:
    """One program with its log file; restartable."""

    def __init__(self, name, arguments, log, environment=None):
        self.name, self.arguments, self.log = name, [str(a) for a in arguments], log
        self.environment = environment
        self.child = None

    def start(self):
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(self.arguments, stdin=subprocess.DEVNULL, stdout=log,
                                          stderr=log, env=self.environment,
                                          start_new_session=True)
        return self

    def check(self):
        if self.child is not None and self.child.poll() is not None:
            tail = "\n".join(pathlib.Path(self.log).read_text(errors="replace").splitlines()[-8:])
            raise Failure(f"{self.name} ended with {self.child.returncode}; the end of "
                          f"{self.log}:\n{tail}")

    def kill(self):
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()
        self.child = None

    def stop(self, seconds=15):
        """SIGTERM, then the exit code; a program that does not stop in time is killed."""
        if self.child is None:
            return 0
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
        try:
            code = self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            say(f"{self.name} did not stop within {seconds} s: killed")
            self.kill()
            return -signal.SIGKILL
        self.child = None
        return code


class Fleet:
    """All processes of one run, stopped in the reverse order of their start."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.logs = self.folder / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        self.processes = []

    def start(self, name, arguments):
        process = Process(name, arguments, self.logs / f"{name}.log").start()
        self.processes.append(process)
        return process

    def ports(self, process, path, seconds=30):
        """The JSON of a program's ports file, once it is there."""
        def there():
            process.check()
            return path.exists() and json.loads(path.read_text() or "{}")
        return wait_until(f"{process.name} to listen (see {process.log})", there, seconds)

    def check(self):
        for process in self.processes:
            process.check()

    def stop(self):
        codes = {}
        for process in reversed(self.processes):
            codes[process.name] = process.stop()
        self.processes.clear()
        return codes


def run(arguments, what, **options):
    """Runs a command to its end; its output, or Failure with the words of its error."""
    result = subprocess.run([str(a) for a in arguments], capture_output=True, text=True,
                            check=False, timeout=60, **options)
    if result.returncode != 0:
        raise Failure(f"{what} failed: {(result.stderr or result.stdout).strip()}")
    return result.stdout


class Simulator:
    """A simulated router's control channel: one JSON line in, one out."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(str(path))
        self.file = self.socket.makefile("rw", encoding="utf-8")

    def do(self, router, verb, **arguments):
        self.file.write(json.dumps({"router": router, "do": verb, **arguments}) + "\n")
        self.file.flush()
        answer = json.loads(self.file.readline())
        if not answer.get("ok"):
            raise Failure(f"the simulator refused {verb} on {router}: {answer}")
        return answer


def ensure_root():
    if os.geteuid() != 0:
        print(f"{pathlib.Path(sys.argv[0]).stem}: run as root", file=sys.stderr)
        sys.exit(1)
