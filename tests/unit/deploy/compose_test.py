"""Tests of deploy/docker and deploy/compose that need no Docker."""
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
COMPOSE = ROOT / "deploy" / "compose"
BIN = pathlib.Path(os.environ["NS_BIN_DIR"])
PROGRAMS = ("collector", "aggregator", "notifier")


def blocks(text, start):
    """{name: block} of a text cut at the lines that match `start`, whose group is the name."""
    found = list(re.finditer(start, text, re.MULTILINE))
    ends = [match.start() for match in found[1:]] + [len(text)]
    return {match.group(1): text[match.start():end] for match, end in zip(found, ends)}


class ShippedConfigurationTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.ctl("init")
        for role in PROGRAMS:
            self.ctl("issue", "--role", role, "--name", role, "--out", self.folder / "tls")
        (self.folder / "tls/mariadb.crt").write_bytes((self.folder / "tls/ca.crt").read_bytes())
        (self.folder / "secrets").mkdir()
        for name in ("database", "router", "smtp"):
            path = self.folder / "secrets" / name
            path.touch(mode=0o600)
            path.write_text("secret\n")

    def ctl(self, verb, *arguments):
        subprocess.run([BIN / "netsentinelctl", "certs", verb, "--dir", self.folder / "authority",
                        *arguments], check=True, capture_output=True)

    def check(self, program):
        text = (COMPOSE / "config" / program / f"{program}.yaml").read_text()
        path = self.folder / f"{program}.yaml"
        path.write_text(text.replace("/run/tls", str(self.folder / "tls"))
                        .replace("/run/secrets", str(self.folder / "secrets")))
        return subprocess.run([BIN / f"netsentinel-{program}", "--config", path, "--check-config"],
                              capture_output=True, text=True, check=False)

    def test_each_program_accepts_its_file(self):
        for program in PROGRAMS:
            result = self.check(program)
            self.assertEqual(result.returncode, 0, f"{program}: {result.stderr}")

    def test_a_secret_that_others_can_read_is_refused(self):
        (self.folder / "secrets/smtp").chmod(0o644)
        result = self.check("notifier")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("open to other users", result.stderr)

    def test_every_secret_of_the_files_is_given_to_the_service(self):
        services = blocks((COMPOSE / "compose.yaml").read_text(), r"^  ([a-z]+):$")
        for program in PROGRAMS:
            text = (COMPOSE / "config" / program / f"{program}.yaml").read_text()
            for name in re.findall(r"/run/secrets/([a-z]+)", text):
                self.assertIn(f"secrets: [{name}]", services[program])


class StartOrderTest(unittest.TestCase):
    def test_only_the_aggregator_waits_for_health_and_only_for_that_of_the_database(self):
        services = blocks((COMPOSE / "compose.yaml").read_text(), r"^  ([a-z]+):$")
        waits = {name: re.findall(r"^      ([a-z]+): \{condition: (\w+)\}$", block, re.MULTILINE)
                 for name, block in services.items()}
        self.assertEqual({"aggregator": [("mariadb", "service_healthy")],
                          "notifier": [("aggregator", "service_started")],
                          "collector": [("aggregator", "service_started")]},
                         {name: found for name, found in waits.items() if found})


class HardeningTest(unittest.TestCase):
    def test_images_of_processes_have_a_user_and_a_probe(self):
        text = (ROOT / "deploy/docker/Dockerfile").read_text()
        self.assertNotIn("# syntax=", text)
        stages = blocks(text, r"^FROM .* AS ([a-z-]+)$")
        for name in (*PROGRAMS, "ctl", "simulator", "mail-catcher"):
            self.assertIn("USER 10001:10001", stages[name], name)
        for name in PROGRAMS:
            self.assertRegex(stages[name], rf'HEALTHCHECK [^"]*"netsentinel-{name}".*--healthcheck"')

    def test_services_are_closed_and_limited(self):
        text = (COMPOSE / "compose.yaml").read_text()
        top = text[:text.index("\nservices:")]
        for key in ("read_only: true", "cap_drop: [ALL]", "no-new-privileges:true"):
            self.assertIn(key, top)
        services = blocks(text[text.index("\nservices:"):text.index("\nnetworks:")],
                          r"^  ([a-z]+):$")
        self.assertEqual(set(services), {"mariadb", *PROGRAMS, "ctl", "setup"})
        for name, block in services.items():
            self.assertRegex(block, r"<<: \*(hardened|program)", name)
            self.assertRegex(block, r"limits: \{cpus: .*, memory: .*, pids: \d+\}", name)
            if name not in ("ctl", "setup"):
                self.assertIn("healthcheck:", block, name)


if __name__ == "__main__":
    unittest.main()
