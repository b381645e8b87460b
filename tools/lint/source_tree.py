"""The files of a checkout, and C++ text without its comments and literals."""

import os
import re
import subprocess

SKIPPED_FOLDERS = {"build", "node_modules", ".git", ".cache", "__pycache__"}


class SourceFile:
    """One text file: its path from the root (with /) and its text."""

    def __init__(self, root, path):
        self.path = path
        self.full_path = os.path.join(root, path)
        with open(self.full_path, "rb") as file:
            self.data = file.read()
        self.text = self.data.decode("utf-8", "replace")
        self.lines = self.text.splitlines()
        self.name = path.rsplit("/", 1)[-1]
        self.folder = path.rsplit("/", 1)[0] if "/" in path else ""
        self._code = None

    @property
    def is_text(self):
        return b"\0" not in self.data

    @property
    def is_cpp(self):
        return self.name.endswith((".cc", ".h"))

    @property
    def code_lines(self):
        """Lines of C++ with comments and the contents of literals taken out."""
        if self._code is None:
            self._code = strip_cpp(self.text).split("\n")
        return self._code


class Finding:
    """A broken rule: where, which, and what to do."""

    def __init__(self, path, line, rule, message):
        self.path, self.line, self.rule, self.message = path, line, rule, message

    def __str__(self):
        return f"{self.path}:{self.line}: [{self.rule}] {self.message}"


_TOKEN = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<tag>[^()\\ ]{0,16})\(.*?\)(?P=tag)"|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9A-Za-z_])'(?:\\.|[^'\\\n])+'",
    re.DOTALL,
)


def strip_cpp(text):
    """Removes comments and empties literals; keeps line numbers. Include lines stay whole."""

    def replace(match):
        token = match.group(0)
        if token.startswith(("//", "/*")):
            return "\n" * token.count("\n")
        line_start = text.rfind("\n", 0, match.start()) + 1
        if text[line_start : match.start()].lstrip().startswith("#include"):
            return token
        return '""' + "\n" * token.count("\n")

    return _TOKEN.sub(replace, text)


def _paths_by_git(root):
    result = subprocess.run(
        ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=False,
    )
    if result.returncode != 0:
        return None
    return [path for path in result.stdout.decode("utf-8", "replace").split("\0") if path]


def _paths_by_walking(root):
    paths = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in SKIPPED_FOLDERS]
        paths += [os.path.relpath(os.path.join(folder, name), root) for name in names]
    return paths


def read_tree(root):
    """Every text file that git knows or would add; every file when this is no git checkout."""
    is_checkout = os.path.exists(os.path.join(root, ".git"))
    paths = _paths_by_git(root) if is_checkout else None
    if paths is None:
        paths = _paths_by_walking(root)
    files = []
    for path in sorted(set(paths)):
        full_path = os.path.join(root, path)
        if os.path.isfile(full_path) and not os.path.islink(full_path):
            file = SourceFile(root, path)
            if file.is_text:
                files.append(file)
    return files
