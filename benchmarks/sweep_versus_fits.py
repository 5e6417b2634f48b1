#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times a sweep beside the same fits one after another, and beside PyTorch, in one run; prints seconds and ratios.

    cmake --preset release && cmake --build --preset release --target trimtab_cli
    python3 benchmarks/sweep_versus_fits.py                 24 weights of minimality on one prompt pair, GPT-2 small
    python3 benchmarks/sweep_versus_fits.py grid --steps 100     5 x 5 x 3 fits of the embedded tiny-gpt2, as a shell loop

`weights`: the model has the shape of GPT-2 small and random weights, the prompt has 12 tokens. A step's time is the
difference between two runs of other lengths over the difference of their steps, so that loading and measuring do not
count; PyTorch is the careful side of versus_pytorch.py. `grid` counts everything, as who waits for it does.

Needs PyTorch for `weights`.
"""

import argparse
import itertools
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

SHARE_OF_PEAK = 0.75  # what `--plan` divides by; examples/cli/plan.cpp
ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "benchmarks"))

import versus_pytorch


def seconds_of(*command):
    start = time.perf_counter()
    done = subprocess.run([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    return time.perf_counter() - start


def weights(options):
    """24 weights of minimality on one prompt pair."""
    import torch

    torch.set_num_threads(options.threads)
    config, count = versus_pytorch.GPT2, 24
    tensors = versus_pytorch.random_weights(torch, config)
    case = versus_pytorch.make_case(config, [12], 0)
    careful = versus_pytorch.CarefulFit(torch, versus_pytorch.Weights(torch, config, tensors), case)
    with tempfile.TemporaryDirectory() as scratch:
        versus_pytorch.write_folder(scratch, config, tensors)
        pair = {"ids": case["prompts"][0], "correct_id": case["correct"][0], "wrong_id": case["wrong"][0]}
        pathlib.Path(scratch, "data.jsonl").write_text(json.dumps(pair) + "\n")
        run = ["--model", scratch, "--data", pathlib.Path(scratch, "data.jsonl"), "--threads", options.threads, "--quiet"]

        def a_step(*command):
            few, many = options.steps // 4, options.steps + options.steps // 4
            return (seconds_of(*command, "--steps", many) - seconds_of(*command, "--steps", few)) / (many - few)

        found = {"sweep": [], "fits": [], "careful": []}
        for _ in range(options.rounds):
            found["sweep"].append(a_step(options.program, "sweep", *run, "--vary", f"lambda-m=0.3..0.003:{count}"))
            found["fits"].append(count * a_step(options.program, "fit", *run))
            careful.step()
            start = time.perf_counter()
            for _ in range(options.steps // 2):
                careful.step()
            found["careful"].append(count * (time.perf_counter() - start) / (options.steps // 2))
    median = {side: statistics.median(times) for side, times in found.items()}
    print(f"{versus_pytorch.processor()}; {options.threads} thread(s); PyTorch {torch.__version__}")
    print(f"a step of {count} fits of one pair of 12 tokens, ms: " +
          ", ".join(f"{side} {1e3 * seconds:.0f}" for side, seconds in median.items()))
    print(f"the sweep is {median['fits'] / median['sweep']:.2f} times as fast as its fits one after another (goal 1.2), "
          f"{median['careful'] / median['sweep']:.2f} times as careful PyTorch (goal 4)")


def grid(options):
    """A grid of the embedded model, as a sweep and as a shell loop."""
    run = ["--model", ROOT / "examples" / "models" / "tiny-gpt2", "--task", "ioi", "--steps", options.steps, "--threads",
           options.threads, "--quiet"]
    varied = {"lambda-m": ["0.3", "0.1", "0.03", "0.01", "0.003"], "lr": ["0.01", "0.02", "0.03", "0.05", "0.1"],
              "seed": ["1", "2", "3"]}
    axes = [word for name, values in varied.items() for word in ("--vary", f"{name}={','.join(values)}")]
    planned = subprocess.run([str(word) for word in (options.program, "sweep", *run, *axes, "--plan", "--json")],
                             check=True, capture_output=True, text=True)
    floor = SHARE_OF_PEAK * json.loads(planned.stdout)["seconds"]
    with tempfile.TemporaryDirectory() as scratch:
        sweep = seconds_of(options.program, "sweep", *run, "--out", pathlib.Path(scratch, "sweep"), *axes)
        print(f"sweep {sweep:.0f} s, of which its products need {floor:.0f} s at the rate that products alone have here: "
              f"{floor / sweep:.0%}", flush=True)
        loop = 0
        for number, chosen in enumerate(itertools.product(*varied.values())):
            settings = [word for name, value in zip(varied, chosen) for word in (f"--{name}", value)]
            loop += seconds_of(options.program, "fit", *run, *settings, "--out", pathlib.Path(scratch, f"{number}.safetensors"))
    print(f"{versus_pytorch.processor()}; {options.threads} thread(s)")
    print(f"75 fits of {options.steps} steps: sweep {sweep:.0f} s, shell loop {loop:.0f} s, {loop / sweep:.2f} times as long")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["weights", "grid"], nargs="?", default="weights")
    parser.add_argument("--program", default=ROOT / "build" / "release" / "trimtab")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    {"weights": weights, "grid": grid}[options.what](options)


if __name__ == "__main__":
    main()
