"""Which file may include what."""

import re

from source_tree import Finding

PROGRAMS = ("collector", "aggregator", "notifier")

# Files here use the standard library, Abseil and each other, and nothing else.
PURE_FOLDERS = (
    "common/base",
    "common/counters",
    "common/http2",
    "collector/routeros",
    "aggregator/accounting",
    "aggregator/quota",
    "notifier/report",
)

# A file named for what it adapts is the edge of its folder and not pure.
ADAPTER_PREFIXES = (
    "asio_", "curl_", "gmime_", "grpc_", "mustache_", "mysql_", "openssl_", "prometheus_",
    "spdlog_", "sqlite_", "systemd_", "yaml_",
)

STANDARD_HEADERS = frozenset(
    """algorithm any array atomic barrier bit bitset cassert cctype cerrno cfenv cfloat charconv
    chrono cinttypes climits clocale cmath codecvt compare complex concepts condition_variable
    coroutine csetjmp csignal cstdarg cstddef cstdint cstdio cstdlib cstring ctime cuchar cwchar
    cwctype deque exception execution filesystem format forward_list fstream functional future
    initializer_list iomanip ios iosfwd iostream istream iterator latch limits list locale map
    memory memory_resource mutex new numbers numeric optional ostream queue random ranges ratio
    regex scoped_allocator semaphore set shared_mutex source_location span sstream stack stdexcept
    stop_token streambuf string string_view strstream syncstream system_error thread tuple
    type_traits typeindex typeinfo unordered_map unordered_set utility valarray variant vector
    version""".split()
)

# Reading a clock, the disk or the network is not pure, whoever ships the header.
IMPURE_STANDARD_HEADERS = frozenset(
    "filesystem fstream iostream thread future latch barrier semaphore stop_token".split()
)


def _is_wire_or_grpc(file):
    return re.fullmatch(r"wire(_\w+)?\.(cc|h)|grpc_\w+\.(cc|h)", file.name) is not None


def _named(prefix):
    return lambda file: file.name.startswith(prefix)


def _within(*folders):
    return lambda file: file.folder in folders


# Header pattern, where it may be included, and how to say so. Tests may include anything.
KEPT_HEADERS = (
    (r".*\.pb\.h", _is_wire_or_grpc, "wire.* and grpc_* files"),
    (
        r"(grpcpp|grpc|google/protobuf)/.*",
        lambda file: _is_wire_or_grpc(file) or file.folder == "common/rpc",
        "wire.*, grpc_* and common/rpc files",
    ),
    (r"spdlog/.*", _within("common/log"), "common/log"),
    (r"sqlite3\.h", _within("common/sqlite"), "common/sqlite"),
    (r"(cppconn/.*|mysql_driver\.h|mysql_connection\.h)", _named("mysql_"), "mysql_* files"),
    (
        r"yaml-cpp/.*",
        _within("common/config", "tools/simulator"),
        "common/config and tools/simulator",
    ),
    (r"prometheus/.*", _within("common/metrics", "common/http"), "common/metrics and common/http"),
    (r"curl/.*", _named("curl_"), "curl_* files"),
    (r"gmime/.*", _named("gmime_"), "gmime_* files"),
    (r"mustache\.hpp|kainjow/.*", _named("mustache_"), "mustache_* files"),
)

_INCLUDE = re.compile(r'\s*#\s*include\s*([<"])([^>"]+)[>"]')


def includes(file):
    """Yields (line number, header) for every include of a C++ file."""
    for number, line in enumerate(file.code_lines, 1):
        match = _INCLUDE.match(line)
        if match:
            yield number, match.group(2)


def is_pure(file):
    return (
        file.is_cpp
        and file.folder in PURE_FOLDERS
        and not file.name.startswith(ADAPTER_PREFIXES)
    )


def _top(path):
    return path.split("/", 1)[0]


def _is_ours(header):
    return _top(header) in PROGRAMS + ("common", "tools", "tests")


def _direction_error(file, header):
    """Why this file must not include this header of ours; None when it may."""
    source, target = _top(file.path), _top(header)
    target_folder = header.rsplit("/", 1)[0]
    if source == "tests":
        return None
    if target == "tests":
        return "only tests include tests/"
    if source == "common" and target != "common":
        return "common/ includes only common/"
    if source in PROGRAMS and target in PROGRAMS and source != target:
        return f"{source} and {target} meet only in proto/"
    if source in PROGRAMS and target == "tools":
        return "programs do not include tools/"
    if source == "tools" and target in PROGRAMS and target_folder != "collector/routeros":
        return "of the programs, tools/ may include collector/routeros only"
    if source == "tools" and target == "tools" and file.folder != target_folder:
        return "tools do not include each other"
    if target_folder.endswith("/app") and file.folder != target_folder:
        if not (file.name == "main.cc" and target_folder.startswith(file.folder + "/")):
            return "only main.cc includes the composition root"
    return None


def _pure_error(header, pure_paths):
    """Why pure code must not include this header; None when it may."""
    if header in STANDARD_HEADERS:
        if header in IMPURE_STANDARD_HEADERS:
            return f"pure code does no I/O and starts no threads, so it does not include <{header}>"
        return None
    if header.startswith("absl/") or header in pure_paths:
        return None
    return "pure code includes the standard library, Abseil and other pure code only"


def _check_file(file, pure_paths):
    findings = []

    def found(line, rule, message):
        findings.append(Finding(file.path, line, rule, message))

    for line, header in includes(file):
        if header.startswith(("./", "../")) or (
            "/" not in header and header.endswith(".h") and f"{file.folder}/{header}" in pure_paths
        ):
            found(line, "include-root", f'write "{header}" from the root of the repository')
        if _is_ours(header):
            error = _direction_error(file, header)
            if error:
                found(line, "layering", f'"{header}": {error}')
        if is_pure(file):
            error = _pure_error(header, pure_paths)
            if error:
                found(line, "pure", f'"{header}": {error}')
        if _top(file.path) != "tests":
            for pattern, allowed, where in KEPT_HEADERS:
                if re.fullmatch(pattern, header) and not allowed(file):
                    found(line, "kept-header", f'"{header}" is included only in {where}')
    return findings


def _check_cycles(files):
    """Folders that include each other in a circle, through any number of others."""
    edges = {}
    for file in files:
        if file.is_cpp and _top(file.path) != "tests":
            for line, header in includes(file):
                target = header.rsplit("/", 1)[0]
                if _is_ours(header) and target != file.folder:
                    edges.setdefault(file.folder, {}).setdefault(target, (file.path, line))

    def reaches(start, goal):
        seen, stack = set(), [start]
        while stack:
            folder = stack.pop()
            if folder == goal:
                return True
            if folder not in seen:
                seen.add(folder)
                stack += edges.get(folder, {})
        return False

    findings = []
    for source in sorted(edges):
        for target, (path, line) in sorted(edges[source].items()):
            if reaches(target, source):
                message = f"{source} and {target} depend on each other"
                findings.append(Finding(path, line, "cycle", message))
    return findings


def check(files):
    pure_paths = {file.path for file in files if is_pure(file)}
    findings = _check_cycles(files)
    for file in files:
        if file.is_cpp:
            findings += _check_file(file, pure_paths)
    return findings
