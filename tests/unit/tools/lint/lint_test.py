#!/usr/bin/env python3
"""Each rule of tools/lint finds a violation that is planted, and leaves alone what is allowed."""

import os
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../../tools/lint"))

import lint
import source_tree


def cpp(namespace, *lines):
    return "\n".join([*lines, f"namespace netsentinel::{namespace} {{", "}", ""])


def header(namespace, *lines):
    return "#pragma once\n" + cpp(namespace, *lines)


# A tree with nothing to find; each case adds or replaces files.
CLEAN = {
    "common/base/clock.h": header("base", "#include <string>", '#include "absl/time/time.h"'),
    "common/base/check.cc": cpp("base", '#include "common/base/clock.h"'),
    "common/base/CMakeLists.txt": "ns_library(base SOURCES check.cc)\n",
    "common/base/macros.h": "#pragma once\n#define NS_A(x) \\\n  do_it(x)\n",
    "proto/netsentinel/v1/a.proto": 'syntax = "proto3";\n\n// A.\nmessage A {\n}\n',
    "scripts/go": "#!/usr/bin/env bash\n# Goes.\nset -euo pipefail\n",
}

UNFINISHED = "TO" + "DO"
KEEPER = "aggregator/store/sql_store_audit.cc"
PRIVATE = "/wo" + "rk/here"

# Rule, then the files that break it.
PLANTED = {
    "a collector file includes the aggregator": (
        "layering", {"collector/poll/a.h": header("poll", '#include "aggregator/store/store.h"')}),
    "the notifier includes the collector": (
        "layering", {"notifier/channel/a.h": header("channel", '#include "collector/poll/a.h"')}),
    "common includes a program": (
        "layering", {"common/io/a.h": header("io", '#include "collector/poll/a.h"')}),
    "a tool includes a program's internals": (
        "layering", {"tools/ctl/a.h": header("ctl", '#include "aggregator/query/a.h"')}),
    "a tool includes another tool": (
        "layering", {"tools/ctl/a.h": header("ctl", '#include "tools/simulator/a.h"')}),
    "a library includes a composition root": (
        "layering", {"collector/poll/a.h": header("poll", '#include "collector/app/a.h"')}),
    "a program includes test support": (
        "layering", {"collector/poll/a.h": header("poll", '#include "tests/support/a.h"')}),
    "two folders include each other": (
        "cycle", {
            "common/io/a.h": header("io", '#include "common/log/a.h"'),
            "common/log/a.h": header("log", '#include "common/io/b.h"')}),
    "a circle through a third folder": (
        "cycle", {
            "common/io/a.h": header("io", '#include "common/log/a.h"'),
            "common/log/a.h": header("log", '#include "common/rpc/a.h"'),
            "common/rpc/a.h": header("rpc", '#include "common/io/b.h"')}),
    "pure code includes Asio": (
        "pure", {"collector/routeros/a.h": header("routeros", "#include <boost/asio.hpp>")}),
    "pure code includes a POSIX header": (
        "pure", {"aggregator/accounting/a.h": header("accounting", "#include <unistd.h>")}),
    "pure code starts a thread": (
        "pure", {"aggregator/quota/a.h": header("quota", "#include <thread>")}),
    "pure code includes an adapter": (
        "pure", {
            "collector/routeros/a.h":
                header("routeros", '#include "collector/routeros/asio_client.h"'),
            "collector/routeros/asio_client.h": header("routeros")}),
    "pure code includes an impure folder": (
        "pure", {
            "common/counters/a.h": header("counters", '#include "common/io/a.h"'),
            "common/io/a.h": header("io")}),
    "generated code outside wire and grpc files": (
        "kept-header", {
            "aggregator/ingest/a.h": header("ingest", '#include "netsentinel/v1/a.pb.h"')}),
    "gRPC outside grpc files": (
        "kept-header", {"aggregator/ingest/a.h": header("ingest", "#include <grpcpp/grpcpp.h>")}),
    "spdlog outside common/log": (
        "kept-header", {"collector/poll/a.h": header("poll", "#include <spdlog/spdlog.h>")}),
    "SQLite outside common/sqlite": (
        "kept-header", {"collector/spool/a.h": header("spool", "#include <sqlite3.h>")}),
    "MySQL outside mysql files": (
        "kept-header", {"aggregator/store/a.h": header("store", "#include <cppconn/driver.h>")}),
    "an include relative to the file": (
        "include-root", {"common/io/a.h": header("io", '#include "../base/clock.h"')}),
    "the wall clock read in the middle": (
        "banned-call", {"common/rpc/a.h": header("rpc", "auto t = absl::Now();")}),
    "a steady clock": (
        "banned-call", {"common/rpc/a.h": header("rpc", "auto t = std::chrono::steady_clock::now();")}),
    "a system clock": (
        "banned-call", {"common/rpc/a.h": header("rpc", "auto t = system_clock::now();")}),
    "rand": ("banned-call", {"common/rpc/a.h": header("rpc", "int x = std::rand();")}),
    "the environment": (
        "banned-call", {"common/rpc/a.h": header("rpc", 'auto* x = std::getenv("A");')}),
    "a sleep": (
        "banned-call", {"common/rpc/a.h": header("rpc", "std::this_thread::sleep_for(1s);")}),
    "std::string_view": (
        "string-view", {"common/rpc/a.h": header("rpc", "void F(std::string_view x);")}),
    "a file that is too long": (
        "file-length", {"common/rpc/a.h": header("rpc", *["int x;"] * 700)}),
    "an unfinished place": (
        "unfinished", {"common/rpc/a.h": header("rpc", f"// {UNFINISHED}: more")}),
    "an unfinished place in a script": (
        "unfinished", {"scripts/go": CLEAN["scripts/go"] + f"# {UNFINISHED}\n"}),
    "a path of one machine": ("private", {"README.md": f"see {PRIVATE}\n"}),
    "a private host name": ("private", {"README.md": "http://mirror.inter" + "nal/debian\n"}),
    "a comment about how it came to be": (
        "story", {"common/rpc/a.h": header("rpc", "// wanted by is" + "sue 12")}),
    "a source nobody builds": ("not-built", {"common/base/lost.cc": cpp("base")}),
    "a source named only in a comment": (
        "not-built", {
            "common/base/lost.cc": cpp("base"),
            "common/base/CMakeLists.txt": "ns_library(base SOURCES check.cc) # lost.cc\n"}),
    "a header without pragma once": ("pragma-once", {"common/rpc/a.h": cpp("rpc")}),
    "another folder's namespace": ("namespace", {"common/rpc/a.h": header("log")}),
    "the clock by its other name": (
        "banned-call", {"common/rpc/a.h": header("rpc", "auto t = absl::GetCurrentTimeNanos();")}),
    "POSIX sleep": ("banned-call", {"common/rpc/a.h": header("rpc", "void f() { sleep(1); }")}),
    "POSIX sleep with its scope": (
        "banned-call", {"common/rpc/a.h": header("rpc", "void f() { ::sleep(1); }")}),
    "usleep": ("banned-call", {"common/rpc/a.h": header("rpc", "void f() { ::usleep(1); }")}),
    "nanosleep": ("banned-call", {"common/rpc/a.h": header("rpc", "void f() { nanosleep(a, b); }")}),
    "clock_nanosleep": (
        "banned-call", {"common/rpc/a.h": header("rpc", "void f() { clock_nanosleep(a, 0, b); }")}),
    "a skip that CI does not see": (
        "skip", {"tests/unit/a.h": "#pragma once\nGTEST_SKIP() << 1;\n"}),
    "a script without strict mode": ("script", {"scripts/go": "#!/usr/bin/env bash\necho\n"}),
    "a script without interpreter": ("script", {"scripts/go": "echo\n"}),
    "a lock file with addresses": (
        "lock-file", {"tests/interop/x/package-lock.json": '{\n"resolved": "http://x/y.tgz"\n}\n'}),
    "a message without a comment": (
        "proto-comment", {"proto/netsentinel/v1/b.proto": "\nmessage B {\n}\n"}),
    **{f"a statement that touches rows of the audit log: {text}": (
        "append-only", {KEEPER: header("store", *text.split("|"))})
       for text in ('s = "UPDATE audit_log SET reason = 1";', 's = "delete from audit_log";',
                    's = "DELETE FROM"|    " audit_log WHERE 1";', 's = "DROP TABLE audit_log";',
                    's = absl::StrCat("DELETE FROM ",|                 "audit_log");',
                    's = "REPLACE INTO audit_log VALUES (1)";', 's = "TRUNCATE audit_log";',
                    's = "INSERT OR REPLACE INTO audit_log VALUES (1)";',
                    's = "INSERT INTO audit_log VALUES (1) ON DUPLICATE KEY UPDATE a = 1";',
                    's = "INSERT INTO audit_log VALUES (1)"|" ON CONFLICT DO UPDATE SET a = 1";',
                    's = "ALTER TABLE audit_log DROP COLUMN reason";')},
    "a script that touches rows of the audit log": (
        "append-only", {"scripts/go": CLEAN["scripts/go"] + "sql 'DELETE FROM audit_log'\n"}),
    "the audit log's table as a value, for a statement of any table": (
        "append-only", {KEEPER: header("store", 'Purge("audit_log");')}),
    "the audit log's table named elsewhere": (
        "append-only", {
            "aggregator/store/a.h": header("store", 's = "SELECT * FROM audit_log";')}),
    "a secret for a peer whose words nobody masks": (
        "secret-mask", {"collector/poll/a.h": header("poll", "auto s = password.reveal();")}),
    "an rpc without a comment": (
        "proto-comment", {
            "proto/netsentinel/v1/b.proto": "// S.\nservice S {\n  rpc F(A) returns (A);\n}\n"}),
}

ALLOWED = {
    "a secret whose mask the file's header holds": {
        "collector/poll/a.h": header("poll", "base::SecretMask mask;"),
        "collector/poll/a.cc": cpp("poll", "auto s = password->reveal();"),
        "collector/poll/CMakeLists.txt": "ns_library(poll SOURCES a.cc)\n"},
    "a secret that stays on this host": {
        "common/rpc/a.h": header("rpc", "auto s = key.reveal();")},
    "adding to the audit log and reading it": {
        KEEPER: cpp("store", 's = "INSERT INTO audit_log (a) VALUES (?)";',
                    's = "SELECT a FROM audit_log WHERE b = ?";', 't = "DELETE FROM events";'),
        "aggregator/store/CMakeLists.txt": "ns_library(store SOURCES sql_store_audit.cc)\n"},
    "a page that speaks of the audit log": {"docs/a.md": "No DELETE FROM audit_log, ever.\n"},
    "the same words in comments and strings": {
        "common/rpc/a.h": header("rpc", "// absl::Now() is banned", 'auto a = "absl::Now()";')},
    "the clock in common/io": {"common/io/a.h": header("io", "auto t = absl::Now();")},
    "the environment in main.cc": {
        "collector/main.cc": 'int main() { std::getenv("A"); }\n',
        "collector/CMakeLists.txt": "ns_program(c SOURCES main.cc)\n"},
    "the composition root in main.cc": {
        "collector/main.cc": '#include "collector/app/a.h"\n',
        "collector/app/a.h": "#pragma once\nnamespace netsentinel::app {\n}\n",
        "collector/CMakeLists.txt": "ns_program(c SOURCES main.cc)\n"},
    "a tool with the RouterOS codec": {
        "tools/simulator/a.h":
            header("simulator", '#include "collector/routeros/word_codec.h"')},
    "tests include every program": {
        "tests/unit/a.h":
            '#pragma once\n#include "collector/poll/a.h"\n#include "aggregator/store/a.h"\n'},
    "generated code in a wire file": {
        "aggregator/ingest/wire.h": header("ingest", '#include "netsentinel/v1/a.pb.h"')},
    "a source named by a folder above": {
        "tests/unit/x/a.cc": "int x;\n", "tests/unit/CMakeLists.txt": "ns_test(t SOURCES x/a.cc)\n"},
    "a source named by a folder beside or below": {
        "collector/main.cc": "int x;\n",
        "collector/app/CMakeLists.txt": "ns_program(c SOURCES ../main.cc)\n"},
    "a skip that fails in CI": {
        "tests/unit/a.h": '#pragma once\nif (std::getenv("CI")) FAIL() << 1;\nGTEST_SKIP();\n'},
    "methods called time and rand": {
        "common/rpc/a.h": header("rpc", "auto t = x.time(0);", "auto r = x.rand();",
                                 "x->sleep(1);", "x.sleep(1);", "Own::sleep(1);")},
    "sleep in common/io and in tests": {
        "common/io/a.h": header("io", "void f() { ::sleep(1); }"),
        "tests/unit/a.h": "#pragma once\nvoid f() { usleep(1); }\n"},
    "digit separators and character literals": {
        "common/rpc/a.h": header("rpc", "int a = 1'000'000;", "char c = '\"';", "int b = 2;")},
}


def findings_of(changes):
    with tempfile.TemporaryDirectory() as root:
        for path, text in {**CLEAN, **changes}.items():
            full_path = os.path.join(root, path)
            os.makedirs(os.path.dirname(full_path), exist_ok=True)
            with open(full_path, "w", encoding="utf-8") as file:
                file.write(text)
            if text.startswith("#!"):
                os.chmod(full_path, 0o755)
        _, found = lint.findings_in(root)
        return found


class LintTest(unittest.TestCase):
    def test_a_clean_tree_has_no_findings(self):
        self.assertEqual([], [str(finding) for finding in findings_of({})])

    def test_every_planted_violation_is_found_where_it_is(self):
        for name, (rule, changes) in PLANTED.items():
            with self.subTest(name):
                found = findings_of(changes)
                self.assertIn(rule, {finding.rule for finding in found}, [str(f) for f in found])
                self.assertTrue({finding.path for finding in found} <= set(changes))

    def test_what_is_allowed_is_left_alone(self):
        for name, changes in ALLOWED.items():
            with self.subTest(name):
                self.assertEqual([], [str(finding) for finding in findings_of(changes)])

    def test_a_script_that_cannot_be_run_is_found(self):
        with tempfile.TemporaryDirectory() as root:
            os.makedirs(os.path.join(root, "scripts"))
            with open(os.path.join(root, "scripts/go"), "w", encoding="utf-8") as file:
                file.write(CLEAN["scripts/go"])
            _, found = lint.findings_in(root)
            self.assertEqual(["script"], [finding.rule for finding in found])

    def test_line_numbers_survive_comments_and_raw_strings(self):
        text = 'a\n/* x\ny */ b\nR"(1\n2)" c\n"\\"//" d\n'
        stripped = source_tree.strip_cpp(text).split("\n")
        self.assertEqual(
            ["a", "b", "c", "d"], [stripped[n].split()[-1] for n in (0, 2, 4, 5)])


if __name__ == "__main__":
    unittest.main()
