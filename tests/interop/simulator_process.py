"""Starts netsentinel-simulator in a temporary folder and speaks to its control channel."""

import json
import os
import signal
import socket
import subprocess
import tempfile
import time


class SimulatorProcess:
    """Use as a context manager. Ports are chosen by the kernel, files lie in a temporary folder."""

    def __init__(self, scenario, seed=1, arguments=()):
        self._scenario = scenario
        self._seed = seed
        self._arguments = list(arguments)

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="netsentinel-simulator-")
        self.path = self._folder.name
        scenario = self._scenario
        if callable(scenario):
            scenario = scenario(self.path)
        with open(os.path.join(self.path, "scenario.yaml"), "w", encoding="utf-8") as file:
            json.dump(scenario, file)
        self.truth_path = os.path.join(self.path, "truth.jsonl")
        ports_path = os.path.join(self.path, "ports.json")
        program = os.path.join(os.environ["NS_BIN_DIR"], "netsentinel-simulator")
        self.process = subprocess.Popen(
            [program, "--scenario", os.path.join(self.path, "scenario.yaml"),
             "--ports-file", ports_path, "--truth-log", self.truth_path,
             "--seed", str(self._seed), "--control", "127.0.0.1:0"] + self._arguments,
            stderr=subprocess.PIPE)
        deadline = time.monotonic() + 20
        while not os.path.exists(ports_path):
            if self.process.poll() is not None:
                raise RuntimeError(self.process.stderr.read().decode())
            if time.monotonic() > deadline:
                self.process.kill()
                raise RuntimeError("the simulator did not open its ports")
            time.sleep(0.01)
        with open(ports_path, encoding="utf-8") as file:
            self.ports = json.load(file)
        host, port = self.ports["control"].rsplit(":", 1)
        self._control = socket.create_connection((host, int(port)), timeout=40)
        self._lines = self._control.makefile("rb")
        return self

    def __exit__(self, *_):
        self._lines.close()
        self._control.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise
        self.process.stderr.close()
        self._folder.cleanup()

    def send(self, do, **keys):
        """Sends one control line, returns the answer whatever it says."""
        line = json.dumps(dict(keys, do=do)) + "\n"
        self._control.sendall(line.encode())
        return json.loads(self._lines.readline())

    def control(self, router, do, **keys):
        """Sends one control line for a router and insists on success."""
        answer = self.send(do, router=router, **keys)
        if not answer["ok"]:
            raise RuntimeError(answer["error"])
        return answer

    def stop(self):
        """Ends the simulator by SIGTERM and returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(10)

    def truth(self):
        with open(self.truth_path, encoding="utf-8") as file:
            # A line being written has no end yet.
            return [json.loads(line) for line in file if line.endswith("\n")]

    def snapshots(self, router, menu="/queue/simple", rows_only=True):
        return [r for r in self.truth()
                if r["t"] == "snapshot" and r["router"] == router and r["menu"] == menu
                and not (rows_only and r["count_only"])]

    def await_snapshots(self, router, count, menu="/queue/simple"):
        """The first `count` snapshots: a record follows its reply, so the client may be ahead."""
        deadline = time.monotonic() + 10
        while True:
            found = self.snapshots(router, menu)
            if len(found) >= count:
                return found[:count]
            if time.monotonic() > deadline:
                raise RuntimeError("only %d of %d snapshots are in the log" % (len(found), count))
            time.sleep(0.01)
