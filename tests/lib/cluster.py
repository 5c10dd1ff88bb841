"""A cluster in the laboratory, for tests: stock nodes beside ours, redis-cli --cluster, and a map of the slots."""
import os
import signal
import subprocess
import time

from resp import Client, Error

SLOTS = 16384
STOCK_IP = "10.77.0.254"
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


class Failed(Exception):
    """The test has seen what it must not."""


def expect(what, got, want):
    if got != want:
        raise Failed("%s: %.500r, not %.500r" % (what, got, want))


def within(seconds, what, done):
    """Until done() is true, which may fail on the way for a connection that is not there yet."""
    end = time.monotonic() + seconds
    while True:
        try:
            if done():
                return
        except (OSError, EOFError):
            pass
        if time.monotonic() > end:
            raise Failed("not within %d s: %s" % (seconds, what))
        time.sleep(0.05)


def _crc16_table():
    table = []
    for byte in range(256):
        crc = byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021) & 0xFFFF if crc & 0x8000 else crc << 1
        table.append(crc)
    return table


CRC16 = _crc16_table()


def key_slot(key):
    """The slot of a key (bytes), by its hash tag when it has one."""
    begin = key.find(b"{")
    end = key.find(b"}", begin + 1) if begin >= 0 else -1
    if end > begin + 1:
        key = key[begin + 1:end]
    crc = 0
    for byte in key:
        crc = (crc << 8 & 0xFF00) ^ CRC16[crc >> 8 ^ byte]
    return crc % SLOTS


def slot_tags():
    """A hash tag for each slot."""
    tags, n = {}, 0
    while len(tags) < SLOTS:
        tag = b"%x" % n
        tags.setdefault(key_slot(tag), tag)
        n += 1
    return tags


class Node:
    """One node of either kind: where it is, and a connection that is made when it is needed."""

    def __init__(self, host, port=6379):
        self.host, self.port = host, port
        self.client = None

    def __repr__(self):
        return "%s:%d" % (self.host, self.port)

    def call(self, *args):
        if self.client is None:
            self.client = Client(self.host, self.port)
        try:
            return self.client.call(*args)
        except Exception:
            self.forget()
            raise

    def pipeline(self, commands):
        if self.client is None:
            self.client = Client(self.host, self.port)
        return self.client.pipeline(commands)

    def forget(self):
        """Its connection is given up."""
        if self.client is not None:
            self.client.close()
        self.client = None

    def id(self):
        return self.call("CLUSTER", "MYID").decode()

    def info(self):
        text = self.call("CLUSTER", "INFO").decode()
        return dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)

    def answers(self):
        return self.call("PING") == b"PONG"


class Stock(Node):
    """redis-server 7.0 on the lab's own address."""

    def __init__(self, port, directory, *options):
        super().__init__(STOCK_IP, port)
        self.directory, self.options = os.path.join(directory, str(port)), options
        os.makedirs(self.directory)
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            ["redis-server", "--bind", self.host, "--port", str(self.port), "--protected-mode", "no", "--save", "",
             "--appendonly", "no", "--enable-debug-command", "yes", "--dir", self.directory, "--logfile", "log",
             *self.options])
        within(10, "%r answers" % self, self.answers)

    def kill(self):
        self.forget()
        self.process.kill()
        self.process.wait()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)


class Ours(Node):
    """Node `number` of the laboratory."""

    def __init__(self, number):
        super().__init__("10.77.0.%d" % number)
        self.number = number

    def lab(self, action):
        done = subprocess.run([os.path.join(ROOT, "scripts", "lab"), "node", str(self.number), action],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
        if done.returncode != 0:
            raise Failed("lab node %d %s: %s" % (self.number, action, done.stdout.decode()))

    def start(self):
        self.lab("start")

    def kill(self):
        self.forget()
        self.lab("kill")

    def pause(self):
        self.lab("pause")

    def resume(self):
        self.lab("resume")


def stock_nodes(ports, directory, timeout_ms=5000):
    """A primary that gave its last slot away stays one: else it would become a replica, as stock nodes do by default."""
    return [Stock(p, directory, "--cluster-enabled", "yes", "--cluster-node-timeout", str(timeout_ms),
                  "--cluster-allow-replica-migration", "no") for p in ports]


def tool(*args, timeout=120):
    """redis-cli --cluster ARGS: its exit code and output."""
    done = subprocess.run(["redis-cli", "--cluster", *map(str, args)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=timeout, check=False)
    return done.returncode, done.stdout.decode("utf-8", "replace")


def tool_ok(*args, timeout=120):
    code, output = tool(*args, timeout=timeout)
    if code != 0 or "[ERR]" in output:
        raise Failed("redis-cli --cluster %s: exit code %d\n%s" % (" ".join(map(str, args)), code, output[-3000:]))
    return output


def check_clean(node, seconds=20):
    """redis-cli --cluster check finds nothing to say."""
    last = [""]

    def clean():
        code, last[0] = tool("check", node)
        return (code == 0 and "All nodes agree about slots configuration" in last[0]
                and "All 16384 slots covered" in last[0] and "[WARNING]" not in last[0] and "[ERR]" not in last[0])

    try:
        within(seconds, "check is clean", clean)
    except Failed as e:
        raise Failed("%s\n%s" % (e, last[0])) from None


def all_ok(nodes, seconds=20):
    for node in nodes:
        within(seconds, "%r is ok and knows %d" % (node, len(nodes)),
               lambda n=node: n.info()["cluster_state"] == "ok" and n.info()["cluster_known_nodes"] == str(len(nodes)))


def form(nodes):
    """A cluster of these nodes, each with its share of the slots."""
    tool_ok("create", *nodes, "--cluster-yes")
    all_ok(nodes)


def slot_owners(node, nodes):
    """A list: the node of each slot, as `node` sees it."""
    known = {(n.host, n.port): n for n in nodes}
    owners = [None] * SLOTS
    for first, last, primary, *_ in node.call("CLUSTER", "SLOTS"):
        for slot in range(first, last + 1):
            owners[slot] = known[primary[0].decode(), primary[1]]
    return owners


def on_owners(nodes, commands):
    """Replies to (key, arguments…) pairs, each asked of the node that has the slot, in the order of the commands."""
    owners = slot_owners(nodes[0], nodes)
    at, replies = {}, [None] * len(commands)
    for i, (key, *_) in enumerate(commands):
        at.setdefault(owners[key_slot(key)], []).append(i)
    for node, indexes in at.items():
        for i, reply in zip(indexes, node.pipeline([commands[i][1:] for i in indexes])):
            if isinstance(reply, Error):
                raise Failed("%r: %r: %r" % (node, commands[i][1:3], reply))
            replies[i] = reply
    return replies
