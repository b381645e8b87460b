"""Rules about what a file says, whatever it includes."""

import os
import posixpath
import re

from source_tree import Finding

MAX_LINES = 600

# What only the edge may call; everything else gets it passed in.
_BANNED_CALLS = (
    (r"\babsl::(Now|GetCurrentTimeNanos)\s*\(", "take the time from a base::Clock"),
    (r"\b(steady|system|high_resolution)_clock::now\b", "take the time from a base::Clock"),
    (r"\b(clock_gettime|gettimeofday)\s*\(", "take the time from a base::Clock"),
    (r"(?<![\w:.>])(std::|::)?time\s*\(\s*(nullptr|NULL|0)\s*\)",
     "take the time from a base::Clock"),
    (r"\bstd::s?rand\b|\brandom_device\b|(?<![\w:.>])s?rand\s*\(",
     "take randomness from a base::Random"),
    (r"\b(secure_)?getenv\s*\(", "read the environment in main.cc or common/io and pass it in"),
    (r"\b(sleep_for|sleep_until|SleepFor|usleep|(clock_)?nanosleep)\s*\(",
     "wait for an event with a deadline"),
    (r"(?<![\w:.>])(::)?sleep\s*\(", "wait for an event with a deadline"),
)
_EDGE_FOLDERS = ("common/io/", "tests/", "tools/simulator/")

_STRING_VIEW = re.compile(r"\bstd::(basic_)?string_view\b")
# Put together from halves, so that this file does not break its own rule.
_UNFINISHED = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" + "XX")) + r")\b")
_PRIVATE = (
    (re.compile(r"(?<![\w.$}/-])/" + r"(work|root|home/\w+)/"), "a path of one machine"),
    (re.compile(r"\b[\w-]+\.(internal|corp|lan|intra)\b(?!\s*[:({])"), "a private host name"),
    (re.compile(r"\bDESIGN" + r"\.md\b|\bshared/" + r"(reference|tools)\b"),
     "a page that is not in this repository"),
)
_STORY = re.compile(r"(//|#|\*|--).*\b(issue|task|brief|slice) #?\d+\b", re.I)
_SCRIPT_NAMES = re.compile(r"^(scripts/[^./]+|\.ci/run)$")


def _check_cpp(file):
    findings = []

    def found(line, rule, message):
        findings.append(Finding(file.path, line, rule, message))

    on_edge = file.path.startswith(_EDGE_FOLDERS) or file.name == "main.cc"
    for number, line in enumerate(file.code_lines, 1):
        if not on_edge:
            for pattern, instead in _BANNED_CALLS:
                match = re.search(pattern, line)
                if match:
                    found(number, "banned-call", f'"{match.group(0).strip()}": {instead}')
        if _STRING_VIEW.search(line):
            found(number, "string-view", "use absl::string_view")
        if "GTEST_SKIP" in line and not _fails_in_ci(file, number):
            found(number, "skip", "fail instead of skipping when the variable CI is set")
    if file.name.endswith(".h"):
        first = next((line for line in file.code_lines if line.strip()), "")
        if first.strip() != "#pragma once":
            found(1, "pragma-once", "a header's first line of code is #pragma once")
    findings += _check_namespace(file)
    return findings


def _fails_in_ci(file, number):
    nearby = file.lines[max(0, number - 9) : number + 8]
    return any(re.search(r'"CI"', line) for line in nearby) and any(
        re.search(r"\bFAIL\(\)|\bADD_FAILURE\(\)|GTEST_FAIL", line) for line in nearby
    )


def _check_namespace(file):
    """common/base is netsentinel::base; tests and main.cc are free, app folders name the product."""
    parts = file.folder.split("/")
    if parts[0] == "tests" or file.name == "main.cc" or len(parts) < 2:
        return []
    wanted = "netsentinel" if parts[1] == "app" else f"netsentinel::{parts[1]}"
    pattern = rf"^namespace {wanted}(::\w+)* \{{"
    if any(re.match(pattern, line) for line in file.code_lines):
        return []
    joined = re.sub(r"\\\n", " ", "\n".join(file.code_lines))
    if all(not line.strip() or line.startswith("#") for line in joined.split("\n")):
        return []  # macros only
    return [Finding(file.path, 1, "namespace", f"this folder's namespace is {wanted}")]


def _check_text(file):
    findings = []

    def found(line, rule, message):
        findings.append(Finding(file.path, line, rule, message))

    is_script = file.data.startswith(b"#!")
    if file.name.endswith((".cc", ".h", ".py", ".proto", ".rsc")) or is_script:
        if len(file.lines) > MAX_LINES:
            found(MAX_LINES + 1, "file-length", f"{len(file.lines)} lines; at most {MAX_LINES}")
    if file.path == "LICENSE":
        return findings
    for number, line in enumerate(file.lines, 1):
        match = _UNFINISHED.search(line)
        if match:
            found(number, "unfinished", f"{match.group(0)}: finish it or leave it out")
        for pattern, what in _PRIVATE:
            match = pattern.search(line)
            if match:
                found(number, "private", f'"{match.group(0).strip()}" is {what}')
        if _STORY.search(line):
            found(number, "story", "comments say what holds, not how the code came to be")
    return findings


def _check_script(file):
    if not file.data.startswith(b"#!"):
        if _SCRIPT_NAMES.match(file.path):
            return [Finding(file.path, 1, "script", "a script starts with #!")]
        return []
    findings = []
    first = file.lines[0]
    head = [line.strip() for line in file.lines[:40]]
    if re.search(r"\bbash\b", first) and "set -euo pipefail" not in head:
        findings.append(Finding(file.path, 2, "script", "write set -euo pipefail at the top"))
    if re.search(r"/(da)?sh\b", first) and "set -eu" not in head:
        findings.append(Finding(file.path, 2, "script", "write set -eu at the top"))
    if not os.access(file.full_path, os.X_OK):
        findings.append(Finding(file.path, 1, "script", "has #! but is not executable"))
    return findings


def _check_built(files):
    """Every .cc is named by a CMakeLists.txt, as seen from that file's folder."""
    named = set()
    for file in files:
        if file.name == "CMakeLists.txt":
            text = re.sub(r"#[^\n]*", "", file.text)
            for source in re.findall(r"[\w./-]+\.cc\b", text):
                named.add(posixpath.normpath(posixpath.join(file.folder, source)))
    message = "no CMakeLists.txt names it, so nobody builds it"
    return [
        Finding(file.path, 1, "not-built", message)
        for file in files
        if file.name.endswith(".cc") and file.path not in named
    ]


def _check_lock_file(file):
    if file.name != "package-lock.json":
        return []
    return [
        Finding(file.path, number, "lock-file", "take out resolved addresses: they name a registry")
        for number, line in enumerate(file.lines, 1)
        if '"resolved":' in line
    ]


_PROTO_ITEM = re.compile(r"^\s*(service|rpc|message|enum)\s+(\w+)")


def _check_proto(file):
    if not file.name.endswith(".proto"):
        return []
    findings = []
    for number, line in enumerate(file.lines, 1):
        match = _PROTO_ITEM.match(line)
        if match:
            above = file.lines[number - 2].strip() if number > 1 else ""
            if not above.startswith("//"):
                message = f"{match.group(1)} {match.group(2)} has no comment above it"
                findings.append(Finding(file.path, number, "proto-comment", message))
    return findings


_PROGRAMS = ("aggregator/", "collector/", "notifier/")


def _check_masks(files):
    """Whoever hands a secret to a peer passes what that peer says through a mask of it."""
    text_of = {file.path: file.text for file in files}
    findings = []
    for file in files:
        if not file.is_cpp or not file.path.startswith(_PROGRAMS):
            continue
        header = re.sub(r"\.cc$", ".h", file.path)
        if "SecretMask" in file.text or "SecretMask" in text_of.get(header, ""):
            continue
        for number, line in enumerate(file.code_lines, 1):
            if re.search(r"(\.|->)reveal\(\)", line):
                message = "a peer may repeat it: pass what it says through a base::SecretMask"
                findings.append(Finding(file.path, number, "secret-mask", message))
    return findings


def check(files):
    findings = _check_built(files) + _check_masks(files)
    for file in files:
        if file.is_cpp:
            findings += _check_cpp(file)
        findings += _check_text(file)
        findings += _check_script(file)
        findings += _check_lock_file(file)
        findings += _check_proto(file)
    return findings
