"""Talks to oracle_driver: tests/oracle/driver/main.cc says how."""

import re
import subprocess


class Driver:
    """One driver process; worlds are sent in batches."""

    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, bufsize=1 << 16)

    def run(self, scripts):
        """Answers, per script, as a list of lines."""
        lines = []
        for i, script in enumerate(scripts):
            lines.append(f"world {i}")
            lines += script
        lines.append("run\n")
        self.process.stdin.write("\n".join(lines))
        self.process.stdin.flush()
        answers = []
        for line in self.process.stdout:
            line = line.rstrip("\n")
            if line == "done":
                break
            if line.startswith("world "):
                answers.append([])
            else:
                answers[-1].append(line)
        if len(answers) != len(scripts):
            raise RuntimeError("the driver ended in the middle of a batch; run it by hand with the "
                               "commands of `scripts/oracle --seed S --commands`")
        return answers

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def usage(lines):
    """(sure, counted, upper, grade) of each answered question, in order."""
    found = []
    for line in lines:
        if line.startswith("usage "):
            w = [int(x) for x in line.split()[1:]]
            found.append(((w[0], w[1]), (w[2], w[3]), (w[2] + w[4], w[3] + w[5]), w[6]))
    return found


def rows(lines):
    return [line for line in lines if line.startswith("day ")]


def rows_without_watch(lines):
    """Without how long a queue was watched, which depends on when its day closed."""
    return [re.sub(r" seen \d+ \d+ \d+", "", line) for line in rows(lines)]


def complaints(lines):
    return [line for line in lines if line.startswith(("error", "refused"))]
