#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How stable fits are, which settings matter, and which weight of minimality to take unless one is given.

    python3 benchmarks/studies/stability.py build/release/trimtab OUT [--seeds N] [--train N] [--jobs N]

fits the embedded models on both tasks and writes OUT/stability.md and OUT/stability.json. Every finished fit is kept in
OUT, so the command goes on where it was ended. It needs nothing but Python. As many fits run side by side as there are
processors, one thread each: that takes about three quarters of the time that all threads take for one after another.

A share s means lambda_m = s * lambda_max, the weight from which on nothing is learned. There are five parts for each
model, task and policy:

    shares      for each share: the smaller of the flip rates at both strengths on the test prompts, over seeds of the
                data (mean and worst), the places kept (median), and the Jaccard index of the places that two seeds keep
    settings    at one share, for each learning rate and start: the same, and the Jaccard index with the fit of the same
                seed that has the usual rate and start
    halves      at that share, which places are kept in at least 80 % of the halves of the train prompts
    usual       at that share, with as many train prompts as the program takes by default, over at most 5 seeds
    ends        how far Adam's end is from a stationary point at each share, after how many steps

A seed draws new train and test prompts. Intervals are over seeds: the mean +- 1.96 standard errors.
"""

import argparse
import collections
import concurrent.futures
import itertools
import json
import math
import os
import pathlib
import statistics
import struct
import subprocess
import time

MODEL_FOLDER = pathlib.Path(__file__).resolve().parents[2] / "examples" / "models"
MODELS = ("tiny-gpt2", "tiny-pythia")
TASKS = ("ioi", "ccc")
SHARES = (0.0025, 0.005, 0.01, 0.02, 0.04, 0.08)
POLICIES = ("activ-scalar", "steer-vec", "dyn-scalar")
RATE = {"activ-scalar": 0.03, "steer-vec": 0.01, "dyn-scalar": 0.001}  # the program's default
SHARE, PAIRS, OFTEN = 0.01, 10, 0.8  # of the parts that have one share; of the halves
STARTS, STEPS = ("identity", "normal:0.1"), (50, 200, 800)


def weights_of_places(path):
    """The sum of the absolute parameters at each place of an intervention file: (site, layer), and the position if there is
    one record for each."""
    raw = path.read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8 : 8 + length])
    weights = collections.defaultdict(float)
    for intervention in json.loads(header["__metadata__"]["interventions"]):
        for parameter in intervention["parameters"]:
            tensor = header[parameter["tensor"]]
            begin, end = tensor["data_offsets"]
            kind, size = {"F32": ("f", 4), "F64": ("d", 8)}[tensor["dtype"]]
            numbers = struct.unpack(f"<{(end - begin) // size}{kind}", raw[8 + length + begin : 8 + length + end])
            axes = [extent for axis, extent in zip(parameter["axes"], tensor["shape"]) if axis in ("layer", "position")]
            width = len(numbers) // math.prod(axes) if numbers else 0
            for i, place in enumerate(itertools.product(*map(range, axes))):
                weights[intervention["site"], *place] += sum(map(abs, numbers[i * width : (i + 1) * width]))
    return dict(weights)


def kept_places(path):
    """The places of an intervention file whose parameters are not all zero."""
    return {place for place, weight in weights_of_places(path).items() if weight != 0}


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
    def __init__(self, program, out, train):
        self.program, self.out = program, out
        self.train = ["--train", str(train)]
        self.common = ["--json", "--quiet", "--threads", "1"]

    def run(self, *command):
        done = subprocess.run([self.program, *command, *self.common], capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(command)} failed: {done.stderr}")
        return json.loads(done.stdout)

    def run_once(self, file, *command):
        """What a command prints, kept in a file."""
        if not file.exists():
            file.write_text(json.dumps(self.run(*command)), encoding="utf-8")
        return json.loads(file.read_text(encoding="utf-8"))

    def sweep(self, name, model, task, policy, *options):
        """What a sweep prints, and the places that each of its points keeps."""
        folder = self.out / name
        found = self.run("sweep", "--model", str(MODEL_FOLDER / model), "--task", task, "--policy", policy, "--out",
                         str(folder), *options)
        return found, [None if "failed" in point else kept_places(folder / f"point-{n:04d}.safetensors")
                       for n, point in enumerate(found["points"])]

    def shares(self, name, model, task, policy, seeds):
        shares = ",".join(f"{share}max" for share in SHARES)
        found, places = self.sweep(f"shares-{name}", model, task, policy, "--vary", f"lambda-m={shares}", "--vary",
                                   f"seed={listed(seeds)}", *self.train)
        rows = []
        for k, share in enumerate(SHARES):
            own = slice(k * seeds, (k + 1) * seeds)
            rows.append({"share": share, **figures_of(found["points"][own], places[own])})
        return rows, found["lambda_max"]

    def settings(self, name, model, task, policy, seeds, lambda_m):
        rates = ",".join(f"{RATE[policy] * times:g}" for times in (1 / 3, 1, 3))
        found, places = self.sweep(f"settings-{name}", model, task, policy, "--lambda-m", repr(lambda_m), "--vary",
                                   f"lr={rates}", "--vary", f"start={','.join(STARTS)}", "--vary",
                                   f"seed={listed(seeds)}", *self.train)
        # The order of the points is that of the axes in the program, so a setting is found by what a point says.
        by_setting = {}
        for point, kept in zip(found["points"], places):
            by_setting.setdefault((float(point["lr"]), point["start"]), []).append((point["seed"], point, kept))
        usual = {seed: kept for seed, _, kept in by_setting[(RATE[policy], "identity")]}
        rows = []
        for (rate, start), fits in by_setting.items():
            same = [jaccard(kept, usual[seed]) for seed, _, kept in fits if kept is not None and usual[seed] is not None]
            rows.append({"lr": rate, "start": start, "same_seed": mean_and_half(same),
                         **figures_of([point for _, point, _ in fits], [kept for _, _, kept in fits])})
        return rows

    def halves(self, name, model, task, policy):
        found, _ = self.sweep(f"halves-{name}", model, task, policy, "--lambda-m", f"{SHARE}max", "--bootstrap", str(PAIRS),
                              *self.train)
        often = []
        for site, layers in found["selected"].items():
            for layer, row in enumerate(layers):
                often += [(share, f"{site} {layer}" + (f", {position}" if len(row) > 1 else ""))
                          for position, share in enumerate(row)
                          if share is not None and share >= OFTEN]
        return {"often": sorted(often, key=lambda place: (-place[0], place[1])),
                "mean_kept": found["selection"]["mean_kept"],
                "false_places_at_most": found["selection"]["false_places_at_most"]}

    def usual(self, name, model, task, policy, seeds):
        found, places = self.sweep(f"usual-{name}", model, task, policy, "--vary", f"lambda-m={SHARE}max", "--vary",
                                   f"seed={listed(seeds)}")
        return {"share": SHARE, "seeds": seeds, **figures_of(found["points"], places)}

    def ends(self, name, model, task, policy):
        found, places = self.sweep(f"ends-{name}", model, task, policy, "--vary",
                                   "lambda-m=" + ",".join(f"{share}max" for share in SHARES), "--vary",
                                   f"steps={','.join(map(str, STEPS))}", *self.train)
        rows = []
        for n, (point, kept) in enumerate(zip(found["points"], places)):
            file = self.out / f"ends-{name}" / f"point-{n:04d}.safetensors"
            if kept is None:
                continue
            about = self.run_once(self.out / f"end-{name}-{n:04d}.json", "certify", "--model", str(MODEL_FOLDER / model),
                                  "--intervention", str(file), "--task", task, "--subsets", "0", "--precision", "double",
                                  *self.train)
            rows.append({"share": SHARES[n // len(STEPS)], "steps": point["steps"],
                         "violation": about["stationarity"]["largest"]})
        return rows


def listed(count):
    return ",".join(str(number) for number in range(1, count + 1))


def figures_of(points, places):
    """Of the fits of several seeds."""
    failed = sum(kept is None for kept in places)
    points = [point for point, kept in zip(points, places) if kept is not None]
    places = [kept for kept in places if kept is not None]
    if len(places) < 2:
        return {"failed": failed, "flip": (math.nan, math.nan), "worst_flip": math.nan, "places": math.nan,
                "kl": (math.nan, math.nan), "jaccard": math.nan, "jaccard_half": math.nan, "always": 0}
    flips = [smaller_flip_rate(point) for point in points]
    pairs = [jaccard(a, b) for a, b in itertools.combinations(places, 2)]
    # One value a seed, its mean over the others: pairs of seeds are not independent of each other.
    by_seed = [statistics.fmean(jaccard(a, b) for j, b in enumerate(places) if j != i) for i, a in enumerate(places)]
    return {"failed": failed, "flip": mean_and_half(flips), "worst_flip": min(flips), "places": statistics.median(len(p) for p in places),
            "kl": mean_and_half([point["test"]["kl_masked"] for point in points]),
            "jaccard": statistics.fmean(pairs), "jaccard_half": mean_and_half(by_seed)[1],
            "always": len(set.intersection(*places))}


def table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(str(cell) for cell in line) + " |\n" for line in lines)


def pair(found, digits=2):
    mean, half = found
    return f"{mean:.{digits}f} ± {half:.{digits}f}"


FIGURES = ["smaller flip rate", "worst seed", "KL, answers left out", "places (median)", "kept by every seed", "Jaccard"]


def cells(r):
    return [pair(r["flip"]), f"{r['worst_flip']:.2f}", pair(r["kl"], 3), f"{r['places']:g}", r["always"],
            pair((r["jaccard"], r["jaccard_half"])) + (f" ({r['failed']} failed)" if r["failed"] else "")]


def text_of(found):
    """The parts of a model, task and policy."""
    text = table(["share of λ_max", *FIGURES], [[f"{r['share']:g}", *cells(r)] for r in found["shares"]])
    usual = found["usual"]
    text += f"\nλ_max is {found['lambda_max']:.3g} on the first draw. With 64 train prompts, {usual['seeds']} seeds:\n\n"
    text += table(["share of λ_max", *FIGURES], [[f"{usual['share']:g}", *cells(usual)]])
    text += f"\nAt {SHARE:g} of λ_max:\n\n"
    text += table(["learning rate", "start", *FIGURES, "Jaccard with the usual rate and start"],
                  [[f"{r['lr']:g}", r["start"], *cells(r), pair(r["same_seed"])] for r in found["settings"]])
    halves = found["halves"]
    text += (f"\nOf {2 * PAIRS} halves of the train prompts, the mean one keeps {halves['mean_kept']:.1f} places. In at least "
             f"{OFTEN:.0%} of them, {len(halves['often'])}, of which at most {halves['false_places_at_most']:.2f} by chance: "
             + ("; ".join(f"{place} ({share:.0%})" for share, place in halves["often"][:12]) or "none")
             + ("; …" if len(halves["often"]) > 12 else "") + ".\n\nLargest violation of stationarity, in units of λ:\n\n")
    by_share = {}
    for r in found["ends"]:
        by_share.setdefault(r["share"], []).append(f"{r['violation']:.2g}")
    return text + table(["share of λ_max", *(f"{n} steps" for n in STEPS)],
                        [[f"{share:g}", *row] for share, row in by_share.items()])


def default_of(found, policy):
    """The table that the default share of a policy is read from: each share over all models and tasks."""
    rows = []
    for k, share in enumerate(SHARES):
        own = [one["shares"][k] for one in found.values() if one["policy"] == policy]
        rows.append([f"{share:g}", f"{min(r['flip'][0] for r in own):.2f}", f"{min(r['worst_flip'] for r in own):.2f}",
                     f"{statistics.fmean(r['jaccard'] for r in own):.2f}", f"{min(r['jaccard'] for r in own):.2f}",
                     ", ".join(f"{r['places']:g}" for r in own)])
    return table(["share of λ_max", "smallest mean flip rate", "worst seed", "mean Jaccard", "smallest Jaccard",
                  "places (medians)"], rows)


def text_of_all(found, train, missing):
    text = f"""# How stable fits are

Made by `python3 benchmarks/studies/stability.py build/release/trimtab OUT`. A share s of λ_max means λ_M = s λ_max; from λ_max on
nothing is learned. Fits have {train} train prompts unless a table says otherwise. The smaller flip rate is that of the two
strengths, on 64 test prompts. A seed draws new train and test prompts; intervals are over seeds, the mean ± 1.96 standard errors.
Jaccard is the index of the places that two seeds keep, over all pairs of seeds. What dyn-scalar keeps is a layer of a site, since
all positions share its parameters.

"""
    if missing:
        text += f"Not run yet: {'; '.join(', '.join(part) for part in missing)}.\n\n"
    for policy in dict.fromkeys(one["policy"] for one in found.values()):
        text += f"## The weight of minimality, {policy}, over models and tasks\n\n{default_of(found, policy)}\n"
    for one in found.values():
        text += f"## {one['policy']}, {one['model']}, {one['task']}, {one['seeds']} seeds\n\n{text_of(one)}\n"
    return text


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("program")
    arguments.add_argument("out", type=pathlib.Path)
    arguments.add_argument("--seeds", type=int, default=20, help="of activ-scalar; other policies have at most 5")
    arguments.add_argument("--train", type=int, default=24, help="train prompts of a fit")
    arguments.add_argument("--jobs", type=int, default=os.cpu_count(), help="fits side by side")
    arguments.add_argument("--policies", default=",".join(POLICIES), help="comma-separated, of " + ", ".join(POLICIES))
    asked = arguments.parse_args()
    if asked.seeds < 3:
        arguments.error("--seeds is at least 3: two seeds have one Jaccard index, and no interval")
    asked.out.mkdir(parents=True, exist_ok=True)
    study = Study(asked.program, asked.out, asked.train)
    start = time.monotonic()

    def one_of(policy, model, task):
        seeds = asked.seeds if policy == "activ-scalar" else min(asked.seeds, 5)
        name = f"{policy}-{model}-{task}"
        one = {"policy": policy, "model": model, "task": task, "seeds": seeds}
        one["shares"], one["lambda_max"] = study.shares(name, model, task, policy, seeds)
        one["settings"] = study.settings(name, model, task, policy, seeds, SHARE * one["lambda_max"])
        one["halves"] = study.halves(name, model, task, policy)
        one["usual"] = study.usual(name, model, task, policy, min(asked.seeds, 5))
        one["ends"] = study.ends(name, model, task, policy)
        print(f"{name}: done after {time.monotonic() - start:.0f} s", flush=True)
        return one

    asked_for = list(itertools.product(asked.policies.split(","), MODELS, TASKS))
    done = {}
    with concurrent.futures.ThreadPoolExecutor(asked.jobs) as jobs:
        parts = {jobs.submit(one_of, *part): part for part in asked_for}
        for finished in concurrent.futures.as_completed(parts):  # written each time: a study of hours may be ended
            done[parts[finished]] = finished.result()
            found = {"-".join(part): done[part] for part in asked_for if part in done}
            (asked.out / "stability.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
            (asked.out / "stability.md").write_text(
                text_of_all(found, asked.train, [part for part in asked_for if part not in done]), encoding="utf-8")


if __name__ == "__main__":
    main()
