"""A small RESP client for tests: exact replies, nothing converted, pipelines of any size."""
import socket


class Error(bytes):
    """An error reply: its text without the leading '-'."""

    def __repr__(self):
        return "Error(%s)" % bytes.__repr__(self)


class Status(bytes):
    """A simple string."""


class Push(list):
    """A RESP3 push message."""


class Map(list):
    """A RESP3 map as a list of (key, value) pairs, in order of arrival."""


class Set(list):
    """A RESP3 set, in order of arrival."""


class Closed(Exception):
    """The other side closed the connection."""


def encode(args):
    parts = [b"*%d\r\n" % len(args)]
    for a in args:
        if isinstance(a, str):
            a = a.encode("utf-8", "surrogateescape")
        elif isinstance(a, (int, float)):
            a = repr(a).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(a), a))
    return b"".join(parts)


class Client:
    def __init__(self, host, port=6379, timeout=20):
        self.sock = socket.create_connection((host, port), timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.at = 0

    def close(self):
        self.sock.close()

    def send_raw(self, data):
        self.sock.sendall(data)

    def send(self, *args):
        self.sock.sendall(encode(args))

    def call(self, *args):
        self.send(*args)
        return self.read()

    def pipeline(self, commands):
        """Sends all, then reads all; commands are sequences of arguments."""
        self.sock.sendall(b"".join(encode(c) for c in commands))
        return [self.read() for _ in commands]

    def _fill(self):
        data = self.sock.recv(1 << 18)
        if not data:
            raise Closed()
        self.buffer = self.buffer[self.at:] + data
        self.at = 0

    def _line(self):
        while True:
            end = self.buffer.find(b"\r\n", self.at)
            if end >= 0:
                line = self.buffer[self.at:end]
                self.at = end + 2
                return line
            self._fill()

    def _exactly(self, n):
        while len(self.buffer) - self.at < n:
            self._fill()
        data = self.buffer[self.at:self.at + n]
        self.at += n
        return data

    def _bulk(self, n):
        data = self._exactly(n + 2)
        if data[-2:] != b"\r\n":
            raise ValueError("bulk without its line end")
        return data[:-2]

    def read(self):
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"$":
            return None if rest == b"-1" else self._bulk(int(rest))
        if kind == b":":
            return int(rest)
        if kind == b"+":
            return Status(rest)
        if kind == b"-":
            return Error(rest)
        if kind == b"*":
            return None if rest == b"-1" else [self.read() for _ in range(int(rest))]
        return self._read_resp3(kind, rest)

    def _read_resp3(self, kind, rest):
        if kind == b"_":
            return None
        if kind == b",":
            return float(rest)
        if kind == b"#":
            return rest == b"t"
        if kind == b"(":
            return int(rest)
        if kind in (b"=", b"!"):
            body = self._bulk(int(rest))
            return Error(body) if kind == b"!" else body[4:]
        if kind == b"%":
            return Map((self.read(), self.read()) for _ in range(int(rest)))
        if kind == b"~":
            return Set(self.read() for _ in range(int(rest)))
        if kind == b">":
            return Push(self.read() for _ in range(int(rest)))
        raise ValueError("not RESP: %r" % (kind + rest))
