"""What may differ between two correct servers: the order of unordered things, and time that passed."""
from resp import Error, Map, Set

# The order of elements is the server's own business; every reply of the command is a set of things.
UNORDERED = {b"KEYS", b"SMEMBERS", b"SINTER", b"SUNION", b"SDIFF", b"HKEYS", b"HVALS", b"SPOP", b"SRANDMEMBER"}
PAIRS = {b"HGETALL"}
SCANS = {b"SCAN", b"SSCAN", b"HSCAN"}
CLOCKS = {b"TTL": 2, b"PTTL": 2000, b"EXPIRETIME": 2, b"PEXPIRETIME": 2000}


def sortable(x):
    return repr(x)


def flat_pairs(items):
    if isinstance(items, Map):
        return sorted(items, key=sortable)
    return sorted(zip(items[::2], items[1::2]), key=sortable)


def normalise(command, reply):
    name = command[0].upper()
    if isinstance(reply, Error) or reply is None:
        return reply
    if name in UNORDERED and isinstance(reply, list):
        return sorted(reply, key=sortable)
    if name in PAIRS and isinstance(reply, list):
        return flat_pairs(reply)
    if name == b"HRANDFIELD" and isinstance(reply, list):
        if reply and isinstance(reply[0], list):
            return sorted(reply, key=sortable)
        with_values = command[-1].upper() == b"WITHVALUES"
        return flat_pairs(reply) if with_values else sorted(reply, key=sortable)
    if name in SCANS and isinstance(reply, list) and len(reply) == 2:
        items = reply[1]
        return [reply[0], flat_pairs(items) if name == b"HSCAN" else sorted(items, key=sortable)]
    return reply


def equal(command, ours, theirs):
    name = command[0].upper()
    if name in CLOCKS and isinstance(ours, int) and isinstance(theirs, int) and min(ours, theirs) >= 0:
        return abs(ours - theirs) <= CLOCKS[name]
    if name == b"OBJECT" and command[1:2] and command[1].upper() == b"REFCOUNT" and isinstance(ours, int) and isinstance(theirs, int):
        return True  # how Redis shares an object for a moment is its own business
    a, b = normalise(command, ours), normalise(command, theirs)
    return type(ours) is type(theirs) and repr(a) == repr(b)
