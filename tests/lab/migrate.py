#!/usr/bin/env python3
"""MIGRATE: node to node, to redis-server 7.0 and back, under writes, and to a peer that is stopped.

Runs inside a laboratory with two nodes; starts a redis-server of its own on the lab's address."""
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from resp import Client, Error  # noqa: E402

REDIS = ("10.77.0.254", 7401)
NODES = [("10.77.0.1", 6379), ("10.77.0.2", 6379)]


def start_redis(directory):
    server = subprocess.Popen(
        ["redis-server", "--bind", REDIS[0], "--port", str(REDIS[1]), "--protected-mode", "no", "--save", "",
         "--appendonly", "no", "--enable-debug-command", "yes", "--dir", directory, "--logfile", "redis.log"])
    for _ in range(200):
        try:
            return server, Client(*REDIS)
        except OSError:
            time.sleep(0.05)
    raise SystemExit("redis-server does not start")


def fill(c, rng):
    """Values of every kind and size; their keys."""
    c.call("SET", "small", "hello")
    c.call("SET", "number", "-12345", "PX", "10000000")
    c.call("SET", "big", rng.randbytes(3000000))
    c.call("SETRANGE", "zeros", 40000000, "end")
    for start in range(0, 30000, 1000):
        numbers = range(start, start + 1000)
        c.call("RPUSH", "list", *["element:%d" % i for i in numbers])
        c.call("SADD", "set", *["member:%d" % i for i in numbers])
        c.call("HSET", "hash", *[w for i in numbers for w in ("field:%d" % i, "value:%d" % i)])
    c.call("SADD", "intset", *range(100))
    c.call("HSET", "fields", "a", "1", "b", "2")
    c.call("RPUSH", "long elements", "x" * 100000, "y" * 9000, "z")
    return ["small", "number", "big", "zeros", "list", "set", "hash", "intset", "fields", "long elements"]


def digests(c, keys):
    return c.call("DEBUG", "DIGEST-VALUE", *keys)


def expect(what, got, want):
    if got != want:
        raise SystemExit("%s: %r, not %r" % (what, got, want))


def move(source, target, address, keys, *options):
    """All keys at once; at the target they must be what they were."""
    before = digests(source, keys)
    started = time.monotonic()
    reply = source.call("MIGRATE", address[0], address[1], "", 0, 20000, *options, "KEYS", *keys)
    expect("MIGRATE to %s:%d %s" % (*address, options), reply, b"OK")
    took = time.monotonic() - started
    expect("digests", digests(target, keys), before)
    left = source.call("EXISTS", *keys)
    expect("keys left", left, len(keys) if "COPY" in options else 0)
    print("migrate: %d keys to %s:%d %s in %.2f s" % (len(keys), *address, " ".join(options), took), flush=True)


def around(clients, addresses):
    """From node to node to Redis to node, and back the other way."""
    for c in clients:
        c.call("FLUSHALL")
    keys = fill(clients[0], random.Random(5))
    for a, b in ((0, 1), (1, 2), (2, 0), (0, 2), (2, 1), (1, 0)):
        move(clients[a], clients[b], addresses[b], keys)
    move(clients[0], clients[1], addresses[1], keys, "COPY")
    reply = clients[0].call("MIGRATE", *addresses[1], "small", 0, 1000)
    expect("without REPLACE", reply,
           Error(b"ERR Target instance replied with error: BUSYKEY Target key name already exists."))
    move(clients[0], clients[1], addresses[1], keys, "REPLACE")
    expect("expiry", clients[1].call("PTTL", "number") > 9000000, True)


def count_up(address, stop, counts):
    c = Client(*address)
    while not stop.is_set():
        reply = c.call("INCR", "counter")
        if isinstance(reply, Error):
            raise SystemExit("INCR: %r" % reply)
        counts.append(reply)
    c.close()


def under_writes(clients, addresses):
    """Nothing written to a key is lost while it moves away, again and again."""
    stop, counts, moved = threading.Event(), [], 0
    threads = [threading.Thread(target=count_up, args=(addresses[0], stop, counts)) for _ in range(3)]
    for t in threads:
        t.start()
    for _ in range(200):
        reply = clients[0].call("MIGRATE", *addresses[1], "counter", 0, 5000)
        if reply == b"OK":
            moved += int(clients[1].call("GETDEL", "counter"))
        else:
            expect("MIGRATE under writes", reply, b"NOKEY")
    stop.set()
    for t in threads:
        t.join()
    left = int(clients[0].call("GETDEL", "counter") or 0)
    expect("increments", moved + left, len(counts))
    print("migrate: %d increments during 200 migrations, none lost" % len(counts), flush=True)


def stopped_peer(node, redis, redis_process):
    node.call("SET", "k", "hello")
    redis_process.send_signal(signal.SIGSTOP)
    started = time.monotonic()
    reply = node.call("MIGRATE", *REDIS, "k", 0, 300)
    took = time.monotonic() - started
    redis_process.send_signal(signal.SIGCONT)
    expect("a peer that is stopped", isinstance(reply, Error) and reply.startswith(b"IOERR error or timeout"), True)
    expect("its time", 0.2 < took < 5, True)
    expect("the key", node.call("GET", "k"), b"hello")
    time.sleep(0.2)
    redis.call("DEL", "k")
    expect("nobody there", node.call("MIGRATE", "10.77.0.2", 1, "k", 0, 500),
           Error(b"IOERR error or timeout connecting to the client"))
    expect("no such address", node.call("MIGRATE", "10.77.0.99", 1, "k", 0, 500),
           Error(b"IOERR error or timeout connecting to the client"))
    expect("authentication", node.call("MIGRATE", *REDIS, "k", 0, 500, "AUTH", "wrong")[:38],
           b"ERR Target instance replied with error")
    redis.call("CONFIG", "SET", "requirepass", "secret")
    redis.call("DEL", "k")
    expect("a password", node.call("MIGRATE", *REDIS, "k", 0, 500, "AUTH2", "default", "secret"), b"OK")
    expect("the key", node.call("EXISTS", "k"), 0)


def main():
    with tempfile.TemporaryDirectory() as directory:
        process, redis = start_redis(directory)
        try:
            clients = [Client(*a) for a in NODES] + [redis]
            addresses = NODES + [REDIS]
            around(clients, addresses)
            under_writes(clients, addresses)
            stopped_peer(clients[0], redis, process)
        finally:
            process.kill()
            process.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
