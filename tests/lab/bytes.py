#!/usr/bin/env python3
"""Kernel TCP as the peer: bytes go in by SET and come back by GET, exact, over a port that loses, reorders and
duplicates frames (nic-fault of the node). usage: bytes.py HOST MEGABYTES"""
import hashlib
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from resp import Client  # noqa: E402

CHUNK = 1 << 20
STREAMS = 4


def transfer(host, index, chunks, failures):
    try:
        rng = random.Random(index)
        c = Client(host, timeout=240)
        sums = []
        for i in range(chunks):
            data = rng.randbytes(CHUNK - rng.randrange(1000))
            sums.append(hashlib.sha256(data).digest())
            if c.call("SET", "bytes:%d:%d" % (index, i), data) != b"OK":
                raise RuntimeError("SET refused")
        for i in range(chunks):
            back = c.call("GET", "bytes:%d:%d" % (index, i))
            if hashlib.sha256(back).digest() != sums[i]:
                raise RuntimeError("chunk %d came back changed (%d bytes)" % (i, len(back)))
        c.close()
    except Exception as e:  # a thread's failure must end the test
        failures.append("stream %d: %r" % (index, e))


def main():
    host, megabytes = sys.argv[1], int(sys.argv[2])
    failures = []
    threads = [threading.Thread(target=transfer, args=(host, i, megabytes // STREAMS, failures)) for i in range(STREAMS)]
    start = time.time()
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print("%d MiB each way in %.1f s" % (megabytes, time.time() - start))
    if failures:
        print("\n".join(failures))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
