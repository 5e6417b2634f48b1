#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How stable fits are, and which weight of minimality to take unless one is given.

    python3 benchmarks/studies/stability.py build/release/trimtab OUT [--seeds N] [--threads N]

sweeps the embedded models on both tasks and writes OUT/stability.md and OUT/stability.json. Every finished fit is kept
in OUT, so the command goes on where it was ended. It needs nothing but Python.

A share s means lambda_m = s * lambda_max, the weight from which on nothing is learned. For each share: the smaller of
the flip rates at both strengths on the test prompts, over seeds of the data (mean and worst), the places kept (median),
and the Jaccard index of the places that two seeds keep, over all pairs of seeds. A seed draws new train and test
prompts. Intervals are over seeds: the mean +- 1.96 standard errors.
"""

import argparse
import itertools
import json
import math
import pathlib
import statistics
import struct
import subprocess

MODELS = ("tiny-gpt2", "tiny-pythia")
TASKS = ("ioi", "ccc")
SHARES = (0.0025, 0.005, 0.01, 0.02, 0.04, 0.08)
POLICIES = ("activ-scalar", "steer-vec", "dyn-scalar")


def kept_places(path):
    """The places of an intervention file whose parameters are not all zero: (tensor, layer, position)."""
    raw = path.read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8 : 8 + length])
    places = set()
    for name, tensor in header.items():
        if name == "__metadata__":
            continue
        begin, end = tensor["data_offsets"]
        kind, size = {"F32": ("f", 4), "F64": ("d", 8)}[tensor["dtype"]]
        numbers = struct.unpack(f"<{(end - begin) // size}{kind}", raw[8 + length + begin : 8 + length + end])
        layers, positions = tensor["shape"][:2]
        width = len(numbers) // (layers * positions) if numbers else 0
        site = name.rsplit(".", 1)[0]
        for i in range(layers * positions):
            if any(numbers[i * width : (i + 1) * width]):
                places.add((site, i // positions, i % positions))
    return places


def jaccard(a, b):
    return len(a & b) / len(a | b) if a | b else 1.0


def mean_and_half(values):
    """The mean of the values, and 1.96 standard errors."""
    half = 1.96 * statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else float("nan")
    return statistics.fmean(values), half


def smaller_flip_rate(point):
    rates = point["test"]["flip_rate"]
    return min(rate for strength, rate in rates.items() if strength != "both")


class Study:
    def __init__(self, program, out, seeds, threads):
        self.program, self.out, self.seeds = program, out, seeds
        self.common = ["--json", "--quiet"] + (["--threads", str(threads)] if threads else [])

    def sweep(self, name, model, task, *options):
        """The points of a sweep, and the folder that holds their interventions."""
        folder = self.out / name
        where = pathlib.Path("examples/models") / model
        command = [self.program, "sweep", "--model", str(where), "--task", task, "--out", str(folder), *options]
        done = subprocess.run(command + self.common, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(command)} failed: {done.stderr}")
        return json.loads(done.stdout)["points"], folder

    def by_share(self, model, task, policy, seeds):
        shares = ",".join(f"{share}max" for share in SHARES)
        numbers = ",".join(str(seed) for seed in range(1, seeds + 1))
        points, folder = self.sweep(f"share-{model}-{task}-{policy}", model, task, "--policy", policy, "--vary",
                                    f"lambda-m={shares}", "--vary", f"seed={numbers}")
        rows = []
        for k, share in enumerate(SHARES):
            own = range(k * seeds, (k + 1) * seeds)
            flips = [smaller_flip_rate(points[n]) for n in own]
            places = [kept_places(folder / f"point-{n:04d}.safetensors") for n in own]
            pairs = [jaccard(a, b) for a, b in itertools.combinations(places, 2)]
            # One value a seed, its mean over the others: pairs of seeds are not independent of each other.
            by_seed = [statistics.fmean(jaccard(a, b) for j, b in enumerate(places) if j != i)
                       for i, a in enumerate(places)]
            rows.append({"share": share, "flip": mean_and_half(flips), "worst_flip": min(flips),
                         "places": statistics.median(len(p) for p in places), "jaccard": statistics.fmean(pairs),
                         "jaccard_half": mean_and_half(by_seed)[1],
                         "always": len(set.intersection(*places))})
        return rows


def table(rows):
    lines = ["| share of λ_max | smaller flip rate | worst seed | places (median) | kept by every seed | Jaccard |",
             "| --- | --- | --- | --- | --- | --- |"]
    for r in rows:
        mean, half = r["flip"]
        lines.append(f"| {r['share']:g} | {mean:.2f} ± {half:.2f} | {r['worst_flip']:.2f} | {r['places']:g} | "
                     f"{r['always']} | {r['jaccard']:.2f} ± {r['jaccard_half']:.2f} |")
    return "\n".join(lines)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("program")
    arguments.add_argument("out", type=pathlib.Path)
    arguments.add_argument("--seeds", type=int, default=20)
    arguments.add_argument("--threads", type=int)
    arguments.add_argument("--policies", default="activ-scalar", help="comma-separated, of " + ", ".join(POLICIES))
    asked = arguments.parse_args()
    if asked.seeds < 3:
        arguments.error("--seeds is at least 3: two seeds have one Jaccard index, and no interval")
    asked.out.mkdir(parents=True, exist_ok=True)
    study = Study(asked.program, asked.out, asked.seeds, asked.threads)
    found, text = {}, []
    for policy in asked.policies.split(","):
        seeds = asked.seeds if policy == "activ-scalar" else min(asked.seeds, 5)
        for model, task in itertools.product(MODELS, TASKS):
            rows = study.by_share(model, task, policy, seeds)
            found[f"{policy} {model} {task}"] = rows
            text.append(f"## {policy}, {model}, {task}, {seeds} seeds\n\n{table(rows)}\n")
            print(text[-1], flush=True)
    (asked.out / "stability.json").write_text(json.dumps(found, indent=1) + "\n")
    (asked.out / "stability.md").write_text("\n".join(text))


if __name__ == "__main__":
    main()
