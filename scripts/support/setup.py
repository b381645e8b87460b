"""Certificates and configuration files of a quickstart run."""
import json
import os
import pathlib
import secrets

from processes import Failure, reserve_port, run

SITE = "lab"


def read_secret(path):
    """The one line of a file, or Failure when there is none."""
    try:
        text = pathlib.Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"the password file {path} cannot be read: {error}") from error
    password = text.removesuffix("\n").removesuffix("\r")
    if not password:
        raise Failure(f"the password file {path} is empty")
    return password


class Setup:
    """A run's folder with everything its programs read."""

    def __init__(self, folder, binaries):
        self.folder = pathlib.Path(folder)
        self.bin = pathlib.Path(binaries)
        # Kept for as long as the run, also while a program is dead and between two of its starts.
        self.keepers = {name: reserve_port() for name in ("aggregator", "notifier")}
        self.ports = {name: keeper.getsockname()[1] for name, keeper in self.keepers.items()}
        self.secrets = self.folder / "secrets"
        self.secrets.mkdir(parents=True, exist_ok=True, mode=0o700)

    def secret(self, name, value=None):
        """A file with a secret; without a value, a random one."""
        path = self.secrets / name
        path.touch(mode=0o600)
        path.write_text((secrets.token_urlsafe(18) if value is None else value) + "\n")
        return path

    def certificates(self):
        authority = self.folder / "authority"
        run([self.bin / "netsentinelctl", "certs", "init", "--dir", authority], "certs init")
        for role, name in (("collector", "lab-collector"), ("aggregator", "aggregator"),
                           ("notifier", "notifier"), ("operator", "operator")):
            run([self.bin / "netsentinelctl", "certs", "issue", "--dir", authority, "--role", role,
                 "--name", name, "--dns", "localhost", "--ip", "127.0.0.1",
                 "--out", self.folder / "tls" / role], f"certs issue {name}")
        # The simulated router and the mail catcher have certificates of their own, as they would.
        for name in ("router", "mail"):
            run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30",
                 "-subj", f"/CN={name}.example", "-addext",
                 "subjectAltName=IP:127.0.0.1,DNS:localhost",
                 "-keyout", self.secrets / f"{name}.key", "-out", self.folder / f"{name}.crt"],
                f"certificate of the {name}")
            (self.secrets / f"{name}.key").chmod(0o600)

    def tls(self, role):
        files = self.folder / "tls" / role
        found = {path.suffix + path.name: path for path in files.iterdir()}
        by_kind = {}
        for path in found.values():
            kind = {".key": "key", ".crl": "crl"}.get(
                path.suffix, "ca" if path.name == "ca.crt" else "cert")
            by_kind[kind] = path
        return by_kind

    def tls_yaml(self, role):
        files = self.tls(role)
        return (f"{{ca: {files['ca']}, cert: {files['cert']}, key: {files['key']}, "
                f"crl: {files['crl']}}}")

    def ctl(self, *arguments):
        files = self.tls("operator")
        return run([self.bin / "netsentinelctl", *arguments], f"netsentinelctl {arguments[0]}",
                   env={**os.environ,
                        "NETSENTINEL_AGGREGATOR": f"dns:///localhost:{self.ports['aggregator']}",
                        "NETSENTINEL_NOTIFIER": f"dns:///localhost:{self.ports['notifier']}",
                        "NETSENTINEL_CA": str(files["ca"]), "NETSENTINEL_CERT": str(files["cert"]),
                        "NETSENTINEL_KEY": str(files["key"])})

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def collector_yaml(self, routers, poll_interval):
        lines = [f"collector: {{id: lab-collector, state_dir: {self.folder}/collector}}",
                 f"aggregator: {{target: \"dns:///localhost:{self.ports['aggregator']}\", "
                 f"tls: {self.tls_yaml('collector')}}}",
                 "listen: {grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\"}",
                 "routers:"]
        for router in routers:
            lines += [f"  - id: {router['id']}",
                      f"    address: \"{router['address']}\"",
                      f"    transport: {router['transport']}",
                      *([f"    tls: {router['tls']}"] if "tls" in router else []),
                      f"    username: {json.dumps(router['user'])}",
                      f"    password_file: {router['password_file']}",
                      f"    queues: [{', '.join(router['queues'])}]",
                      f"    poll_interval: {poll_interval}"]
        return self.write("collector.yaml", "\n".join(lines) + "\n")

    def aggregator_yaml(self, routers, store, zone, day_start, limit, flush):
        lines = [f"listen: {{grpc: \"127.0.0.1:{self.ports['aggregator']}\", "
                 "http: \"127.0.0.1:0\"}",
                 f"tls: {self.tls_yaml('aggregator')}",
                 f"store: {{{store}, flush_interval: {flush}}}",
                 f"sites: [{{id: {SITE}, time_zone: {zone}, day_start: \"{day_start}\"}}]",
                 "routers:"]
        for router in routers:
            rate = f"line_rate: {router['line_rate']}, " if router["line_rate"] else ""
            lines.append(f"  - {{id: {router['id']}, site: {SITE}, collectors: [lab-collector], "
                         f"{rate}poll_interval: {router['poll_interval']}}}")
        lines += [f"quota: {{default: {{period: day, basis: download, limit: {limit}}}}}",
                  f"notifier: {{target: \"dns:///localhost:{self.ports['notifier']}\"}}"]
        return self.write("aggregator.yaml", "\n".join(lines) + "\n")

    def notifier_yaml(self, smtp_port):
        return self.write("notifier.yaml", "\n".join([
            f"listen: {{grpc: \"127.0.0.1:{self.ports['notifier']}\", http: \"127.0.0.1:0\"}}",
            f"tls: {self.tls_yaml('notifier')}",
            f"state_dir: {self.folder}/notifier",
            f"aggregator: {{target: \"dns:///localhost:{self.ports['aggregator']}\"}}",
            f"smtp: {{server: \"localhost:{smtp_port}\", starttls: required, "
            f"ca: {self.folder}/mail.crt, username: alerts, "
            f"password_file: {self.secrets}/smtp, from: \"NetSentinel <alerts@netsentinel.example>\"}}",
            "alerts: {to: [noc@netsentinel.example], group_window: 1s}",
            "reports: [{name: daily, at: \"18:15\", sites: all, to: [manager@netsentinel.example]}]",
        ]) + "\n")
