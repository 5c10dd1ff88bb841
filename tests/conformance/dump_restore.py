#!/usr/bin/env python3
"""DUMP and RESTORE between this node and redis-server 7.0, both ways, and payloads that are wrong.

usage: dump_restore.py OURS_HOST THEIRS_PORT [--values N] [--damages N] [--seed S]

Random values are made on both sides. Each side's payload is restored on the other: DEBUG DIGEST-VALUE, encoding and
expiry must be equal, and so must the payloads where both hold the value in the same form. Then payloads, also of
forms that old versions wrote, are damaged, sealed with a right checksum and given to both: what one takes the other
takes, with the same result. Prints the seed first."""
import argparse
import os
import random
import re
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from resp import Client, Closed, Error  # noqa: E402

POLY = 0x95ac9329ac4bc9b5  # 0xad93d23594c935a9, reflected


def crc_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (POLY if byte & 1 else 0)
        table.append(byte)
    return table


CRC_TABLE = crc_table()


def crc64(data):
    crc = 0
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 255] ^ crc >> 8
    return crc


def seal(body, version=10):
    body += struct.pack("<H", version)
    return body + struct.pack("<Q", crc64(body))


# ---- what old versions wrote ----

def length(n):
    if n < 64:
        return bytes([n])
    return struct.pack(">H", 0x4000 | n) if n < 16384 else b"\x80" + struct.pack(">I", n)


def text(data):
    return length(len(data)) + data


def ziplist_entry(value, before):
    head = bytes([before]) if before < 254 else b"\xfe" + struct.pack("<I", before)
    if value.lstrip(b"-").isdigit() and b"%d" % int(value) == value:
        n = int(value)
        if 0 <= n <= 12:
            return head + bytes([0xf1 + n])
        for encoding, size in ((0xfe, 1), (0xc0, 2), (0xf0, 3), (0xd0, 4), (0xe0, 8)):
            if -(1 << 8 * size - 1) <= n < 1 << 8 * size - 1:
                return head + bytes([encoding]) + n.to_bytes(size, "little", signed=True)
    n = len(value)
    if n < 64:
        return head + bytes([n]) + value
    return head + (struct.pack(">H", 0x4000 | n) if n < 16384 else b"\x80" + struct.pack(">I", n)) + value


def ziplist(values):
    body, before, last = b"", 0, 10
    for value in values:
        entry = ziplist_entry(value, before)
        last, before = 10 + len(body), len(entry)
        body += entry
    return struct.pack("<IIH", len(body) + 11, last, len(values)) + body + b"\xff"


def zipmap(pairs):
    def head(n):
        return bytes([n]) if n < 254 else b"\xfe" + struct.pack("<I", n)

    body = b"".join(head(len(f)) + f + head(len(v)) + b"\0" + v for f, v in pairs)
    return bytes([min(len(pairs), 254)]) + body + b"\xff"


class Values:
    """Random words and values."""

    def __init__(self, rng):
        self.rng = rng

    def word(self):
        r = self.rng.random()
        if r < 0.4:
            return b"%d" % self.rng.choice((self.rng.randint(-200, 200), self.rng.randint(-10**10, 10**10),
                                            self.rng.randint(-2**63, 2**63 - 1)))
        if r < 0.5:
            return self.rng.choice((b"", b"-0", b"007", b"9223372036854775808", b" 1", b"1 "))
        size = self.rng.choice((1, 3, 10, 20, 21, 44, 63, 64, 65, 300))
        if r < 0.75:
            return bytes(self.rng.randrange(256) for _ in range(size))
        return bytes([self.rng.randrange(256)]) * size

    def long_word(self):
        size = self.rng.choice((4000, 4096, 4097, 8200, 16384, 16385, 70000))
        if self.rng.random() < 0.5:
            return bytes([self.rng.randrange(256)]) * size
        return self.rng.randbytes(size)

    def words(self, most):
        n = self.rng.choice((1, 2, 5, 20, most))
        words = [self.word() for _ in range(n)]
        if self.rng.random() < 0.1:
            words[self.rng.randrange(n)] = self.long_word()
        return words

    def command(self, key):
        kind = self.rng.randrange(5)
        if kind == 0:
            return [b"SET", key, self.word() if self.rng.random() < 0.8 else self.long_word()]
        if kind == 1:
            return [b"RPUSH", key] + self.words(300)
        if kind == 2:
            return [b"SADD", key] + [b"%d" % self.rng.randint(-2**40, 2**40) for _ in range(self.rng.choice((1, 5, 600)))]
        if kind == 3:
            return [b"SADD", key] + self.words(200)
        return [b"HSET", key] + [w for f in self.words(600) for w in (f, self.word())]

    def old_payload(self):
        words = [self.word() for _ in range(self.rng.choice((1, 2, 6, 30)))]
        fields = list(dict.fromkeys(words))
        pairs = [(f, self.word()) for f in fields]
        flat = [w for pair in pairs for w in pair]
        return self.rng.choice((
            lambda: b"\x0a" + text(ziplist(words)),
            lambda: b"\x0d" + text(ziplist(flat)),
            lambda: b"\x0e" + length(2) + text(ziplist(words)) + text(ziplist(words[:3])),
            lambda: b"\x09" + text(zipmap(pairs)),
            lambda: b"\x01" + length(len(words)) + b"".join(map(text, words)),
            lambda: b"\x02" + length(len(fields)) + b"".join(map(text, fields)),
            lambda: b"\x04" + length(len(pairs)) + b"".join(map(text, flat)),
            lambda: b"\x12" + length(1) + length(1) + text(words[0] or b"x"),
        ))()


class Difference(Exception):
    pass


class Sides:
    def __init__(self, ours, theirs):
        self.ours, self.theirs = ours, theirs

    def both(self, *args):
        return self.ours.call(*args), self.theirs.call(*args)

    def same(self, what, *args):
        a, b = self.both(*args)
        if a != b or type(a) is not type(b):
            raise Difference("%s: %r\n  ours   %r\n  theirs %r" % (what, args, a, b))
        return a


def exchange(sides, values, key):
    command = values.command(key)
    sides.both("DEL", key)
    sides.same("made", *command)
    mine, yours = sides.both("DUMP", key)
    encoding = sides.same("encoding", "OBJECT", "ENCODING", key)
    # The order of a table's elements is each side's own; longer strings are compressed in pieces here.
    if encoding != b"hashtable" and max(map(len, command)) < 16000 and mine != yours:
        raise Difference("payloads of %r\n  ours   %s\n  theirs %s" % (command, mine.hex(), yours.hex()))
    for reply in (sides.theirs.call("RESTORE", b"copy", "1000000", mine, "REPLACE"),
                  sides.ours.call("RESTORE", b"copy", "1000000", yours, "REPLACE")):
        if reply != b"OK":
            raise Difference("restoring %r: %r" % (command, reply))
    sides.same("encoding of the copy", "OBJECT", "ENCODING", b"copy")
    sides.both("PERSIST", b"copy")
    digests = {c.call("DEBUG", "DIGEST-VALUE", k)[0] for c in (sides.ours, sides.theirs) for k in (key, b"copy")}
    if len(digests) != 1:
        raise Difference("digests after %r: %r" % (command, digests))


def damaged(rng, body):
    body = bytearray(body)
    r = rng.random()
    if r < 0.6:
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
    elif r < 0.8:
        at = rng.randrange(1, len(body) + 1)
        body[at:at + rng.choice((1, 2, 5))] = b""
    else:
        at = rng.randrange(1, len(body) + 1)
        body[at:at] = rng.randbytes(rng.choice((1, 2, 5)))
    return bytes(body)


KNOWN = set(range(0, 3)) | {4, 9, 10, 11, 13, 14, 16, 18}


def restore_damaged(sides, values, pool):
    rng = values.rng
    body = rng.choice(pool) if rng.random() < 0.5 else values.old_payload()
    whole = rng.random() < 0.2
    body = body if whole else damaged(rng, body)
    if body[0] not in KNOWN:
        return None  # of types that are not here, or of later versions
    replies = sides.both("RESTORE", b"d", "0", seal(body), "REPLACE")
    taken = [r == b"OK" for r in replies]
    if taken[0] != taken[1] and not (taken[1] and redis_is_lax(sides, body)):
        raise Difference("%s\n  ours   %r\n  theirs %r" % (seal(body).hex(), replies[0], replies[1]))
    if whole and not taken[0]:
        raise Difference("%s is refused" % seal(body).hex())
    if all(taken):
        sides.same("value of %s" % seal(body).hex(), "DEBUG", "DIGEST-VALUE", b"d")
    return all(taken)


LZF_TO_NOTHING = re.compile(
    rb"\xc3([\x00-\x3f]|[\x40-\x7f].|\x80.{4}|\x81.{8})(\x00|\x40\x00|\x80\x00{4}|\x81\x00{8})", re.DOTALL)


def redis_is_lax(sides, body):
    """It takes a value with other bytes behind it, one that ends within the footer, anything compressed as an empty
    string, the mark of an encoded string for a length, and a back-length in a listpack that goes on without need."""
    if LZF_TO_NOTHING.search(body):
        return True
    changes = [(i, body[i] & mask) for i in range(1, len(body)) for mask in (0x3f, 0x7f) if body[i] > 0x7f]
    for form in [body] + [body[:i] + bytes([byte]) + body[i + 1:] for i, byte in changes]:
        ends = [form[:end] for end in range(2, len(form) + 1)] + [form + seal(body)[len(body):][:n] for n in range(1, 11)]
        replies = sides.ours.pipeline([[b"RESTORE", b"d", b"0", seal(end), b"REPLACE"] for end in ends])
        if b"OK" in [r for r in replies if not isinstance(r, Error)]:
            return True
    return False


def run(sides, rng, count, damages):
    values = Values(rng)
    for i in range(count):
        exchange(sides, values, b"k%d" % (i % 50))
    pool = [d[:-10] for d in (sides.ours.call("DUMP", b"k%d" % i) for i in range(50)) if d and len(d) < 400]
    outcomes = [restore_damaged(sides, values, pool) for _ in range(damages)]
    print("dump_restore: %d values both ways, %d damaged payloads, of which both took %d" %
          (count, sum(o is not None for o in outcomes), sum(o is True for o in outcomes)))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("ours")
    p.add_argument("theirs_port", type=int)
    p.add_argument("--values", type=int, default=3000)
    p.add_argument("--damages", type=int, default=20000)
    p.add_argument("--seed", type=int, default=None)
    a = p.parse_args()
    seed = a.seed if a.seed is not None else int.from_bytes(os.urandom(4), "big")
    print("dump_restore: seed %d" % seed, flush=True)
    sides = Sides(Client(a.ours), Client("127.0.0.1", a.theirs_port))
    sides.both("FLUSHALL")
    sides.theirs.call("CONFIG", "SET", "sanitize-dump-payload", "yes")
    try:
        run(sides, random.Random(seed), a.values, a.damages)
    except (Difference, Closed) as e:
        print("DIFFERENCE (--seed %d)\n%s" % (seed, e))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
