#!/usr/bin/env python3
"""Compares COMMAND INFO, and the shape of COMMAND DOCS, of a node with a real redis-server 7.0.

usage: command_table.py HOST REDIS_PORT [--port PORT]

Every command that the node has must be described as the real server (on 127.0.0.1) describes it:
arity, flags and ACL categories in their order, first, last and step of the keys, tips, key
specifications, subcommands. Of COMMAND DOCS the fields, the group, the versions, the flags and the
arguments are compared, and the name of what replaces a command; the texts are the node's own.
Ends with 0 when nothing differs.
"""
import argparse
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from resp import Client, Map


def plain(reply):
    """Text instead of bytes, and maps as dictionaries."""
    if isinstance(reply, Map):
        return {plain(k): plain(v) for k, v in reply}
    if isinstance(reply, list):
        return [plain(element) for element in reply]
    return reply.decode("latin1") if isinstance(reply, bytes) else reply


class Server:
    def __init__(self, host, port):
        self.client = Client(host, port)
        self.client.call("HELLO", "3")

    def call(self, *words):
        return plain(self.client.call(*words))


# Commands that Redis 7.0 does not have: only that they describe themselves is looked at.
OWN = {"capture", "cluster|myshardid"}

FIELDS = ["name", "arity", "flags", "first key", "last key", "step", "ACL categories", "tips",
          "key specifications"]


def compare_info(name, ours, theirs):
    found = []
    for i, field in enumerate(FIELDS):
        if ours[i] != theirs[i]:
            found.append(f"{name}: {field}: {ours[i]!r}, redis: {theirs[i]!r}")
    theirs_by_name = {sub[0]: sub for sub in theirs[9]}
    for sub in ours[9]:
        if sub[0] in OWN:
            continue
        if sub[0] in theirs_by_name:
            found += compare_info(sub[0], sub, theirs_by_name[sub[0]])
        else:
            found.append(f"{sub[0]}: redis has no such subcommand")
    return found


SAME_TEXT = ["since", "group", "arguments", "doc_flags", "deprecated_since", "replaced_by", "history"]


def argument_shape(arguments):
    return [{k: argument_shape(v) if k == "arguments" else v for k, v in a.items()
             if k not in ("summary", "deprecated_since", "display_text")} for a in arguments]


def compare_docs(name, ours, theirs):
    found = []
    for field in SAME_TEXT:
        a, b = ours.get(field), theirs.get(field)
        if field == "arguments":
            a, b = argument_shape(a or []), argument_shape(b or [])
        elif field == "history":
            a, b = [[version for version, _ in rows or []] for rows in (a, b)]
        elif field == "replaced_by":
            a, b = [text and text.split("`")[1] for text in (a, b)]
        if a != b:
            found.append(f"{name}: docs: {field}: {a!r}, redis: {b!r}")
    for field in (set(theirs) ^ set(ours)) - {"subcommands"}:
        found.append(f"{name}: docs: {field} is in one of them only")
    for sub, docs in ours.get("subcommands", {}).items():
        if sub in OWN:
            found += compare_own(sub, docs)
            continue
        found += compare_docs(sub, docs, theirs.get("subcommands", {}).get(sub, {}))
    return found


def compare_own(name, docs):
    texts = [docs] + list(docs.get("subcommands", {}).values())
    return [f"{name}: docs: {field} is missing" for text in texts
            for field in ("summary", "since", "group", "complexity") if not text.get(field)]


def compare(node, redis):
    found = []
    table = node.call("COMMAND")
    if node.call("COMMAND", "COUNT") != len(table):
        found.append("COMMAND COUNT is not the length of COMMAND")
    docs = node.call("COMMAND", "DOCS")
    for row in table:
        name = row[0]
        theirs = redis.call("COMMAND", "INFO", name)[0]
        if name in OWN and theirs is None:
            found += compare_own(name, docs[name])
            continue
        if theirs is None:
            found.append(f"{name}: redis has no such command")
            continue
        if node.call("COMMAND", "INFO", name) != [row]:
            found.append(f"{name}: COMMAND INFO differs from COMMAND")
        found += compare_info(name, row, theirs)
        found += compare_docs(name, docs[name], redis.call("COMMAND", "DOCS", name)[name])
    return len(table), found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("host")
    parser.add_argument("redis_port", type=int)
    parser.add_argument("--port", type=int, default=6379)
    options = parser.parse_args()
    count, found = compare(Server(options.host, options.port),
                           Server("127.0.0.1", options.redis_port))
    for line in found:
        print(line)
    print(f"{count} commands compared, {len(found)} differences")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
