#!/usr/bin/env python3
"""Slots go round between our nodes and a stock one while clients write what is known, through redirections: ioredis
in its cluster mode, and a client that follows MOVED, ASK and TRYAGAIN by hand. Afterwards every key has exactly the
value that was acknowledged, and nobody saw an error that was not a redirection. Beside them, PUBLISH and SPUBLISH.

Runs inside a laboratory with three nodes in cluster mode."""
import itertools
import os
import subprocess
import sys
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from cluster import (Failed, Ours, all_ok, check_clean, expect, form, on_owners, slot_owners, slot_tags,  # noqa: E402
                     stock_nodes, tool_ok, within)
from redirect_client import RedirectClient  # noqa: E402
from resp import Client, Error  # noqa: E402

MOVING = 16  # slots: the lowest ones, which redis-cli takes first, whoever has them
FILLERS = 40  # keys in each, so that a slot takes several MIGRATEs
TAGS = slot_tags()
FIRST = "10.77.0.1"


class Worker(threading.Thread):
    """Runs step() until it is told to end; what it raises is raised by finish()."""

    def __init__(self):
        super().__init__(daemon=True)
        self.stop, self.error = threading.Event(), None
        self.client = RedirectClient(FIRST)
        self.steps = 0

    def run(self):
        try:
            while not self.stop.is_set():
                self.step()
                self.steps += 1
        except Exception as e:  # handed to finish()
            self.error = e

    def finish(self):
        self.stop.set()
        self.join(30)
        if self.error is not None or self.is_alive():
            raise Failed("%s after %d steps: %r" % (type(self).__name__, self.steps, self.error or "hangs"))
        expect("%s wrote" % type(self).__name__, self.steps > 0, True)


class Singles(Worker):
    """SET, INCR, RPUSH, one after the other, of every slot that moves."""

    def step(self):
        n = self.steps + 1
        for slot in range(0, MOVING, 3):
            tag = TAGS[slot]
            expect("SET", self.client.call(tag, "SET", b"set:{%s}" % tag, n), b"OK")
            expect("INCR", self.client.call(tag, "INCR", b"incr:{%s}" % tag), n)
            expect("RPUSH", self.client.call(tag, "RPUSH", b"list:{%s}" % tag, n), n)
            expect("SET", self.client.call(tag, "SET", b"new:%d:{%s}" % (n % 50, tag), n), b"OK")

    def verify(self):
        n = self.steps
        for slot in range(0, MOVING, 3):
            tag = TAGS[slot]
            expect("the string", self.client.call(tag, "GET", b"set:{%s}" % tag), b"%d" % n)
            expect("the number", self.client.call(tag, "GET", b"incr:{%s}" % tag), b"%d" % n)
            expect("the list", self.client.call(tag, "LRANGE", b"list:{%s}" % tag, 0, -1),
                   [b"%d" % i for i in range(1, n + 1)])
            for i in range(max(1, n - 49), n + 1):
                expect("a new key", self.client.call(tag, "GET", b"new:%d:{%s}" % (i % 50, tag)), b"%d" % i)


class Pipelines(Worker):
    DEPTH = 30

    def step(self):
        tag = TAGS[self.steps % MOVING]
        commands = [("RPUSH", b"piped:{%s}" % tag, i) for i in range(self.DEPTH)]
        replies = self.client.pipeline(tag, commands)
        turn = self.steps // MOVING
        expect("a pipeline of RPUSH", replies, [turn * self.DEPTH + i + 1 for i in range(self.DEPTH)])

    def verify(self):
        for slot in range(MOVING):
            turns = (self.steps + MOVING - 1 - slot) // MOVING
            expect("what pipelines wrote", self.client.call(TAGS[slot], "LRANGE", b"piped:{%s}" % TAGS[slot], 0, -1),
                   [b"%d" % i for i in range(self.DEPTH)] * turns)


class Transactions(Worker):
    """Two keys of one slot change together or not at all."""

    def step(self):
        tag = TAGS[1 + self.steps % 3]
        a, b = b"multi:a:{%s}" % tag, b"multi:b:{%s}" % tag
        turn = self.steps // 3
        replies = self.client.block(tag, [("MULTI",), ("INCR", a), ("RPUSH", b, turn), ("EXEC",)])
        expect("EXEC", replies[-1], [turn + 1, turn + 1])

    def verify(self):
        for i in range(3):
            tag, turns = TAGS[1 + i], (self.steps + 2 - i) // 3
            expect("INCR in MULTI", self.client.call(tag, "GET", b"multi:a:{%s}" % tag), b"%d" % turns)
            expect("RPUSH in MULTI", self.client.call(tag, "LRANGE", b"multi:b:{%s}" % tag, 0, -1),
                   [b"%d" % n for n in range(turns)])


class Publisher(Worker):
    """PUBLISH at one node after the other; each node's messages must come in order at a subscriber of another."""

    def __init__(self, nodes):
        super().__init__()
        self.nodes = [Client(n.host, n.port) for n in nodes]

    def step(self):
        i = self.steps % len(self.nodes)
        reply = self.nodes[i].call("PUBLISH", "news", "%d:%d" % (i, self.steps // len(self.nodes)))
        if isinstance(reply, Error):
            raise Failed("PUBLISH: %r" % reply)
        self.stop.wait(0.002)


class Listener:
    """A plain subscriber at one node."""

    def __init__(self, node):
        self.client = Client(node.host, node.port)
        expect("SUBSCRIBE", self.client.call("SUBSCRIBE", "news"), [b"subscribe", b"news", 1])

    def verify(self, publishers, steps):
        got = [[] for _ in range(publishers)]
        for _ in range(steps):
            i, n = self.client.read()[2].split(b":")
            got[int(i)].append(int(n))
        for i, numbers in enumerate(got):
            expect("messages of node %d" % i, numbers, list(range((steps + publishers - 1 - i) // publishers)))


class ShardPublisher(Worker):
    """SPUBLISH of numbers; `heard` are those that somebody received, says the node."""

    def __init__(self, channel):
        super().__init__()
        self.channel, self.heard = channel, []

    def step(self):
        if self.client.call(self.channel, "SPUBLISH", self.channel, self.steps) > 0:
            self.heard.append(self.steps)
        self.stop.wait(0.002)


class ShardListener(Worker):
    """SSUBSCRIBE where the slot is; told that it left, it follows."""

    def __init__(self, channel):
        super().__init__()
        self.channel, self.got, self.followed = channel, [], 0
        self.connection = None

    def subscribe(self):
        # redis-cli tells the new owner before the old one, so for a moment each may point to the other.
        within(20, "SSUBSCRIBE", self.try_subscribe)

    def try_subscribe(self):
        c = Client(*(self.client.owners.get(0) or self.client.first), timeout=0.2)
        reply = c.call("SSUBSCRIBE", self.channel)
        if isinstance(reply, Error):
            c.close()
            self.client._where(reply, 0)
            return False
        expect("SSUBSCRIBE", reply, [b"ssubscribe", self.channel, 1])
        self.connection = c
        return True

    def step(self):
        if self.connection is None:
            self.subscribe()
        try:
            kind, _, payload = self.connection.read()
        except TimeoutError:
            return
        if kind == b"smessage":
            self.got.append(int(payload))
            return
        expect("what ends it", kind, b"sunsubscribe")
        self.connection.close()
        self.connection = None
        self.followed += 1


def go_round(nodes, rounds):
    """The lowest slots from node to node."""
    for source, target in itertools.islice(itertools.cycle(zip(nodes, nodes[1:] + nodes[:1])), rounds * len(nodes)):
        expect("slot 0 is at", slot_owners(nodes[0], nodes)[0], source)
        tool_ok("reshard", nodes[0], "--cluster-from", source.id(), "--cluster-to", target.id(), "--cluster-slots",
                MOVING, "--cluster-yes", "--cluster-pipeline", 10)
        within(20, "everybody knows", lambda t=target: all(
            slot_owners(n, nodes)[:MOVING] == [t] * MOVING for n in nodes))


def start_ioredis():
    script = os.path.join(os.environ["NODE_MODULES"], "ioredis_cluster.mjs")
    tags = [TAGS[s].decode() for s in (0, 5, MOVING - 1)]
    return subprocess.Popen(["node", script, FIRST, *tags], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)


def finish_ioredis(process):
    output = process.communicate(timeout=60)[0].decode()
    print(output.strip())
    expect("ioredis' exit code", process.returncode, 0)


def run(nodes):
    form(nodes)
    fillers = [b"filler:%d:{%s}" % (i, TAGS[s]) for s in range(MOVING) for i in range(FILLERS)]
    on_owners(nodes, [(k, "SET", k, k) for k in fillers])
    channel = b"shard:{%s}" % TAGS[0]
    listeners = [Listener(n) for n in nodes]
    publisher, shard_publisher, shard_listener = Publisher(nodes), ShardPublisher(channel), ShardListener(channel)
    writers = [Singles(), Pipelines(), Transactions()]
    workers = writers + [publisher, shard_publisher, shard_listener]
    for w in workers:
        w.start()
    ioredis = start_ioredis()
    try:
        go_round(nodes, 3 if os.environ.get("SLOTWIRE_LONG") else 1)
        finish_ioredis(ioredis)
    except Failed:
        print("errors of the others:", [w.error for w in workers])
        raise
    finally:
        ioredis.kill()
    for w in writers + [publisher, shard_publisher]:
        w.finish()
    # What is under way is read before the end.
    within(10, "the last message", lambda: shard_publisher.heard[-1] in shard_listener.got)
    shard_listener.finish()
    expect("sharded messages", shard_listener.got, shard_publisher.heard)
    expect("the subscriber followed", shard_listener.followed >= len(nodes), True)
    for listener in listeners:
        listener.verify(len(nodes), publisher.steps)
    for w in writers:
        w.verify()
        print("%s: %d steps, %s" % (type(w).__name__, w.steps, w.client.seen))
        expect("%s was redirected" % type(w).__name__, w.client.seen[b"MOVED"] > 0, True)
    expect("somebody saw ASK", sum(w.client.seen[b"ASK"] for w in writers) > 0, True)
    expect("fillers", on_owners(nodes, [(k, "GET", k) for k in fillers]), fillers)
    all_ok(nodes)
    check_clean(nodes[0])
    print("pub/sub: %d messages to %d subscribers; %d of %d sharded ones heard, %d times elsewhere" % (
        publisher.steps, len(listeners), len(shard_listener.got), shard_publisher.steps, shard_listener.followed))


def main():
    stock = []
    with tempfile.TemporaryDirectory() as directory:
        try:
            stock += stock_nodes((7001, 7002), directory, 15000)
            ours = [Ours(i) for i in (1, 2, 3)]
            # Ours to ours, ours to stock, stock to stock, stock to ours.
            run(ours + stock)
        finally:
            for node in stock:
                node.kill()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as e:
        sys.exit("FAIL: %s" % e)
