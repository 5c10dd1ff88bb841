#!/usr/bin/env python3
"""Writes families.h: the prototypes of the handlers that the tables (*.def) name."""
import re
import sys


def main():
    out_path, def_paths = sys.argv[1], sys.argv[2:]
    names = set()
    for path in def_paths:
        with open(path, encoding="utf-8") as f:
            names.update(re.findall(r"\.handler\s*=\s*(cmd_\w+)", f.read()))
    with open(out_path, "w", encoding="utf-8") as out:
        out.write("/* Generated from the tables by families.py. */\n#pragma once\n#include \"command.h\"\n\n")
        for name in sorted(names):
            out.write(f"void {name}(struct call *c);\n")


main()
