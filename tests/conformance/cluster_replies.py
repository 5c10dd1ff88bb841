#!/usr/bin/env python3
"""The same commands to one of our nodes and to redis-server 7.0, each with a third of the slots of one cluster: replies
and errors are equal when ids, addresses and slots are given the same names.

Runs inside a laboratory with one node in cluster mode."""
import os
import re
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from cluster import Failed, Ours, expect, form, slot_owners, slot_tags, stock_nodes, within  # noqa: E402
from resp import Client  # noqa: E402

TAGS = slot_tags()
NOBODY = "0" * 40

# $me, $peer (each other), $third; $mine, $own2: slots of the node itself, $theirs: one of the third node.
ERRORS = """
CLUSTER
CLUSTER NOSUCH
CLUSTER NODES x
CLUSTER SLOTS x
CLUSTER SHARDS x
CLUSTER INFO x
CLUSTER LINKS x
CLUSTER MYID x
CLUSTER KEYSLOT
CLUSTER KEYSLOT a b
CLUSTER KEYSLOT foo{bar}baz
CLUSTER KEYSLOT {}x
CLUSTER COUNTKEYSINSLOT
CLUSTER COUNTKEYSINSLOT x
CLUSTER COUNTKEYSINSLOT -1
CLUSTER COUNTKEYSINSLOT 16384
CLUSTER COUNTKEYSINSLOT $mine
CLUSTER GETKEYSINSLOT $mine
CLUSTER GETKEYSINSLOT $mine x
CLUSTER GETKEYSINSLOT x 1
CLUSTER GETKEYSINSLOT 16384 1
CLUSTER GETKEYSINSLOT $mine -1
CLUSTER GETKEYSINSLOT $mine 0
CLUSTER ADDSLOTS
CLUSTER ADDSLOTS x
CLUSTER ADDSLOTS -1
CLUSTER ADDSLOTS 16384
CLUSTER ADDSLOTS $mine
CLUSTER ADDSLOTS $theirs
CLUSTER ADDSLOTSRANGE 1
CLUSTER ADDSLOTSRANGE 1 2 3
CLUSTER ADDSLOTSRANGE 5 4
CLUSTER ADDSLOTSRANGE x 4
CLUSTER ADDSLOTSRANGE 1 16384
CLUSTER ADDSLOTSRANGE $mine $mine
CLUSTER DELSLOTS
CLUSTER DELSLOTS x
CLUSTER DELSLOTS 16384
CLUSTER DELSLOTS $mine $mine
CLUSTER DELSLOTSRANGE 1
CLUSTER DELSLOTSRANGE 5 4
CLUSTER DELSLOTSRANGE $mine 16384
CLUSTER SETSLOT $mine
CLUSTER SETSLOT $mine STABLE x
CLUSTER SETSLOT x STABLE
CLUSTER SETSLOT 16384 STABLE
CLUSTER SETSLOT $mine STABLE
CLUSTER SETSLOT $mine NOSUCH
CLUSTER SETSLOT $mine MIGRATING
CLUSTER SETSLOT $mine MIGRATING $nobody
CLUSTER SETSLOT $theirs MIGRATING $peer
CLUSTER SETSLOT $mine IMPORTING $peer
CLUSTER SETSLOT $theirs IMPORTING $nobody
CLUSTER SETSLOT $mine NODE $nobody
CLUSTER SETSLOT $mine NODE short
CLUSTER SETSLOT $mine NODE $third
CLUSTER MEET
CLUSTER MEET 10.77.0.254
CLUSTER MEET 10.77.0.254 x
CLUSTER MEET 10.77.0.254 7003 x
CLUSTER MEET 10.77.0.254 0
CLUSTER MEET 10.77.0.254 70000
CLUSTER MEET nosuch 7003
CLUSTER MEET 10.77.0.254 7003 70000
CLUSTER MEET 10.77.0.254 7003 17003 1
CLUSTER FORGET
CLUSTER FORGET $nobody
CLUSTER FORGET $me
CLUSTER FORGET short
CLUSTER REPLICATE
CLUSTER REPLICATE $nobody
CLUSTER REPLICATE $me
CLUSTER REPLICATE $third
CLUSTER REPLICAS
CLUSTER REPLICAS $nobody
CLUSTER REPLICAS $me
CLUSTER REPLICAS $third
CLUSTER SLAVES $nobody
CLUSTER SLAVES $me
CLUSTER COUNT-FAILURE-REPORTS
CLUSTER COUNT-FAILURE-REPORTS $nobody
CLUSTER COUNT-FAILURE-REPORTS $third
CLUSTER FAILOVER
CLUSTER FAILOVER FORCE
CLUSTER FAILOVER TAKEOVER
CLUSTER FAILOVER NOSUCH
CLUSTER FAILOVER FORCE x
CLUSTER SET-CONFIG-EPOCH
CLUSTER SET-CONFIG-EPOCH x
CLUSTER SET-CONFIG-EPOCH -1
CLUSTER SET-CONFIG-EPOCH 1
CLUSTER RESET NOSUCH
CLUSTER RESET HARD x
CLUSTER SAVECONFIG
CLUSTER SAVECONFIG x
CLUSTER FLUSHSLOTS
CLUSTER BUMPEPOCH x
ASKING
ASKING x
READONLY
READONLY x
READWRITE
READWRITE x
""".strip().split("\n")

# {m}: the tag of $mine, {o}: of $own2, {t}: of $theirs. One connection; the slots are at rest.
REDIRECTED = """
GET k{t}
SET k{t} 1
ASKING
GET k{t}
READONLY
GET k{t}
READWRITE
GET k{m}
MGET k{m} k{o}
MGET k{t} l{t}
MSET k{m} 1 k{t} 1
DEL k{m} l{m}
MULTI
GET k{t}
EXEC
MULTI
GET k{m}
GET k{o}
EXEC
MULTI
SET k{m} 1
GET k{m}
EXEC
MULTI
MGET k{m} k{o}
GET k{m}
EXEC
EXISTS k{m}
PUBLISH c x
SPUBLISH c{t} x
SPUBLISH c{m} x
SELECT 1
MULTI
CLUSTER NOSUCH
CLUSTER KEYSLOT a
DISCARD
""".strip().split("\n")

# $mine leaves for the third node; k{m} is here, l{m} is not.
MIGRATING = """
GET k{m}
GET l{m}
SET l{m} 1
MGET k{m} l{m}
MGET l{m} n{m}
MGET k{m} k{m}
MULTI
GET k{m}
GET l{m}
EXEC
MULTI
GET l{m}
EXEC
MULTI
GET k{m}
EXEC
EXEC
SPUBLISH c{m} x
CLUSTER COUNTKEYSINSLOT $mine
CLUSTER SETSLOT $mine STABLE
GET l{m}
""".strip().split("\n")

# $theirs comes.
IMPORTING = """
GET k{t}
ASKING
GET k{t}
ASKING
SET k{t} v
GET k{t}
ASKING
MGET k{t} l{t}
ASKING
MGET k{t} k{t}
ASKING
MGET l{t} n{t}
ASKING
PING
GET k{t}
ASKING
MULTI
GET k{t}
SET l{t} 1
EXEC
GET k{t}
ASKING
DEL k{t}
ASKING
DEL l{t}
CLUSTER SETSLOT $theirs STABLE
ASKING
GET k{t}
""".strip().split("\n")


class Side:
    """One of the two, and the words by which replies to it are made comparable."""

    def __init__(self, node, peer, third, slots):
        self.node, self.client = node, Client(node.host, node.port)
        self.slots = slots
        self.words = {"$me": node.id(), "$peer": peer.id(), "$third": third.id(), "$nobody": NOBODY}
        self.words.update({k: str(v) for k, v in slots.items()})
        self.names = [(self.words[w].encode(), w.encode()) for w in ("$me", "$peer", "$third")]
        self.names += [(("%s:%d" % (n.host, n.port)).encode(), w)
                       for n, w in ((node, b"ME"), (peer, b"PEER"), (third, b"THIRD"))]
        self.tags = {"{m}": TAGS[slots["$mine"]], "{o}": TAGS[slots["$own2"]], "{t}": TAGS[slots["$theirs"]]}

    def words_of(self, line):
        for short, tag in self.tags.items():
            line = line.replace(short, "{%s}" % tag.decode())
        return [self.words.get(w, w) for w in line.split()]

    def comparable(self, reply):
        if isinstance(reply, list):
            return [self.comparable(r) for r in reply]
        if isinstance(reply, bytes):
            kind, text = type(reply), bytes(reply)
            for old, new in self.names:
                text = text.replace(old, new)
            for word, slot in self.slots.items():
                text = re.sub(rb"\b%d\b" % slot, word.encode(), text)
            return kind.__name__, text
        return reply

    def say(self, line):
        return self.comparable(self.client.call(*self.words_of(line)))


differences = []


def compare(what, ours, theirs):
    if ours != theirs:
        differences.append("%s:\n  ours  %r\n  redis %r" % (what, ours, theirs))


def run(title, lines, sides):
    for line in lines:
        compare("%s: %s" % (title, line), sides[0].say(line), sides[1].say(line))


def opened(sides, third, slot, state):
    for side in sides:
        expect("SETSLOT", side.node.call("CLUSTER", "SETSLOT", side.slots[slot], state, third.id()), b"OK")


def pairs(flat):
    return dict(zip(flat[::2], flat[1::2]))


def node_lines(node):
    """Each line of CLUSTER NODES by its id: address, flags without myself, primary, epoch, link, slots."""
    lines = {}
    for line in node.call("CLUSTER", "NODES").decode().split("\n")[:-1]:
        ident, address, flags, primary, ping, pong, epoch, link, *slots = line.split(" ")
        expect("times", (ping.isdigit(), pong.isdigit()), (True, True))
        if "myself" in flags:
            expect("myself", (ping, link), ("0", "connected"))
        lines[ident] = (address, flags.replace("myself,", ""), primary, epoch, link, slots)
    return lines


def shard_list(node):
    """CLUSTER SHARDS by slots; the offset is each server's own."""
    shards = {}
    for shard in node.call("CLUSTER", "SHARDS"):
        expect("fields of a shard", shard[::2], [b"slots", b"nodes"])
        shard = pairs(shard)
        for fields in shard[b"nodes"]:
            expect("fields of a node", fields[::2],
                   [b"id", b"port", b"ip", b"endpoint", b"role", b"replication-offset", b"health"])
        shards[tuple(shard[b"slots"])] = [{k: v for k, v in pairs(f).items() if k != b"replication-offset"}
                                          for f in shard[b"nodes"]]
    return shards


def link_list(node):
    links = []
    for link in node.call("CLUSTER", "LINKS"):
        fields = pairs(link)
        expect("fields of a link", list(fields), [b"direction", b"node", b"create-time", b"events",
                                                  b"send-buffer-allocated", b"send-buffer-used"])
        expect("kinds of values", [type(v) for v in fields.values()], [bytes, bytes, int, bytes, int, int])
        links.append((fields[b"direction"], fields[b"node"]))
    return sorted(links)


def tables(ours, stock):
    """What is one table, seen from two nodes."""
    compare("CLUSTER NODES", node_lines(ours), node_lines(stock))
    compare("CLUSTER SLOTS", sorted(ours.call("CLUSTER", "SLOTS")), sorted(stock.call("CLUSTER", "SLOTS")))
    compare("CLUSTER SHARDS", shard_list(ours), shard_list(stock))
    own = ("cluster_my_epoch", "cluster_stats_messages")
    a, b = ([(k, v) for k, v in n.info().items() if not k.startswith(own)] for n in (ours, stock))
    compare("CLUSTER INFO", a, b)
    for text in (ours.call("CLUSTER", "INFO"), stock.call("CLUSTER", "INFO")):
        expect("its last line", text.endswith(b"\r\ntotal_cluster_links_buffer_limit_exceeded:0\r\n"), True)
    for node, peer in ((ours, stock), (stock, ours)):
        links = link_list(node)
        expect("links between %r and its peer" % node, [d for d, n in links if n.decode() == peer.id()], [b"from", b"to"])


def main():
    with tempfile.TemporaryDirectory() as directory:
        ours, stock = Ours(1), []
        try:
            stock += stock_nodes((7001, 7002), directory)
            nodes = [ours, *stock]
            form(nodes)
            within(20, "links both ways", lambda: all(len(link_list(n)) == 4 for n in nodes))
            owners = slot_owners(ours, nodes)
            first = [owners.index(n) for n in nodes]
            # Different slots of the third node, so that both sides may import one.
            sides = [Side(n, p, stock[1], {"$mine": first[i] + 1500, "$own2": first[i] + 1501,
                                           "$theirs": first[2] + 1500 + i})
                     for i, (n, p) in enumerate(((ours, stock[0]), (stock[0], ours)))]
            tables(ours, stock[0])
            for side in sides:  # so that its slots cannot be given away
                expect("SET", side.say("SET k{m} 0"), ("Status", b"OK"))
            run("errors", ERRORS, sides)
            run("at rest", REDIRECTED, sides)
            opened(sides, stock[1], "$mine", "MIGRATING")
            run("migrating", MIGRATING, sides)
            opened(sides, stock[1], "$theirs", "IMPORTING")
            run("importing", IMPORTING, sides)
            stock.pop().kill()
            for side in sides:
                within(40, "%r sees the cluster down" % side.node, lambda s=side: s.node.info()["cluster_state"] == "fail")
            run("down", ["GET k{m}", "SET k{m} 1", "GET k{t}", "MULTI", "GET k{m}", "EXEC", "SPUBLISH c{m} x", "PING"],
                sides)
        finally:
            for node in stock:
                node.kill()
    if differences:
        raise Failed("%d differences\n%s" % (len(differences), "\n".join(differences)))
    print("cluster replies: %d commands and 5 tables are equal" % len(ERRORS + REDIRECTED + MIGRATING + IMPORTING))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as e:
        sys.exit("FAIL: %s" % e)
