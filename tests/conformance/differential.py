#!/usr/bin/env python3
"""The same random commands to this node and to redis-server 7.0: every reply must be equal.

usage: differential.py OURS_HOST THEIRS_PORT [--commands N] [--seed S] [--protocol 2|3]

Prints the seed first; a difference prints the command, both replies and what led there. Every few thousand
commands DEBUG DIGEST, DBSIZE and the encoding of every key are compared as well."""
import argparse
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from resp import Client, Error  # noqa: E402
from generate import Generator, KEYS  # noqa: E402
from normalise import equal  # noqa: E402

BATCH = 40
CHECK_EVERY = 100  # batches


class Difference(Exception):
    pass


class Pair:
    """Both servers, and the transaction state that tells which command an EXEC element answers."""

    def __init__(self, ours, theirs, protocol):
        self.clients = [ours, theirs]
        self.queued = None
        self.recent = []
        if protocol == 3:
            for c in self.clients:
                c.call("HELLO", "3")

    def run(self, commands):
        ours, theirs = (c.pipeline(commands) for c in self.clients)
        for command, a, b in zip(commands, ours, theirs):
            self.recent = self.recent[-30:] + [command]
            self.compare(command, a, b)

    def compare(self, command, a, b):
        name = command[0].upper()
        inside = self.queued is not None
        if name == b"EXEC" and inside and isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
            for c, x, y in zip(self.queued, a, b):
                self.check(c, x, y)
        else:
            self.check(command, a, b)
        if name == b"MULTI" and a == b"OK":
            self.queued = []
        elif name in (b"EXEC", b"DISCARD") and not (isinstance(a, Error) and a.startswith(b"ERR wrong number")):
            self.queued = None
        elif inside and a == b"QUEUED":
            self.queued.append(command)

    def check(self, command, a, b):
        if not equal(command, a, b):
            keys = [set(c.call("KEYS", "*") or ()) for c in self.clients] if self.queued is None else [set(), set()]
            raise Difference("command %r\n  ours   %r\n  theirs %r\n  keys only here %r, only there %r" %
                             (command, a, b, keys[0] - keys[1], keys[1] - keys[0]))

    def deep_check(self):
        digests = [c.call("DEBUG", "DIGEST") for c in self.clients]
        commands = [[b"DBSIZE"]] + [[b"TYPE", k] for k in KEYS] + [[b"OBJECT", b"ENCODING", k] for k in KEYS]
        self.run(commands)
        if digests[0] != digests[1]:
            culprits = [k for k in KEYS if self.clients[0].call("DEBUG", "DIGEST-VALUE", k) != self.clients[1].call("DEBUG", "DIGEST-VALUE", k)]
            raise Difference("DEBUG DIGEST differs: %r %r; keys %r" % (digests[0], digests[1], culprits))


def expiry_round(pair, rng):
    """Real time passes: what was given a short life must be gone on both sides."""
    keys = rng.sample(KEYS, 6)
    pair.run([[b"PEXPIRE", k, b"%d" % rng.choice((1, 20, 60))] for k in keys])
    time.sleep(0.15)
    pair.run([[rng.choice((b"EXISTS", b"TTL", b"GET", b"TYPE", b"PERSIST")), k] for k in keys] + [[b"DBSIZE"]])


def main():
    p = argparse.ArgumentParser()
    p.add_argument("ours")
    p.add_argument("theirs_port", type=int)
    p.add_argument("--commands", type=int, default=200000)
    p.add_argument("--seed", type=int, default=None)
    p.add_argument("--protocol", type=int, default=2)
    a = p.parse_args()
    seed = a.seed if a.seed is not None else int.from_bytes(os.urandom(4), "big")
    print("differential: seed %d, %d commands, RESP%d" % (seed, a.commands, a.protocol), flush=True)
    rng = random.Random(seed)
    generator = Generator(rng)
    pair = Pair(Client(a.ours), Client("127.0.0.1", a.theirs_port), a.protocol)
    for c in pair.clients:
        c.call("FLUSHALL")
        c.call("DEBUG", "SET-ACTIVE-EXPIRE", "1")
    done = batches = 0
    try:
        while done < a.commands:
            commands = generator.batch(BATCH)
            pair.run(commands)
            done += len(commands)
            batches += 1
            if batches % CHECK_EVERY == 0:
                pair.run([[b"DISCARD"], [b"UNWATCH"]])
                pair.deep_check()
                expiry_round(pair, rng)
            if batches % 1000 == 0:
                pair.run([[b"FLUSHALL"]])
    except Difference as e:
        print("DIFFERENCE after %d commands (--seed %d --protocol %d)\n%s" % (done, seed, a.protocol, e))
        print("before it:\n  " + "\n  ".join(repr(c)[:300] for c in pair.recent))
        return 1
    print("differential: %d commands, no difference" % done)
    return 0


if __name__ == "__main__":
    sys.exit(main())
