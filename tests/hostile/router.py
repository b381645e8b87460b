"""A router of the hostile suite: speaks as much of the RouterOS API as a collector asks for, and shows
whatever queues it is told to."""
import socket
import threading


def word(text):
    """A word of the API: its length in one to five bytes, then its bytes."""
    raw = text if isinstance(text, bytes) else text.encode()
    size = len(raw)
    for limit, mark, count in ((0x80, 0, 1), (0x4000, 0x80, 2), (0x200000, 0xC0, 3)):
        if size < limit:
            head = bytearray(size.to_bytes(count, "big"))
            head[0] |= mark
            return bytes(head) + raw
    return (size | 0xE0000000).to_bytes(4, "big") + raw


def sentence(*words):
    return b"".join(map(word, words)) + b"\0"


class Router:
    """Answers any login. `rows(poll)` gives the words of each queue for the poll of that number."""

    def __init__(self, rows):
        self.rows, self.polls = rows, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.closed = True
        self.listener.close()

    def _accept(self):
        while not self.closed:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, connection.makefile("rb") as source:
            try:
                while command := self._read(source):
                    connection.sendall(self._answer(command))
            except OSError:
                return

    @staticmethod
    def _read(source):
        words = []
        while head := source.read(1):
            size = head[0]
            if size >= 0x80:
                more = 1 if size < 0xC0 else 2 if size < 0xE0 else 3
                size = int.from_bytes(bytes([size & (0xFF >> (more + 1))]) + source.read(more), "big")
            if size == 0:
                return words
            words.append(source.read(size).decode("utf-8", "replace"))
        return []

    def _answer(self, command):
        tags = [one for one in command if one.startswith(".tag=")]
        re = lambda *words: sentence("!re", *tags, *words)  # noqa: E731
        done = sentence("!done", *tags)
        if command[0] == "/system/resource/print":
            return re("=uptime=1h", "=version=7.16.2", "=board-name=CCR") + done
        if command[0] == "/system/routerboard/print":
            return re("=routerboard=yes", "=model=CCR", f"=serial-number=H{self.port}") + done
        if command[0] == "/system/identity/print":
            return re("=name=router") + done
        if command[0] != "/queue/simple/print":
            return done
        rows = self.rows(self.polls)
        if "=count-only=" in command:
            return sentence("!done", *tags, f"=ret={len(rows)}")
        self.polls += 1
        return b"".join(re(*words) for words in rows) + done
