#!/usr/bin/env python3
"""Malformed requests over the wire: each gets the outcome that Redis 7.0 gives (a stock server is asked beside), and a
neighbour's connection goes on undisturbed. usage: bad_resp.py OURS_HOST REDIS_PORT"""
import os
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from resp import Client  # noqa: E402

PING = b"*1\r\n$4\r\nPING\r\n"
GET = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"

# name, bytes sent; the reply bytes and whether the connection is closed must be the stock server's.
SAME_AS_REDIS = [
    ("row 1: *-1, *0, empty lines, then valid", b"*-1\r\n*0\r\n\r\n\r\n" + PING),
    ("row 2: 2^31 arguments", b"*2147483648\r\n"),
    ("row 2: 20 digits of arguments", b"*99999999999999999999\r\n"),
    ("row 2: not a number of arguments", b"*abc\r\n"),
    ("row 4: $-1", b"*1\r\n$-1\r\n"),
    ("row 4: $-9", b"*1\r\n$-9\r\n"),
    ("row 4: $abc", b"*1\r\n$abc\r\n"),
    ("row 4: $", b"*1\r\n$\r\n"),
    ("row 4: $+5", b"*1\r\n$+5\r\nhello\r\n"),
    ("row 4: $ 5", b"*1\r\n$ 5\r\nhello\r\n"),
    ("row 4: no $", b"*1\r\n:5\r\n"),
    ("row 5: 512 MB and one byte", b"*2\r\n$3\r\nGET\r\n$536870913\r\n"),
    ("row 8: inline without an end", b"A" * 70000),
    ("row 8: unbalanced quotes", b'SET k "unbalanced\r\n'),
    ("row 8: text behind quotes", b'SET k "a"b\r\n'),
    ("row 8: quoted escapes", b'ECHO "\\x41\\n\\"z"\r\n' + PING),
    ("row 8: long multibulk count line", b"*" + b"1" * 70000),
    ("row 8: long bulk length line", b"*1\r\n$" + b"1" * 70000),
    ("row 16: HELLO 4", b"HELLO 4\r\n" + PING),
    ("row 16: HELLO with a strange option", b"HELLO 3 WHAT\r\n" + PING),
    ("row 17: line ends in a command name", b"*1\r\n$6\r\na\r\nb\r\n\r\n" + PING),
    ("row 17: line ends in arguments", b"*2\r\n$3\r\nfoo\r\n$4\r\n\r\n\r\n\r\n" + PING),
    ("row 18: wrong arity", b"GET\r\nSET k\r\nOBJECT\r\nCLIENT NOSUCH\r\n" + PING),
    ("one pipeline, errors between", b"INCR\r\n" + GET + b"NOSUCH a b c\r\n" + PING),
]

# Stock Redis waits in silence for more; here each gets an error and the end.
ERROR_AND_END = [
    ("row 8: NUL inside an inline command", b"PI\x00NG\r\n" + PING),
    ("row 15: TLS ClientHello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 40 + b"\r\n"),
    ("row 15: a bus frame", b"RCmb\x00\x00\x08\xd0\x00\x01" + b"\x00" * 100 + b"\r\n"),
]


def outcome(host, port, data, chunk):
    """Everything that comes back until silence or the end: (bytes, closed)."""
    s = socket.create_connection((host, port), 10)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    received, closed = b"", False
    try:
        for at in range(0, len(data), chunk):
            s.sendall(data[at:at + chunk])
        s.settimeout(0.3)
        while True:
            part = s.recv(65536)
            if not part:
                closed = True
                break
            received += part
    except socket.timeout:
        pass
    except (ConnectionResetError, BrokenPipeError):
        closed = True
    s.close()
    return received, closed


def main():
    host, redis_port = sys.argv[1], int(sys.argv[2])
    neighbour = Client(host)
    Client("127.0.0.1", redis_port).call("FLUSHALL")
    neighbour.call("FLUSHALL")
    failed = 0

    def check(name, good, what=""):
        nonlocal failed
        alive = neighbour.call("PING") == b"PONG"
        if not (good and alive):
            failed += 1
        print("%s %s %s" % ("ok  " if good and alive else "FAIL", name, what if not good else ""))

    for name, data in SAME_AS_REDIS:
        theirs = outcome("127.0.0.1", redis_port, data, len(data))
        for chunk in (len(data), 1) if len(data) < 200 else (len(data),):
            ours = outcome(host, 6379, data, chunk)
            # A reset may overtake the last reply on either side; what arrived must agree.
            same = ours[1] == theirs[1] and (ours[0] == theirs[0] or (ours[1] and b"" in (ours[0], theirs[0])))
            check(name + (" (byte by byte)" if chunk == 1 else ""), same, "\n   ours   %r\n   theirs %r" % (ours, theirs))

    for name, data in ERROR_AND_END:
        received, closed = outcome(host, 6379, data, len(data))
        check(name, received.startswith(b"-ERR Protocol error") and closed, repr((received, closed)))
    for line in (b"POST / HTTP/1.1\r\n", b"Host: localhost\r\n"):
        received, closed = outcome(host, 6379, line + PING, 1000)
        check("row 14: %r ends the connection" % line, closed and b"PONG" not in received, repr(received))

    # Row 9: a valid pipeline, split at every offset.
    pipeline = b"SET k v\r\n" + GET + PING + b"*3\r\n$6\r\nAPPEND\r\n$1\r\nk\r\n$3\r\n\r\n1\r\n" + GET
    expected, _ = outcome("127.0.0.1", redis_port, pipeline, len(pipeline))
    for cut in range(1, len(pipeline)):
        s = socket.create_connection((host, 6379), 10)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        s.sendall(pipeline[:cut])
        if cut % 7 == 0:
            time.sleep(0.002)
        s.sendall(pipeline[cut:])
        got = b""
        while len(got) < len(expected):
            part = s.recv(65536)
            if not part:
                break
            got += part
        s.close()
        if got != expected:
            check("row 9: split at %d" % cut, False, repr(got))
            break
    else:
        check("row 9: split at every offset", True)

    # Rows 3 and 6: announced sizes that never come cost nothing and hold nobody up.
    used = lambda: int([l for l in neighbour.call("INFO", "memory").split(b"\r\n") if l.startswith(b"used_memory:")][0].split(b":")[1])
    before = used()
    hungry = [socket.create_connection((host, 6379), 10) for _ in range(50)]
    for i, s in enumerate(hungry):
        s.sendall(b"*1048576\r\n" if i % 2 else b"*2\r\n$3\r\nGET\r\n$536870912\r\n")
    time.sleep(0.2)
    check("rows 3 and 6: nothing is allocated ahead of the data", used() - before < 8 << 20, "%d bytes" % (used() - before))
    for s in hungry:
        s.close()

    # Row 10: a hundred thousand commands in one burst, in order, while the neighbour goes on.
    many = Client(host, timeout=60)
    many.send_raw(b"".join(b"*2\r\n$4\r\nECHO\r\n$%d\r\n%d\r\n" % (len(str(i)), i) for i in range(100000)))
    slowest = 0
    for _ in range(20):
        start = time.perf_counter()
        neighbour.call("PING")
        slowest = max(slowest, time.perf_counter() - start)
    check("row 10: 100,000 commands in order", all(many.read() == b"%d" % i for i in range(100000)), "neighbour %.1f ms" % (slowest * 1e3))
    many.close()
    print("%d failed" % failed)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
