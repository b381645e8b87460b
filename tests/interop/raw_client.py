"""A client of the RouterOS API on a bare socket, written from the description of the API alone."""

import socket


class EndOfStream(Exception):
    pass


class BadPrefix(Exception):
    pass


def encode_length(n):
    if n < 0x80:
        return bytes([n])
    if n < 0x4000:
        return (n | 0x8000).to_bytes(2, "big")
    if n < 0x200000:
        return (n | 0xC00000).to_bytes(3, "big")
    if n < 0x10000000:
        return (n | 0xE0000000).to_bytes(4, "big")
    return b"\xf0" + n.to_bytes(4, "big")


def as_bytes(word):
    return word if isinstance(word, bytes) else word.encode()


class Client:
    def __init__(self, port, tls=None, source="127.0.0.1"):
        self.socket = socket.create_connection(
            ("127.0.0.1", port), timeout=20, source_address=(source, 0))
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname="router.example")
        self.reads = []
        self.prefix_sizes = set()
        self._buffer = b""

    def close(self):
        self.socket.close()

    def send(self, *words):
        self.send_all(words)

    def send_all(self, *sentences):
        """Several sentences in one segment."""
        data = b""
        for words in sentences:
            data += b"".join(encode_length(len(as_bytes(w))) + as_bytes(w) for w in words) + b"\0"
        self.socket.sendall(data)

    def _exactly(self, count):
        while len(self._buffer) < count:
            data = self.socket.recv(65536)
            if not data:
                raise EndOfStream()
            self.reads.append(len(data))
            self._buffer += data
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def word(self):
        first = self._exactly(1)[0]
        if first < 0x80:
            size, length = 1, first
        elif first < 0xC0:
            size, length = 2, (first & 0x3F) << 8 | self._exactly(1)[0]
        elif first < 0xE0:
            size, length = 3, (first & 0x1F) << 16 | int.from_bytes(self._exactly(2), "big")
        elif first < 0xF0:
            size, length = 4, (first & 0x0F) << 24 | int.from_bytes(self._exactly(3), "big")
        elif first == 0xF0:
            size, length = 5, int.from_bytes(self._exactly(4), "big")
        else:
            raise BadPrefix(first)
        if length > 1 << 20:
            raise BadPrefix(length)
        if length:
            self.prefix_sizes.add(size)
        return self._exactly(length)

    def sentence(self):
        words = []
        while True:
            word = self.word()
            if not word:
                if words:
                    return words
                continue
            words.append(word)

    def reply(self):
        """All sentences up to and with !done or !fatal."""
        sentences = []
        while True:
            sentences.append(self.sentence())
            if sentences[-1][0] in (b"!done", b"!fatal"):
                return sentences

    def ask(self, *words):
        self.send(*words)
        return self.reply()

    def login(self, user="ns", password="s3cret"):
        return self.ask("/login", "=name=" + user, "=password=" + password)


def attributes(sentence):
    pairs = {}
    for word in sentence[1:]:
        if word.startswith(b"="):
            key, _, value = word[1:].partition(b"=")
            pairs.setdefault(key.decode(), value)
    return pairs


def rows(sentences):
    return [attributes(s) for s in sentences if s[0] == b"!re"]


def counters(sentences):
    table = {}
    for row in rows(sentences):
        up, down = row["bytes"].split(b"/")
        table[row["name"]] = (int(up), int(down))
    return table
