"""Random commands: valid ones, and ones with odd arguments, over few keys so that types collide."""

KEYS = [b"k%d" % i for i in range(14)] + [b"{t}a", b"{t}b", b"{t}c", b"", b"\x00bin\xff\r\n", b"k" * 300]
FIELDS = [b"f%d" % i for i in range(12)] + [b"", b"\x00\x01", b"x" * 70, b"7", b"-3"]
NUMBERS = [b"0", b"1", b"-1", b"5", b"100", b"-100", b"9223372036854775807", b"-9223372036854775808",
           b"9223372036854775808", b"3.5", b"-0", b"00", b"+1", b" 1", b"1e3", b"abc", b"", b"inf", b"nan"]
INTS = [b"0", b"1", b"2", b"3", b"-1", b"-2", b"10", b"-10", b"100"]
FLOATS = [b"0.1", b"-2.5", b"3", b"1e10", b"1e-10", b"5.0e3", b"inf", b"-inf", b"nan", b"abc", b"0x10", b"1.7e308"]
# Without their count these choose at random, or a page of their own size.
RANDOM_WHEN_SHORT = (b"SCAN", b"SSCAN", b"HSCAN", b"SPOP", b"SRANDMEMBER", b"HRANDFIELD")
# Lives are long: what expires between the two servers' answers would look like a difference.
FAR_MS = 4102444800000  # 2100: no test lives that long


class Generator:
    def __init__(self, rng):
        self.rng = rng
        self.families = [(w, f) for w, f in (
            (30, self.string), (20, self.generic), (10, self.expiry), (16, self.hash), (16, self.list),
            (16, self.set), (4, self.odd), (4, self.server))]
        self.total = sum(w for w, _ in self.families)

    # ---- arguments ----
    def key(self):
        return self.rng.choice(KEYS)

    def keys(self, most=4):
        return [self.key() for _ in range(self.rng.randint(1, most))]

    def field(self):
        return self.rng.choice(FIELDS)

    def fields(self, most=5):
        return [self.field() for _ in range(self.rng.randint(1, most))]

    def integer(self):
        return self.rng.choice(INTS) if self.rng.random() < 0.8 else self.rng.choice(NUMBERS)

    def value(self):
        r = self.rng.random()
        if r < 0.35:
            return self.rng.choice(NUMBERS)
        if r < 0.55:
            return b"%d" % self.rng.randint(-1000000, 1000000)
        if r < 0.93:
            return bytes(self.rng.randrange(256) for _ in range(self.rng.choice((1, 3, 10, 43, 44, 45, 63, 64, 65))))
        if r < 0.99:
            return bytes([self.rng.randrange(256)]) * self.rng.randint(100, 3000)
        return bytes([self.rng.randrange(256)]) * self.rng.randint(4000, 40000)

    def maybe(self, chance, *words):
        return list(words) if self.rng.random() < chance else []

    def case(self, word):
        r = self.rng.random()
        return word.lower() if r < 0.2 else word.title() if r < 0.25 else word

    # ---- families ----
    def string(self):
        c, k = self.rng.choice, self.key
        pick = self.rng.randrange(24)
        if pick < 5:
            return [b"GET", k()]
        if pick < 9:
            return [b"SET", k(), self.value()] + self.set_options()
        return c((
            lambda: [b"SETNX", k(), self.value()],
            lambda: [b"SETEX", k(), c((b"100000", b"0", b"-5", b"1000000", b"x", b"9223372036854775807")), self.value()],
            lambda: [b"PSETEX", k(), c((b"100000000", b"0", b"x")), self.value()],
            lambda: [b"GETSET", k(), self.value()],
            lambda: [b"GETDEL", k()],
            lambda: [b"GETEX", k()] + c(([], [b"PERSIST"], [b"EX", b"100000"], [b"PX", b"x"], [b"EXAT", b"1"],
                                         [b"PXAT", b"%d" % FAR_MS], [b"EX", b"100000", b"PERSIST"], [b"KEEPTTL"])),
            lambda: [b"MGET"] + self.keys(),
            lambda: [b"MSET"] + [x for _ in range(self.rng.randint(1, 3)) for x in (k(), self.value())] + self.maybe(0.05, b"odd"),
            lambda: [b"MSETNX"] + [x for _ in range(self.rng.randint(1, 3)) for x in (k(), self.value())],
            lambda: [b"APPEND", k(), self.value()],
            lambda: [b"STRLEN", k()],
            lambda: [b"SETRANGE", k(), c((b"0", b"1", b"5", b"100", b"5000", b"-1", b"536870912", b"x")), self.value()],
            lambda: [c((b"GETRANGE", b"SUBSTR")), k(), self.integer(), self.integer()],
            lambda: [c((b"INCR", b"DECR")), k()],
            lambda: [c((b"INCRBY", b"DECRBY")), k(), self.rng.choice(NUMBERS)],
            lambda: [b"INCRBYFLOAT", k(), self.rng.choice(FLOATS)],
            lambda: [b"LCS", k(), k()] + c(([], [b"LEN"], [b"IDX"], [b"IDX", b"MINMATCHLEN", b"2"], [b"IDX", b"WITHMATCHLEN"],
                                            [b"LEN", b"IDX"], [b"BAD"])),
        ))()

    def set_options(self):
        # No times in the past: when such a key leaves DBSIZE is a matter of each server's background work.
        options = []
        for words in ([b"NX"], [b"XX"], [b"GET"], [b"KEEPTTL"], [b"EX", b"100000"], [b"PX", b"100000000"], [b"EXAT", b"4102444800"],
                      [b"PXAT", b"%d" % FAR_MS], [b"EX", b"0"], [b"PX", b"abc"], [b"EX"], [b"BAD"]):
            if self.rng.random() < 0.05:
                options += words
        return [self.case(w) for w in options]

    def generic(self):
        c, k = self.rng.choice, self.key
        return c((
            lambda: [c((b"DEL", b"UNLINK"))] + self.keys(2),
            lambda: [b"EXISTS"] + self.keys(),
            lambda: [b"TOUCH"] + self.keys(),
            lambda: [b"TYPE", k()],
            lambda: [b"RENAME", k(), k()],
            lambda: [b"RENAMENX", k(), k()],
            lambda: [b"COPY", k(), k()] + c(([], [b"REPLACE"], [b"DB", b"x"], [b"DB", b"0"])),
            lambda: [b"OBJECT", c((b"ENCODING", b"REFCOUNT", b"BAD")), k()],
            lambda: [b"DBSIZE"],
            lambda: [b"KEYS", c((b"*", b"k*", b"k[0-3]", b"*t*", b"k?", b"[^k]*", b"\\k1", b"k[", b""))],
            lambda: [b"SCAN", b"0", b"COUNT", b"100000"] + self.maybe(0.3, b"MATCH", b"k*") + self.maybe(0.3, b"TYPE", c((b"string", b"hash", b"list"))),
            lambda: [b"SCAN", c((b"x", b"-1", b"99999999999999999999")), b"COUNT", c((b"0", b"-1", b"x"))],
            lambda: [b"PERSIST", k()],
        ))()

    def expiry(self):
        c, k = self.rng.choice, self.key
        far_s = FAR_MS // 1000
        return c((
            lambda: [b"EXPIRE", k(), c((b"100000", b"200000", b"1000000", b"-1", b"0", b"x", b"9223372036854775807"))] + self.expire_flags(),
            lambda: [b"PEXPIRE", k(), c((b"100000000", b"200000000", b"-1", b"9223372036854775807", b"1.5"))] + self.expire_flags(),
            lambda: [b"EXPIREAT", k(), b"%d" % (far_s + self.rng.randrange(3))] + self.expire_flags(),
            lambda: [b"PEXPIREAT", k(), b"%d" % (FAR_MS + self.rng.randrange(3))] + self.expire_flags(),
            lambda: [c((b"TTL", b"PTTL", b"EXPIRETIME", b"PEXPIRETIME")), k()],
            lambda: [b"PERSIST", k()],
        ))()

    def expire_flags(self):
        return [w for w in (b"NX", b"XX", b"GT", b"LT", b"BAD") if self.rng.random() < 0.1]

    def hash(self):
        c, k, f = self.rng.choice, self.key, self.field
        return c((
            lambda: [c((b"HSET", b"HMSET")), k()] + [x for _ in range(self.rng.randint(1, 4)) for x in (f(), self.value())] + self.maybe(0.03, b"odd"),
            lambda: [b"HSETNX", k(), f(), self.value()],
            lambda: [b"HGET", k(), f()],
            lambda: [b"HMGET", k()] + self.fields(),
            lambda: [b"HDEL", k()] + self.fields(3),
            lambda: [b"HLEN", k()],
            lambda: [b"HSTRLEN", k(), f()],
            lambda: [b"HEXISTS", k(), f()],
            lambda: [c((b"HGETALL", b"HKEYS", b"HVALS")), k()],
            lambda: [b"HINCRBY", k(), f(), self.rng.choice(NUMBERS)],
            lambda: [b"HINCRBYFLOAT", k(), f(), self.rng.choice(FLOATS)],
            lambda: [b"HSCAN", k(), b"0", b"COUNT", b"100000"] + self.maybe(0.3, b"MATCH", b"f*"),
            lambda: [b"HRANDFIELD", k()] + c(([b"100000"], [b"0"], [b"x"], [b"1000", b"WITHVALUES"], [b"5", b"BAD"], [b"-9223372036854775808"])),
        ))()

    def list(self):
        c, k = self.rng.choice, self.key
        side = lambda: c((b"LEFT", b"RIGHT", b"left", b"BAD") if self.rng.random() < 0.1 else (b"LEFT", b"RIGHT"))
        return c((
            lambda: [c((b"LPUSH", b"RPUSH", b"LPUSHX", b"RPUSHX")), k()] + [self.value() for _ in range(self.rng.randint(1, 4))],
            lambda: [c((b"LPUSH", b"RPUSH")), k()] + self.fields(),
            lambda: [c((b"LPOP", b"RPOP")), k()] + self.maybe(0.3, self.integer()),
            lambda: [b"LLEN", k()],
            lambda: [b"LINDEX", k(), self.integer()],
            lambda: [b"LSET", k(), self.integer(), self.value()],
            lambda: [b"LRANGE", k(), self.integer(), self.integer()],
            lambda: [b"LTRIM", k(), self.integer(), self.integer()],
            lambda: [b"LREM", k(), self.integer(), self.field()],
            lambda: [b"LINSERT", k(), c((b"BEFORE", b"AFTER", b"BAD")), self.field(), self.value()],
            lambda: [b"LPOS", k(), self.field()] + c(([], [b"RANK", b"-1"], [b"COUNT", b"0"], [b"COUNT", b"2", b"MAXLEN", b"3"],
                                                      [b"RANK", b"0"], [b"COUNT", b"-1"], [b"RANK", b"-9223372036854775807"])),
            lambda: [b"LMOVE", k(), k(), side(), side()],
            lambda: [b"RPOPLPUSH", k(), k()],
            lambda: [b"LMPOP", c((b"1", b"2", b"0", b"x")), k(), k(), side()] + self.maybe(0.3, b"COUNT", self.integer()),
            lambda: [b"LMPOP", b"1", k(), side()],
        ))()

    def set(self):
        c, k = self.rng.choice, self.key
        members = lambda: [self.field() if self.rng.random() < 0.5 else b"%d" % self.rng.randint(-5, 40000) for _ in range(self.rng.randint(1, 6))]
        return c((
            lambda: [b"SADD", k()] + members(),
            lambda: [b"SADD", k()] + [b"%d" % self.rng.randint(-300, 300) for _ in range(self.rng.randint(1, 40))],
            lambda: [b"SREM", k()] + members(),
            lambda: [b"SISMEMBER", k(), self.field()],
            lambda: [b"SMISMEMBER", k()] + members(),
            lambda: [b"SMEMBERS", k()],
            lambda: [b"SCARD", k()],
            lambda: [b"SMOVE", k(), k(), self.field()],
            lambda: [c((b"SINTER", b"SUNION", b"SDIFF"))] + self.keys(),
            lambda: [c((b"SINTERSTORE", b"SUNIONSTORE", b"SDIFFSTORE")), k()] + self.keys(),
            lambda: [b"SINTERCARD", c((b"1", b"2", b"0", b"x", b"5")), k(), k()] + self.maybe(0.3, b"LIMIT", self.integer()),
            lambda: [b"SINTERCARD", b"2", k(), k()] + self.maybe(0.3, b"LIMIT", self.integer()),
            lambda: [b"SPOP", k(), c((b"0", b"100000", b"-1", b"x"))],
            lambda: [b"SRANDMEMBER", k(), c((b"0", b"100000", b"x"))],
            lambda: [b"SSCAN", k(), b"0", b"COUNT", b"100000"],
        ))()

    def odd(self):
        """Too few or too many arguments of a real command, or no command at all."""
        command = self.rng.choice((self.string, self.generic, self.expiry, self.hash, self.list, self.set))()
        r = self.rng.random()
        random_by_nature = command[0].upper() in RANDOM_WHEN_SHORT
        if r < 0.5 and not random_by_nature:
            return command[:self.rng.randint(1, max(1, len(command) - 1))]
        if r < 0.8:
            return command + [self.value() for _ in range(self.rng.randint(1, 3))]
        if r < 0.9:
            return [self.case(command[0])] + command[1:]
        return self.rng.choice(([b"NOSUCH", b"a", b"b\r\nc"], [b"", b"x"], [b"OBJECT"], [b"COMMAND", b"BAD"],
                                [b"CONFIG", b"GET"], [b"CLIENT", b"BAD"], [b"DEBUG"], [b"EXEC"], [b"DISCARD"], [b"HELLO", b"9"],
                                [b"UNWATCH"], [b"MULTI", b"x"], [b"SELECT", b"x"], [b"SELECT", b"0"], [b"AUTH", b"x"]))

    def server(self):
        return self.rng.choice((
            lambda: [b"PING"] + self.maybe(0.5, self.value()),
            lambda: [b"ECHO", self.value()],
            lambda: [b"COMMAND", b"GETKEYS"] + self.rng.choice((self.string, self.list, self.set))(),
            lambda: [b"CLIENT", b"GETNAME"],
            lambda: [b"CLIENT", b"SETNAME", self.rng.choice((b"name", b"", b"bad name"))],
            lambda: [b"CLIENT", b"NO-EVICT", self.rng.choice((b"on", b"off", b"x"))],
            lambda: [b"PUBLISH", b"nobody", self.value()],
        ))()

    def command(self):
        at = self.rng.randrange(self.total)
        for weight, family in self.families:
            if at < weight:
                return family()
            at -= weight

    def batch(self, size):
        """A pipeline: sometimes a transaction, watched or aborted."""
        commands = [self.command() for _ in range(size)]
        if self.rng.random() < 0.25:
            at = self.rng.randrange(size)
            commands.insert(at, [b"MULTI"])
            commands.insert(self.rng.randint(at + 1, len(commands)), [self.rng.choice((b"EXEC", b"EXEC", b"DISCARD"))])
            if self.rng.random() < 0.4:
                commands.insert(self.rng.randint(0, at), [b"WATCH"] + self.keys(2))
            commands.append([b"DISCARD"])  # an inner MULTI or DISCARD may have moved the end
        return commands
