"""Starts, watches, kills and stops the programs of a quickstart."""
import contextlib
import fcntl
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time


class Failure(Exception):
    """What went wrong, in words for the person at the terminal."""


class Interrupted(BaseException):
    """A signal asked the run to end. No Exception, so that nothing takes it for a failure."""

    def __init__(self, number):
        super().__init__(signal.Signals(number).name)
        self.number = number


class Signals:
    """The first SIGINT, SIGTERM or SIGHUP becomes Interrupted; later ones change nothing, so that
    the stopping they ask for is not cut short. A SIGHUP or SIGINT that the caller has set to be
    ignored, as nohup does, stays ignored."""

    def __init__(self):
        self.held = self.came = 0

    def install(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number == signal.SIGTERM or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._handle)
        return self

    def _handle(self, number, _frame):
        if not self.came:
            self.came = number
            if not self.held:
                raise Interrupted(number)

    @contextlib.contextmanager
    def hold(self):
        """What runs inside ends before the signal takes effect: a child that was just made is
        known to whoever has to stop it."""
        self.held += 1
        try:
            yield
        finally:
            self.held -= 1
        if self.came and not self.held:
            raise Interrupted(self.came)

    def ignore(self):
        """From here on nothing interrupts: what was started is being stopped."""
        self.came = self.came or signal.SIGTERM


SIGNALS = Signals()


def exit_code(interrupted):
    """What a shell makes of the signal."""
    return 128 + interrupted.number


MARKER = ".netsentinel-run"


def fresh_folder(path):
    """An empty folder at `path` with our marker. What an earlier run left there goes; a folder that
    is not ours, or that a run is using, is refused. (folder, lock to keep open while it runs)."""
    folder = pathlib.Path(path).resolve()
    marker = folder / MARKER
    try:
        # Keys, passwords, figures and mails: nobody else's business.
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if any(folder.iterdir()) and not marker.is_file():
            raise Failure(f"{folder} is not empty and was not made by this script, which would "
                          "empty it: name another folder with --dir, or remove it yourself")
        lock = _locked(marker)
        for entry in folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            elif entry != marker:
                entry.unlink()
    except OSError as error:
        raise Failure(f"the folder {folder} cannot be used: {error.strerror}") from error
    return folder, lock


def _locked(marker):
    lock = open(marker, "a", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise Failure(f"another run is using {marker.parent}: end it, or name another folder with "
                      "--dir") from error
    return lock


def say(text):
    print(f"{pathlib.Path(sys.argv[0]).stem}: {text}", flush=True)


def reserve_port():
    """A socket that keeps one free port. While it is open the kernel gives the port to nobody who asks
    for any port, or for none; who asks for this one, with SO_REUSEADDR as servers do, may listen."""
    keeper = socket.socket()
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    keeper.bind(("127.0.0.1", 0))
    return keeper


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
        with open(self.log, "ab") as log, SIGNALS.hold():
            try:
                self.child = subprocess.Popen(self.arguments, stdin=subprocess.DEVNULL, stdout=log,
                                              stderr=log, env=self.environment,
                                              start_new_session=True)
            except OSError as error:
                raise Failure(f"{self.arguments[0]} cannot be started: {error.strerror}") from error
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
        self.after = []

    def start(self, name, arguments):
        process = Process(name, arguments, self.logs / f"{name}.log")
        self.processes.append(process)
        return process.start()

    def at_stop(self, action):
        """To be done once all of them have stopped."""
        self.after.append(action)

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
        """Stops all of them, whatever signals come meanwhile; their exit codes by name."""
        codes = {}
        for process in reversed(self.processes):
            codes[process.name] = process.stop()
        self.processes.clear()
        while self.after:
            self.after.pop()()
        return codes


def run(arguments, what, **options):
    """Runs a command to its end; its output, or Failure with the words of its error."""
    try:
        result = subprocess.run([str(a) for a in arguments], capture_output=True, text=True,
                                check=False, timeout=60, **options)
    except subprocess.TimeoutExpired as error:
        raise Failure(f"{what} did not end within 60 s") from error
    except OSError as error:
        raise Failure(f"{what}: {arguments[0]} cannot be started: {error.strerror}") from error
    if result.returncode != 0:
        raise Failure(f"{what} failed: {(result.stderr or result.stdout).strip()}")
    return result.stdout


class Simulator:
    """A simulated router's control channel: one JSON line in, one out."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        try:
            self.socket.connect(str(path))
        except OSError as error:
            self.socket.close()
            raise Failure(f"the simulator does not answer at {path}: {error}") from error
        self.file = self.socket.makefile("rw", encoding="utf-8")

    def do(self, router, verb, **arguments):
        try:
            self.file.write(json.dumps({"router": router, "do": verb, **arguments}) + "\n")
            self.file.flush()
            answer = json.loads(self.file.readline())
        except (OSError, ValueError) as error:
            raise Failure(f"the simulator is gone: no answer to {verb} on {router}: {error}"
                          ) from error
        if not answer.get("ok"):
            raise Failure(f"the simulator refused {verb} on {router}: {answer}")
        return answer


def ensure_root():
    if os.geteuid() != 0:
        print(f"{pathlib.Path(sys.argv[0]).stem}: run as root", file=sys.stderr)
        sys.exit(1)
