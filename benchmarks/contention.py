#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What programs cost each other that run at the same time on one machine.

    python3 benchmarks/contention.py build/release/examples/first_steering [RUNS]

Runs the program alone, several of it at once, and one beside busy loops, each RUNS times in turn (default 5), and prints
medians. *Fair* is the time that a program takes alone on its share of the cores: k programs at once share all of them
equally; a busy loop takes one. A program whose threads spin for each other takes many times that.
"""

import os
import statistics
import subprocess
import sys
import time

BUSY_LOOP = [sys.executable, "-c", "while True: pass"]


def start(program, threads=None):
    environment = dict(os.environ)
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    return subprocess.Popen([program], stdout=subprocess.DEVNULL, env=environment)


def seconds(program, at_once=1, busy_loops=0, threads=None):
    """The mean time of `at_once` runs that start together beside some busy loops."""
    loops = [subprocess.Popen(BUSY_LOOP) for _ in range(busy_loops)]
    try:
        begin = time.monotonic()
        running = [start(program, threads) for _ in range(at_once)]
        ends = {}
        while len(ends) < at_once:
            for k, process in enumerate(running):
                if k not in ends and process.poll() is not None:
                    if process.returncode != 0:
                        sys.exit(f"{program} ended with {process.returncode}")
                    ends[k] = time.monotonic() - begin
            time.sleep(0.002)
        return statistics.mean(ends.values())
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    program, runs = sys.argv[1], int(sys.argv[2]) if len(sys.argv) == 3 else 5
    cores = len(os.sched_getaffinity(0))
    cases = {
        "alone": {},
        "two at once": {"at_once": 2},
        "four at once": {"at_once": 4},
        "beside one busy loop": {"busy_loops": 1},
        f"beside {cores} busy loops": {"busy_loops": cores},
        "alone, one thread": {"threads": 1},
        "alone, all but one thread": {"threads": max(1, cores - 1)},
    }
    measured = {name: [] for name in cases}
    for _ in range(runs):
        for name, case in cases.items():
            measured[name].append(seconds(program, **case))
    medians = {name: statistics.median(times) for name, times in measured.items()}

    alone, single = medians["alone"], medians["alone, one thread"]
    fair = {
        "two at once": 2 * alone,
        "four at once": 4 * alone,
        "beside one busy loop": medians["alone, all but one thread"],
        f"beside {cores} busy loops": min(2 * alone, 2 * single),
    }
    print(f"{program}, {cores} cores, {runs} runs each, medians")
    for name, time_taken in medians.items():
        line = f"  {name:28} {time_taken:7.2f} s  {time_taken / alone:5.2f} x alone"
        if name in fair:
            line += f"  {time_taken / fair[name]:5.2f} x fair"
        print(line)


if __name__ == "__main__":
    main()
