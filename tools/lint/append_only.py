"""The audit log's table is added to and read; nothing changes or deletes a row of it."""

import re

from source_tree import Finding

TABLE = "audit_log"
# The files that may name the table: what makes it, what guards it, and what adds and reads.
KEEPERS = ("aggregator/store/schema.cc", "aggregator/store/audit_triggers.cc",
           "aggregator/store/sql_store_audit.cc")
# Pages speak of it; tests empty their own databases; the lint names what it looks for.
_FREE = ("docs/", "tests/", "tools/lint/")

_STATEMENTS = re.compile(
    r"\b(UPDATE(\s+\w+)*?|DELETE\s+(\w+\s+)?FROM|REPLACE(\s+INTO)?|INSERT\s+OR\s+REPLACE\s+INTO"
    r"|TRUNCATE(\s+TABLE)?|DROP\s+TABLE(\s+IF\s+EXISTS)?|RENAME\s+TABLE)\s+[`'\"\\]*" + TABLE + r"\b"
    r"|\bALTER\s+TABLE\s+[`'\"\\]*" + TABLE + r"\b[^;]*\b(DROP|MODIFY|CHANGE|RENAME)\b"
    r"|\bINTO\s+[`'\"\\]*" + TABLE + r"\b[^;]*?\bON\s+(DUPLICATE|CONFLICT)\b", re.I)
# A table's name by itself: a statement for any table may be given it.
_BARE = re.compile(rf"[\"'`]{TABLE}[\"'`]")


def _joined(text):
    """The text with literals that stand side by side, or side by side in a call, made one; every
    character that goes is a newline or leaves none, so that lines can be counted."""

    def keep_lines(match):
        return "\n" * match.group(0).count("\n")

    return re.sub(r"\"\s*,?\s*\"|'\s*,?\s*'", keep_lines, text)


def check(files):
    findings = []
    for file in files:
        if file.path.startswith(_FREE) or not file.is_text or TABLE not in file.text:
            continue
        text = _joined(file.text)
        for match in _STATEMENTS.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            findings.append(Finding(file.path, line, "append-only",
                                    f"no row of {TABLE} is changed or deleted, ever"))
        for number, line in enumerate(file.lines, 1):
            if _BARE.search(line):
                findings.append(Finding(file.path, number, "append-only",
                                        f"name {TABLE} in its statement, not as a value"))
            elif file.is_cpp and re.search(rf"\b{TABLE}\b", line) and file.path not in KEEPERS:
                findings.append(Finding(file.path, number, "append-only",
                                        f"only {' and '.join(KEEPERS)} name {TABLE}"))
    return findings
