#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints what including a header costs, in counts that are the same on every machine with the same compilers:

    python3 benchmarks/inclusion.py                                     every public header
    python3 benchmarks/inclusion.py compose.hpp policy/activ_scalar.hpp   these

lines           preprocessed lines that are not empty (g++ -E -P)
own             of these, lines from trimtab's own headers
instantiations  classes and functions that the include alone instantiates from templates (clang++ -ftime-trace)

Most of the lines come from headers of the standard library and of third parties.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
INCLUDE = ROOT / "include"


def preprocessed(flags, source, lines_only):
    text = subprocess.run(["g++", *flags, "-E", *(["-P"] if lines_only else []), source], check=True,
                          capture_output=True, text=True).stdout
    return [line for line in text.splitlines() if line.strip()]


def own_lines(lines):
    """The number of lines that are from include/trimtab, according to the line markers."""
    own, count = False, 0
    for line in lines:
        marker = re.match(r'# \d+ "([^"]*)"', line)
        if marker:
            own = "/include/trimtab/" in marker[1]
        else:
            count += own
    return count


def instantiations(flags, source, folder):
    trace = pathlib.Path(folder) / "header.json"
    run = subprocess.run(["clang++", *flags, "-c", source, "-o", trace.with_suffix(".o"), "-ftime-trace",
                          "-ftime-trace-granularity=0"], capture_output=True)
    if run.returncode != 0 or not trace.exists():
        return None
    events = json.loads(trace.read_text())["traceEvents"]
    trace.unlink()
    return sum(e["name"] in ("InstantiateClass", "InstantiateFunction") for e in events)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("headers", nargs="*", help="below include/trimtab")
    parser.add_argument("--eigen", default="/usr/include/eigen3")
    options = parser.parse_args()
    headers = options.headers or sorted(str(p.relative_to(INCLUDE / "trimtab")) for p in INCLUDE.rglob("*.hpp"))
    flags = ["-std=c++20", f"-I{INCLUDE}", "-isystem", options.eigen, "-O0"]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        source = str(pathlib.Path(folder) / "header.cpp")
        for header in headers:
            pathlib.Path(source).write_text(f"#include <trimtab/{header}>\n")
            try:
                rows.append((len(preprocessed(flags, source, True)), own_lines(preprocessed(flags, source, False)),
                             instantiations(flags, source, folder), header))
            except subprocess.CalledProcessError as problem:
                sys.exit(f"{header} does not compile alone:\n{problem.stderr}")
    print("| header | lines | own | instantiations |\n| --- | --- | --- | --- |")
    for lines, own, count, header in sorted(rows, reverse=True):
        print(f"| `{header}` | {lines} | {own} | {'-' if count is None else count} |")


if __name__ == "__main__":
    main()
