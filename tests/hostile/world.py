"""What a row of the hostile suite works with: real programs on loopback, their memory and processor
time, raw clients, and honest ones beside them."""
import contextlib
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags, stream, payload=b""):
    """A frame of HTTP/2 as it stands on the wire."""
    return (len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big")
            + payload)


OPENING = PREFACE + frame(4, 0, 0)


def wait_until(condition, seconds=20.0):
    """The condition's first true value; its last one after the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > deadline:
            return value
        time.sleep(0.05)


class Program:
    """A program under attack."""

    def __init__(self, world, name, config, soft=None, hard=None, environment=None):
        self.world, self.name, self.peak = world, name, 0.0
        world.counter += 1
        self.folder = world.folder / f"{name}-{world.counter}"
        self.folder.mkdir()
        self.config = self.folder / "config.yaml"
        self.config.write_text(config)
        self.log = self.folder / "log"
        ports = self.folder / "ports.json"

        def limit_descriptors():
            old = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft or old[0], hard or old[1]))

        with open(self.log, "wb") as log:
            self.child = subprocess.Popen(
                [str(world.bin / f"netsentinel-{name}"), "--config", str(self.config),
                 "--ports-file", str(ports)],
                stdout=log, stderr=log, preexec_fn=limit_descriptors,
                env={**os.environ, **(environment or {})})
        world.programs.append(self)
        wait_until(lambda: self.child.poll() is not None
                   or ports.exists() and ports.read_text().endswith("}\n"), 60)
        if self.child.poll() is not None or not ports.exists():
            raise RuntimeError(f"{name} does not start:\n{self.log.read_text(errors='replace')}")
        self.ports = json.loads(ports.read_text())
        self.grpc = self.ports["grpc"]

    def alive(self):
        """Whether the process runs."""
        return self.child.poll() is None

    def peak_mib(self):
        """The most memory it had at once, so far or before it was stopped."""
        try:
            text = pathlib.Path(f"/proc/{self.child.pid}/status").read_text()
        except OSError:
            text = ""
        found = re.search(r"VmHWM:\s+(\d+) kB", text)
        self.peak = max(self.peak, int(found[1]) / 1024 if found else 0.0)
        return self.peak

    def cpu(self):
        """Processor seconds used so far."""
        fields = pathlib.Path(f"/proc/{self.child.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def get(self, path, timeout=5):
        """(status, text) of a page of listen.http; (0, why) when there is no answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['http']}{path}",
                                        timeout=timeout) as answer:
                return answer.status, answer.read().decode("utf-8", "replace")
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode("utf-8", "replace")
        except OSError as error:
            return 0, str(error)

    def metric(self, name):
        """A metric's value, with its labels in the name as they are written; 0 when there is none."""
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith(name + " "):
                return float(line.rsplit(" ", 1)[1])
        return 0.0

    def refused(self, reason):
        """How many connections and calls were refused for a reason."""
        return self.metric(f'netsentinel_grpc_refused_total{{reason="{reason}"}}')

    def logged(self, *parts):
        """Whether one line of the log holds all parts."""
        return any(all(part in line for part in parts)
                   for line in self.log.read_text(errors="replace").splitlines())

    def stop(self):
        """Asks it to end and waits; its exit code, or None when it had to be killed."""
        self.peak_mib()
        if self.alive():
            self.child.send_signal(signal.SIGTERM)
            try:
                return self.child.wait(15)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
                return None
        return self.child.returncode


class World:
    """A folder, an authority, and what was started; ends all of it."""

    def __init__(self, binaries, folder, short):
        self.bin, self.folder, self.short = pathlib.Path(binaries).resolve(), folder, short
        self.programs, self.counter = [], 0
        self.authority = folder / "authority"
        self._ctl("certs", "init", "--dir", self.authority)

    def _ctl(self, *arguments, environment=None, timeout=60):
        return subprocess.run([str(self.bin / "netsentinelctl"), *map(str, arguments)],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=timeout, check=False, env={**os.environ,
                                                                 **(environment or {})})

    def issue(self, role, name):
        """A certificate: {ca, cert, key} as paths."""
        out = self.folder / f"{role}-{name}"
        if not out.exists():
            done = self._ctl("certs", "issue", "--dir", self.authority, "--role", role, "--name",
                             name, "--dns", "localhost", "--ip", "127.0.0.1", "--out", out)
            if done.returncode != 0:
                raise RuntimeError(done.stdout)
        return {"ca": out / "ca.crt", "cert": out / f"{name}.crt", "key": out / f"{name}.key"}

    def revoke(self, role, name):
        """Puts a certificate on the authority's list; the list's path."""
        done = self._ctl("certs", "revoke", "--dir", self.authority, "--role", role, name)
        if done.returncode != 0:
            raise RuntimeError(done.stdout)
        return self.authority / "ca.crl"

    def aggregator(self, crl=None, **limits):
        """An aggregator with one site and one router of the collector `honest`."""
        files = self.issue("aggregator", "main")
        lists = f", crl: {crl}" if crl else ""
        return Program(self, "aggregator", f"""
listen: {{grpc: "127.0.0.1:0", http: "127.0.0.1:0"}}
tls: {{ca: {files['ca']}, cert: {files['cert']}, key: {files['key']}{lists}}}
store: {{url: "sqlite://{self.folder}/hostile-{self.counter}.db"}}
sites: [{{id: lahore, time_zone: Asia/Karachi}}]
routers: [{{id: hq-core, site: lahore, collectors: [honest]}}]
""", **limits)

    def asks(self, program, seconds=20.0, environment=None):
        """Whether an honest viewer gets an answer, tried again until it does."""
        files = self.issue("viewer", "honest")

        def ask():
            done = self._ctl("routers", "--aggregator", f"127.0.0.1:{program.grpc}", "--ca",
                             files["ca"], "--cert", files["cert"], "--key", files["key"],
                             environment=environment)
            return done.returncode == 0 and "hq-core" in done.stdout

        return wait_until(ask, seconds)

    def plain(self, program):
        """A connected socket without TLS."""
        return socket.create_connection(("127.0.0.1", program.grpc), timeout=20)

    def tls(self, program, files):
        """A TLS 1.3 connection with a certificate (None: without). Raises OSError when refused."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.set_alpn_protocols(["h2"])
        if files:
            context.load_cert_chain(files["cert"], files["key"])
        return context.wrap_socket(self.plain(program))

    def close(self):
        """Stops what still runs."""
        for program in self.programs:
            if program.alive():
                program.child.kill()
                program.child.wait()


def closed_within(connection, seconds):
    """Whether the other end closes; what it sends is thrown away."""
    connection.settimeout(max(seconds, 0.001))
    try:
        while connection.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


def everything(connection, seconds=20):
    """What the other end sends until it closes."""
    connection.settimeout(seconds)
    text = b""
    with contextlib.suppress(OSError):
        while piece := connection.recv(65536):
            text += piece
    return text


def copy(source, target):
    """Replaces a file as a deployment does, at once."""
    shutil.copy(source, f"{target}.new")
    os.chmod(f"{target}.new", os.stat(target).st_mode & 0o777)
    os.replace(f"{target}.new", target)
