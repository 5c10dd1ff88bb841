"""A client of a cluster that knows no more than the redirections: a connection per node, a map of slots that MOVED
corrects, ASK with ASKING, TRYAGAIN after a moment. One thread's."""
import time

from cluster import Failed, key_slot
from resp import Client, Error

REDIRECTS_MAX = 400


class RedirectClient:
    def __init__(self, host, port=6379):
        self.first = (host, port)
        self.connections = {}
        self.owners = {}
        self.seen = {b"MOVED": 0, b"ASK": 0, b"TRYAGAIN": 0}

    def connection(self, address):
        if address not in self.connections:
            self.connections[address] = Client(*address)
        return self.connections[address]

    def at(self, slot):
        return self.connection(self.owners.get(slot, self.first))

    def _where(self, error, slot):
        """The connection to ask next, and whether ASKING goes first; any other error is the test's end."""
        words = error.split()
        if words[0] not in self.seen:
            raise Failed("an error reached the client: %r; owners as it knew: %r" % (error, self.owners))
        self.seen[words[0]] += 1
        if words[0] == b"TRYAGAIN":
            time.sleep(0.005)
            return self.at(slot), False
        if int(words[1]) != slot:
            raise Failed("%r for slot %d" % (error, slot))
        host, port = words[2].decode().rsplit(":", 1)
        if words[0] == b"MOVED":
            self.owners[slot] = (host, int(port))
        return self.connection((host, int(port))), words[0] == b"ASK"

    def call(self, key, *args):
        return self.block(key, [args])[0]

    def block(self, key, commands, first_error=None):
        """Commands that go together to the node of the key: one, or MULTI … EXEC. Their replies."""
        slot = key_slot(key)
        c, asking = self._where(first_error, slot) if first_error is not None else (self.at(slot), False)
        for _ in range(REDIRECTS_MAX):
            replies = c.pipeline(([("ASKING",)] if asking else []) + commands)[int(asking):]
            error = next((r for r in replies if isinstance(r, Error)), None)
            if error is None:
                return replies
            c, asking = self._where(error, slot)
        raise Failed("%r: redirected without end: %r" % (commands[0], error))

    def pipeline(self, key, commands):
        """Each command goes on by itself where it was redirected, in the order of the pipeline."""
        replies = self.at(key_slot(key)).pipeline(commands)
        for i, reply in enumerate(replies):
            if isinstance(reply, Error):
                replies[i] = self.block(key, [commands[i]], reply)[0]
        return replies

    def close(self):
        for c in self.connections.values():
            c.close()
