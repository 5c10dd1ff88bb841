#!/usr/bin/env python3
"""Every tool of redis-cli --cluster against a cluster of our nodes, and of ours and stock ones; `check` is clean after
each, and every key has its value. Then what breaks off half-way, which `fix` repairs.

Runs inside a laboratory with four nodes in cluster mode."""
import os
import random
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from cluster import (Failed, Ours, Stock, all_ok, check_clean, expect, form, key_slot, on_owners,  # noqa: E402
                     slot_owners, slot_tags, stock_nodes, tool, tool_ok, within)
from resp import Client, Error  # noqa: E402

TAGS = slot_tags()
TTL_MS = 10000000


def value_commands(kind, key, seed):
    """(writes, read, what the read must give) of one key."""
    if kind == "string":
        value = b"value:%d" % seed
        return [("SET", key, value)], ("GET", key), value
    if kind == "number":
        return [("SET", key, seed)], ("GET", key), b"%d" % seed
    if kind == "big":
        value = random.Random(seed).randbytes(1 << 20)
        return [("SET", key, value)], ("GET", key), value
    if kind == "list":
        items = [b"item:%d" % i for i in range(seed % 300 + 1)]
        return [("RPUSH", key, *items)], ("LRANGE", key, 0, -1), items
    if kind == "hash":
        fields = {b"f%d" % i: b"v%d" % (i * seed) for i in range(seed % 300 + 1)}
        return [("HSET", key, *[w for f in fields.items() for w in f])], ("HGETALL", key), fields
    members = {b"%d" % (i * seed) if kind == "intset" else b"m%d" % i for i in range(seed % 300 + 1)}
    return [("SADD", key, *members)], ("SMEMBERS", key), members


SMALL = ["string", "number", "list", "hash", "set", "intset"]


class Keys:
    """What was written, and so what must be there."""

    def __init__(self, nodes):
        self.nodes = nodes
        self.known = {}

    def put(self, kind, key, ttl=False):
        seed = len(self.known) + 1
        writes, read, want = value_commands(kind, key, seed)
        if ttl:
            writes = writes + [("PEXPIRE", key, TTL_MS)]
        on_owners(self.nodes, [(key, *w) for w in writes])
        self.known[key] = (read, want, ttl)

    def put_everywhere(self, count):
        for i in range(count):
            self.put(SMALL[i % len(SMALL)], b"key:%d" % i, ttl=i % 4 == 0)

    def put_in_slot(self, slot, round_number):
        """One of every kind, with and without TTL."""
        for kind in SMALL + ["big"]:
            for ttl in (False, True):
                self.put(kind, b"%s:%d:%d:{%s}" % (kind.encode(), round_number, ttl, TAGS[slot]), ttl)

    def lose(self, slots):
        """A node without persistence died with these."""
        self.known = {k: v for k, v in self.known.items() if key_slot(k) not in slots}

    def verify(self, what):
        keys = list(self.known)
        reads = on_owners(self.nodes, [(k, *self.known[k][0]) for k in keys])
        ttls = on_owners(self.nodes, [(k, "PTTL", k) for k in keys])
        for key, reply, left in zip(keys, reads, ttls):
            _, want, ttl = self.known[key]
            if isinstance(want, dict):
                reply = dict(zip(reply[::2], reply[1::2]))
            elif isinstance(want, set):
                reply = set(reply)
            expect("%s: %r" % (what, key), reply, want)
            expect("%s: TTL of %r (%d)" % (what, key, left), TTL_MS - 600000 < left <= TTL_MS if ttl else left == -1, True)
        total = sum(n.call("DBSIZE") for n in self.nodes)
        expect("%s: keys in all nodes" % what, total, len(keys))


started = time.monotonic()


def say(what):
    print("%6.1f s  %s" % (time.monotonic() - started, what), flush=True)


def settled(nodes, keys, what):
    check_clean(nodes[0])
    all_ok(nodes)
    keys.verify(what)
    say("ok   " + what)


def owned(node, nodes):
    return [s for s, n in enumerate(slot_owners(nodes[0], nodes)) if n is node]


def reshard_args(source, target, count, at):
    return ("reshard", at, "--cluster-from", source.id(), "--cluster-to", target.id(), "--cluster-slots", count,
            "--cluster-yes", "--cluster-pipeline", 30)


def reshard(source, target, count, nodes, keys, what):
    """The lowest slots of the source go, and one of them has keys of every kind."""
    moved = owned(source, nodes)[:count]
    keys.put_in_slot(moved[0], len(keys.known))
    tool_ok(*reshard_args(source, target, count, nodes[0]))
    all_agree(nodes)
    now = slot_owners(nodes[0], nodes)
    expect("%s: slots of the target" % what, [s for s in moved if now[s] is not target], [])
    settled(nodes, keys, what)


def all_agree(nodes):
    within(20, "all see the same owners", lambda: len({tuple(map(repr, slot_owners(n, nodes))) for n in nodes}) == 1)


def tools_alone(nodes):
    """Three of our nodes."""
    form(nodes)
    keys = Keys(nodes)
    keys.put_everywhere(600)
    settled(nodes, keys, "create")
    output = tool_ok("info", nodes[1])
    expect("info", "600 keys in 3 masters" in output, True)
    expect("call", tool_ok("call", nodes[0], "CONFIG", "GET", "cluster-node-timeout").count("5000"), 3)
    output = tool_ok("set-timeout", nodes[0], 6000)
    expect("set-timeout", "3 OK, 0 ERR" in output, True)
    for node in nodes:
        expect("its timeout", node.call("CONFIG", "GET", "cluster-node-timeout"), [b"cluster-node-timeout", b"6000"])
    tool_ok("set-timeout", nodes[0], 5000)
    settled(nodes, keys, "info, call, set-timeout")
    reshard(nodes[0], nodes[1], 60, nodes, keys, "reshard from one to another")
    tool_ok("reshard", nodes[0], "--cluster-from", "all", "--cluster-to", nodes[2].id(), "--cluster-slots", 90,
            "--cluster-yes")
    settled(nodes, keys, "reshard from all to one")
    tool_ok("rebalance", nodes[0], "--cluster-threshold", 1, timeout=200)
    settled(nodes, keys, "rebalance")
    return keys


def tools_mixed(ours, stock, keys):
    """Stock nodes come in, slots go in every direction, nodes of both kinds leave."""
    nodes = ours[:3]
    for node in stock:
        tool_ok("add-node", node, nodes[0])
        nodes.append(node)
        keys.nodes = nodes
        all_ok(nodes)
        settled(nodes, keys, "add-node %r" % node)
    for source, target, what in ((ours[1], stock[0], "ours to stock"), (stock[0], ours[2], "stock to ours"),
                                 (ours[2], stock[0], "ours to stock again"), (stock[0], stock[1], "stock to stock"),
                                 (ours[0], ours[1], "ours to ours")):
        reshard(source, target, 40, nodes, keys, what)
    small = stock + [ours[3]]
    tool_ok("add-node", ours[3], nodes[0])
    keys.nodes = nodes = nodes + [ours[3]]
    settled(nodes, keys, "add-node %r" % ours[3])
    tool_ok("rebalance", ours[0], "--cluster-use-empty-masters", "--cluster-threshold", 1, "--cluster-weight",
            *["%s=0.01" % n.id() for n in small], timeout=200)
    settled(nodes, keys, "rebalance with weights")
    for node in (stock[1], ours[3]):
        expect("%r has slots" % node, len(owned(node, nodes)) > 20, True)
        tool_ok("rebalance", ours[0], "--cluster-threshold", 1, "--cluster-weight", "%s=0" % node.id(),
                *["%s=0.01" % n.id() for n in small if n in nodes and n is not node], timeout=200)
        expect("slots left at %r" % node, owned(node, nodes), [])
        tool_ok("del-node", ours[0], node.id())
        keys.nodes = nodes = [n for n in nodes if n is not node]
        expect("the node that left knows itself", node.info()["cluster_known_nodes"], "1")
        settled(nodes, keys, "del-node %r" % node)
    # Its old id is not let in again for a minute.
    expect("CLUSTER RESET", stock[1].call("CLUSTER", "RESET", "HARD"), b"OK")
    tool_ok("add-node", stock[1], ours[0])
    keys.nodes = nodes = nodes + [stock[1]]
    settled(nodes, keys, "add-node %r again" % stock[1])
    return nodes


def import_keys(nodes, keys, directory):
    """From a standalone server."""
    outside = Stock(7020, directory)
    try:
        for i in range(60):
            kind, key = (SMALL + ["big"])[i % 7], b"outside:%d" % i
            writes, read, want = value_commands(kind, key, i + 1)
            outside.pipeline(writes)
            keys.known[key] = (read, want, False)
        output = tool_ok("import", nodes[0], "--cluster-from", outside, "--cluster-copy")
        expect("import with copy", (output.count("OK"), outside.call("DBSIZE")), (output.count("OK"), 60))
        settled(nodes, keys, "import with copy")
        tool_ok("import", nodes[0], "--cluster-from", outside, "--cluster-replace")
        expect("keys left outside", outside.call("DBSIZE"), 0)
        settled(nodes, keys, "import with replace")
    finally:
        outside.kill()


def fix(nodes, keys, what):
    # What a dead redis-cli told one node only gets round by itself.
    all_agree(nodes)
    tool_ok("fix", nodes[0], "--cluster-yes")
    settled(nodes, keys, "fix: " + what)


def open_slots(source, target, nodes, keys, what):
    """Slots that are open on one side, on the other, on both. With keys at both ends `fix` wants CLUSTER commands
    inside MULTI, which our nodes refuse: docs/cluster.md says what to do then."""
    round_number = len(keys.known)
    slots = owned(source, nodes)[-4:]
    for slot in slots:
        for kind in SMALL:
            keys.put(kind, b"open:%s:%d:{%s}" % (kind.encode(), round_number, TAGS[slot]))

    def migrating(slot):
        expect("MIGRATING", source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id()), b"OK")

    def importing(slot):
        expect("IMPORTING", target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id()), b"OK")

    migrating(slots[0])
    expect("check sees it", "open slots" in tool("check", nodes[0])[1], True)
    fix(nodes, keys, "open at the source, " + what)
    importing(slots[1])
    fix(nodes, keys, "open at the target, " + what)
    for slot in slots[2:]:
        importing(slot)
        migrating(slot)
    fix(nodes, keys, "open at both, " + what)


def killed_tool(source, target, nodes, keys, what):
    """redis-cli dies in the middle of a reshard."""
    keys.put_in_slot(owned(source, nodes)[1], len(keys.known))
    args = ["redis-cli", "--cluster", *map(str, reshard_args(source, target, 300, nodes[0]))]
    before = len(owned(target, nodes))
    tool_process = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    within(20, "the reshard is on its way", lambda: len(owned(target, nodes)) > before + 1)
    tool_process.send_signal(signal.SIGKILL)
    tool_process.wait()
    fix(nodes, keys, "redis-cli killed, " + what)


def dead_node(source, target, victim, nodes, keys, what):
    """A node is killed while MIGRATE of a large key is under way, and started again. Without persistence it loses what
    it had; nobody else loses anything, and half a key is no key."""
    slot = owned(source, nodes)[3]
    key = b"huge:{%s}" % TAGS[slot]
    value = random.Random(1).randbytes(20 << 20)
    expect("SET", source.call("SET", key, value), b"OK")
    keys.known[key] = (("GET", key), value, False)
    expect("IMPORTING", target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id()), b"OK")
    expect("MIGRATING", source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id()), b"OK")
    target.pause()
    mover = Client(source.host, source.port)
    mover.send("MIGRATE", target.host, target.port, "", 0, 2000, "KEYS", key)
    # Long enough to fill the target's window; whatever was sent by then, the outcome is the same.
    time.sleep(0.3)
    keys.lose(set(owned(victim, nodes)))
    victim.kill()
    if victim is target:
        reply = mover.read()
        expect("MIGRATE to the dead", isinstance(reply, Error) and reply.startswith(b"IOERR"), True)
    else:
        target.resume()
    mover.close()
    victim.start()
    for node in nodes:
        node.forget()
    all_ok(nodes, 40)
    fix(nodes, keys, what)
    on_owners(nodes, [(key, "DEL", key)])
    keys.known.pop(key, None)


def main():
    with tempfile.TemporaryDirectory() as directory:
        ours = [Ours(i) for i in (1, 2, 3, 4)]
        stock = []
        try:
            keys = tools_alone(ours[:3])
            stock += stock_nodes((7001, 7002), directory)
            nodes = tools_mixed(ours, stock, keys)
            import_keys(nodes, keys, directory)
            for source, target, what in ((ours[0], ours[2], "ours to ours"), (ours[0], stock[0], "ours to stock"),
                                         (stock[0], ours[2], "stock to ours")):
                open_slots(source, target, nodes, keys, what)
                killed_tool(source, target, nodes, keys, what)
            dead_node(ours[0], ours[1], ours[1], nodes, keys, "our target died in MIGRATE")
            dead_node(ours[0], stock[0], ours[0], nodes, keys, "our source died in MIGRATE to stock")
            dead_node(ours[1], stock[0], stock[0], nodes, keys, "stock target died in MIGRATE")
        finally:
            for node in stock:
                node.kill()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as e:
        sys.exit("FAIL: %s" % e)
