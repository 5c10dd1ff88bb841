#!/usr/bin/env python3
"""Reads a capture with scapy. usage: capture.py FILE PACKETS [--any]

PACKETS is how many there must be; '-' leaves it open. Without --any the file must tell of redis-cli's
'set captured-key captured-value' from the SYN to both replies, with right checksums in both directions.
"""
import struct
import sys

from scapy.all import IP, TCP, Ether, RawPcapReader, raw

NODE, CLIENT = "10.77.0.1", "10.77.0.254"


def frames(path):
    reader = RawPcapReader(path)
    try:
        return [(Ether(data), meta) for data, meta in reader]
    finally:
        reader.close()


def blocks_whole(path):
    """scapy takes a block that ends too early for the end of the file."""
    with open(path, "rb") as f:
        data = f.read()
    at = 0
    while at + 12 <= len(data):
        length = struct.unpack_from("<I", data, at + 4)[0]
        if length < 12 or data[at + length - 4:at + length] != data[at + 4:at + 8]:
            return False
        at += length
    return at == len(data)


def sums_right(frame):
    again = Ether(raw(frame))
    del again[IP].chksum
    del again[TCP].chksum
    again = Ether(raw(again))
    return again[IP].chksum == frame[IP].chksum and again[TCP].chksum == frame[TCP].chksum


def check_talk(got):
    tcp = [frame for frame, _ in got if TCP in frame]
    asked = [f for f in tcp if f[IP].src == CLIENT and f[IP].dst == NODE]
    replied = [f for f in tcp if f[IP].src == NODE and f[IP].dst == CLIENT]
    request = b"*3\r\n$3\r\nset\r\n$12\r\ncaptured-key\r\n$14\r\ncaptured-value\r\n"
    sought = {
        "a SYN": any(f[TCP].flags == "S" and f[TCP].dport == 6379 for f in asked),
        "its SYN-ACK": any(f[TCP].flags == "SA" and f[TCP].sport == 6379 for f in replied),
        "the request": any(bytes(f[TCP].payload) == request for f in asked),
        "its reply": any(bytes(f[TCP].payload) == b"+OK\r\n" for f in replied),
        "the value": any(bytes(f[TCP].payload) == b"$14\r\ncaptured-value\r\n" for f in replied),
        "right checksums in requests": all(sums_right(f) for f in asked),
        "right checksums in replies": all(sums_right(f) for f in replied),
        "a FIN": any("F" in f[TCP].flags for f in asked),
    }
    return [what for what, found in sought.items() if not found]


def main():
    path, wanted = sys.argv[1], sys.argv[2]
    got = frames(path)
    print(f"{path}: {len(got)} packets")
    missing = [] if "--any" in sys.argv else check_talk(got)
    if wanted != "-" and len(got) != int(wanted):
        missing.append(f"{wanted} packets")
    if not blocks_whole(path):
        missing.append("the rest of the last block")
    stamps = [meta.tshigh << 32 | meta.tslow for _, meta in got]
    if stamps != sorted(stamps):
        missing.append("stamps in order")
    for what in missing:
        print(f"missing: {what}")
    return 1 if missing else 0


sys.exit(main())
