"""The bytes a router sends for a reply, made without the product's code, and replies that are no good.

RouterOS API: a word is a length prefix and that many bytes, a sentence is words and an empty word.
What a router may send and still be understood (rows of two menus in turn, other words beside, empty
sentences, any pieces) goes into the replies that count. Between them stand attempts that must be
refused whole: each shows counters that would be wrong if one row of it were taken.
"""

import collections
import random

ATTEMPTS = ("trap in mid reply", "cut off", "fatal in mid reply", "no bytes", "no id", "no name",
            "bytes that are no number", "a row twice", "a counter twice", "packets in some rows only",
            "no uptime", "a byte that is no length")
ENDS_SESSION = {"cut off", "fatal in mid reply", "a byte that is no length"}
NO_NUMBERS = ("12x/34", "-5/3", "1/2/3", "/", "18446744073709551616/0", "1e6/2", " 7/8", "", "0x10/0")


def length(n):
    """The shortest prefix of a word of n bytes."""
    if n < 0x80:
        return bytes([n])
    if n < 0x4000:
        return (n | 0x8000).to_bytes(2, "big")
    return (n | 0xC00000).to_bytes(3, "big")


def sentence(*words):
    out = b""
    for word in words:
        data = word.encode()
        out += length(len(data)) + data
    return out + b"\0"


def uptime_text(seconds):
    """As RouterOS writes it: 1w2d3h4m5s."""
    out = ""
    for unit, size in (("w", 604800), ("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            out += f"{seconds // size}{unit}"
            seconds %= size
    return out + (f"{seconds}s" if seconds or not out else "")


def row_words(row, menu):
    """The words of a row, without !re and tag, in the order in which routers send them."""
    simple = menu == "simple"

    def pair(up, down):
        return f"{up}/{down}" if simple else str(down)

    found = [f"=.id=*{row.id:X}", f"=name={row.name}"]
    if simple:
        found.append(f"=target={row.target}")
    else:
        found.append(f"=packet-mark={row.target}")
    found.append(f"=parent={row.parent or ('none' if simple else '')}")
    found.append(f"=max-limit={pair(row.max_up, row.max_down)}")
    found.append(f"=burst-limit={pair(row.burst_up, row.burst_down)}")
    found.append(f"=bytes={pair(row.up, row.down)}")
    found.append(f"=packets={pair(row.packets // 3, row.packets - row.packets // 3)}")
    if simple:
        found.append(f"=dynamic={'true' if row.dynamic else 'false'}")
    found.append("=disabled=false")
    found.append("=invalid=false")
    return found


class Routers:
    """The routers of a case, each with its session. `faults` counts the attempts by what was wrong,
    `expected` is what the driver must answer to each `take`: taken, or lost."""

    def __init__(self, case):
        self.rng = random.Random(f"wire {case.seed}")
        self.tags = {}  # router -> the next tag
        self.faults = collections.Counter()
        self.expected = []

    def reply(self, snaps):
        """The driver's lines for one reply, perhaps after attempts that fail."""
        lines = []
        if self.rng.random() < 0.5:
            lines += self._attempt(snaps, self.rng.choice(ATTEMPTS))
        return lines + self._attempt(snaps, None)

    def _attempt(self, snaps, fault):
        router = snaps[0].router
        lines = []
        if router not in self.tags:
            lines += [f"session {router}", f"bytes {router} " + sentence("!done", ".tag=1").hex()]
            self.tags[router] = 2
        first = self.tags[router]
        menus = [s.menu for s in snaps]
        lines.append(f"ask {router} " + " ".join(menus))
        self.tags[router] += 1 + len(menus)
        data = self._bytes(snaps, first, fault)
        lines += [f"bytes {router} {piece.hex()}" for piece in self._pieces(data)]
        if fault == "cut off":
            lines.append(f"hangup {router}")
        if fault in ENDS_SESSION:
            del self.tags[router]
        if fault is not None:
            self.faults[fault] += 1
        # A fault of one menu does not touch the other, unless it is the session's or the uptime's.
        for i, snap in enumerate(snaps):
            if fault is not None and i > 0:
                break  # the collector asks for the rest again
            lines.append(_take(snap))
            self.expected.append("taken" if fault is None else "lost")
        return lines

    def _bytes(self, snaps, first, fault):
        """Answers to the uptime and to each menu, in turn as routers mix them."""
        rng = self.rng
        streams = [self._uptime(snaps[0], first, fault)]
        for i, snap in enumerate(snaps):
            streams.append(self._menu(snap, first + 1 + i, fault if i == 0 else None))
        out = []
        while any(streams):
            stream = rng.choice([s for s in streams if s])
            out.append(stream.pop(0))
            if rng.random() < 0.05:
                out.append(b"\0")  # an empty sentence
        if fault in ("cut off", "fatal in mid reply", "a byte that is no length"):
            # Something of the first menu must be missing.
            done = out.index(sentence("!done", f".tag={first + 1}"))
            out = out[:rng.randrange(done + 1)]
            if fault == "fatal in mid reply":
                out.append(sentence("!fatal", "session terminated on request"))
            elif fault == "a byte that is no length":
                out.append(b"\xf8")
            else:
                out.append(b"\x03!r")
        return b"".join(out)

    def _uptime(self, snap, tag, fault):
        words = ["!re", f".tag={tag}"]
        if fault != "no uptime":
            words.append(f"=uptime={uptime_text(snap.uptime)}")
        elif self.rng.random() < 0.5:
            words.append("=uptime=soon")
        return [sentence(*words), sentence("!done", f".tag={tag}")]

    def _menu(self, snap, tag, fault):
        rng = self.rng
        rows = [row_words(r, snap.menu) for r in snap.rows]
        if fault is not None:
            # If one of these were taken, the truth would be outside.
            for words in rows:
                _replace(words, "=bytes=", "=bytes=" + ("7777777/77777777" if snap.menu == "simple"
                                                        else "77777777"))
            rows = _spoil(rows, fault, snap.menu, rng)
        out = []
        for words in rows:
            words = list(words)
            if rng.random() < 0.3:
                rng.shuffle(words)
            if rng.random() < 0.3:
                words.insert(rng.randrange(len(words) + 1), "=queued-bytes=3/4")
            words.insert(0 if rng.random() < 0.5 else len(words), f".tag={tag}")
            out.append(sentence("!re", *words))
        if fault == "trap in mid reply":
            del out[len(out) // 2:]
            out.append(sentence("!trap", f".tag={tag}", "=message=interrupted"))
        return out + [sentence("!done", f".tag={tag}")]

    def _pieces(self, data):
        """The bytes as a network may cut them."""
        rng = self.rng
        cuts = sorted(rng.sample(range(1, len(data)), min(rng.randrange(4), len(data) - 1)))
        return [data[a:b] for a, b in zip([0] + cuts, cuts + [len(data)])]


def _replace(words, prefix, word):
    for i, old in enumerate(words):
        if old.startswith(prefix):
            words[i] = word


def _drop(words, prefix):
    words[:] = [w for w in words if not w.startswith(prefix)]


def _spoil(rows, fault, menu, rng):
    """The rows with the fault in one of them."""
    row = ["=.id=*FF", "=name=only", "=parent=none", "=bytes=1/2" if menu == "simple" else "=bytes=2"]
    if not rows:
        rows = [row]
    at = rng.randrange(len(rows))
    words = rows[at]
    if fault == "no bytes":
        _drop(words, "=bytes=")
    elif fault == "no id":
        _drop(words, "=.id=")
    elif fault == "no name":
        _drop(words, "=name=")
    elif fault == "bytes that are no number":
        _replace(words, "=bytes=", "=bytes=" + rng.choice(NO_NUMBERS if menu == "simple" else
                                                          ("1/2", "x", "", "-1")))
    elif fault == "a row twice":
        rows.insert(rng.randrange(len(rows) + 1), list(words))
    elif fault == "a counter twice":
        words.append("=bytes=1/1" if menu == "simple" else "=bytes=1")
    elif fault == "packets in some rows only":
        _drop(words, "=packets=")
        rows.append(["=.id=*FE", "=name=other", "=parent=none",
                     "=bytes=1/2" if menu == "simple" else "=bytes=2",
                     "=packets=1/1" if menu == "simple" else "=packets=2"])
    return rows


def _take(snap):
    return (f"take {snap.router} {snap.menu} {snap.host or '-'} {snap.begin} {snap.end} {snap.session} "
            f"{snap.stamp} {snap.serial or '-'} {int(snap.boundary)} {snap.skew_ms} {snap.paused} "
            f"{int(snap.decided)}")
