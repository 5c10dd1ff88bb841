"""longwork.py HOST PORT ELEMENTS: commands on large values, and how long PING of another client takes meanwhile.

Prints "NAME took_ms pings p50_us p99_us max_us" per command. The pinging client is a process of its own.
"""
import multiprocessing
import socket
import sys
import time


def connect(host, port):
    s = socket.create_connection((host, port))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def encode(*words):
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        word = str(word).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(word), word))
    return b"".join(parts)


def pinger(host, port, begin, end, results):
    s = connect(host, port)
    while True:
        begin.wait()
        times = []
        while begin.is_set():
            start = time.perf_counter()
            s.sendall(b"PING\r\n")
            s.recv(64)
            times.append((time.perf_counter() - start) * 1e6)
            time.sleep(0.0002)
        results.put(sorted(times))
        end.wait()
        end.clear()


class Client:
    def __init__(self, host, port):
        self.s = connect(host, port)
        self.kept = b""

    def lines(self, count):
        """Reads so many lines; the first one."""
        first, got = None, self.kept
        while True:
            if first is None and b"\r\n" in got:
                first = got[: got.index(b"\r\n")]
            count -= got.count(b"\n")
            if count <= 0:
                return first
            got = self.s.recv(1 << 20)

    def ask(self, request, lines_per_element=0):
        self.s.sendall(request)
        head = b""
        while b"\r\n" not in head:
            head += self.s.recv(65536)
        if not lines_per_element:
            return
        count = int(head[1 : head.index(b"\r\n")]) * lines_per_element
        self.kept = head[head.index(b"\r\n") + 2 :]
        self.lines(count)
        self.kept = b""


def main():
    host, port, n = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    begin, end, results = multiprocessing.Event(), multiprocessing.Event(), multiprocessing.Queue()
    multiprocessing.Process(target=pinger, args=(host, port, begin, end, results), daemon=True).start()
    c = Client(host, port)
    c.ask(encode("FLUSHALL"))
    for i in range(0, n, 500):
        some = range(i, min(n, i + 500))
        c.ask(encode("HSET", "hash", *[w for k in some for w in ("field:%d" % k, "value:%d" % k)]))
        c.ask(encode("RPUSH", "list", *["element:%d" % k for k in some]))
        c.ask(encode("SADD", "set", *["member:%d" % k for k in some]))
    many = [w for k in range(n // 10) for w in ("key:%d" % k, k)]
    work = (
        ("idle", None, 0),
        ("HGETALL", encode("HGETALL", "hash"), 2),
        ("SMEMBERS", encode("SMEMBERS", "set"), 2),
        ("LRANGE", encode("LRANGE", "list", 0, -1), 2),
        ("LREM", encode("LREM", "list", 0, "none"), 0),
        ("SUNIONSTORE", encode("SUNIONSTORE", "union", "set", "set"), 0),
        ("COPY", encode("COPY", "hash", "hash2"), 0),
        ("DEL", encode("DEL", "union", "hash2"), 0),
        ("RPUSH", encode("RPUSH", "list2", *many), 0),
        ("MSET", encode("MSET", *many), 0),
    )
    for name, request, lines in work:
        begin.set()
        time.sleep(0.1)
        start = time.perf_counter()
        if request is None:
            time.sleep(0.5)
        else:
            c.ask(request, lines)
        took = time.perf_counter() - start
        time.sleep(0.05)  # what comes behind the reply, too: freeing
        begin.clear()
        times = results.get()
        end.set()
        print(name, "%.1f" % (took * 1e3), len(times), *["%.0f" % times[int((len(times) - 1) * q)] for q in (0.5, 0.99, 1)],
              flush=True)


main()
