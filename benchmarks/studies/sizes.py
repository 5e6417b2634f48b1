#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How well models of several sizes are steered, with what side effects, and at how many places of which depth.

    python3 benchmarks/studies/sizes.py build/release/trimtab OUT [--models NAME,...] [--jobs N]

trains GPT-2s of several sizes by examples/models/pretrain.py, fits them on both tasks, and writes OUT/sizes.md and
OUT/sizes.json. Every model and every finished fit is kept in OUT, so the study goes on where it was ended. Training needs
PyTorch in the Python that runs the study, the rest nothing. As many trainings or fits run side by side as there are
processors, one thread each. The page in the repository has a last section that is written by hand.

The text, the learning rate, its schedule and the number of steps are those of the embedded tiny-gpt2, which is one of the
models; so all have seen the same text in the same order. Training seeds other than 1 see another text.

A fit has the program's defaults, but 200 test prompts. A seed draws new train and test prompts. The depth of layer k of n
is (k + 1/2) / n, whatever the site. The depth of a fit is the mean over the places that are not zero, weighted with the sum
of the absolute parameters there. With equal weights everywhere it would be 0.5.
"""

import argparse
import collections
import concurrent.futures
import datetime
import importlib.metadata
import json
import math
import os
import pathlib
import re
import struct
import subprocess
import sys
import textwrap
import typing
from statistics import fmean as average

import functions
import stability

MODEL_FOLDER = pathlib.Path(__file__).resolve().parents[2] / "examples" / "models"


class Model(typing.NamedTuple):
    layers: int
    width: int
    heads: int
    steps: int
    seed: int

    @property
    def name(self):
        return f"{self.layers}x{self.width}-{self.steps}-seed{self.seed}"


MODELS = [Model(2, 64, 2, 2000, 1), Model(2, 64, 2, 2000, 2), Model(3, 128, 4, 2000, 1), Model(3, 128, 4, 2000, 2),
          Model(3, 192, 6, 2000, 1), Model(4, 256, 8, 2000, 1), Model(6, 384, 12, 2000, 1)]
EMBEDDED = Model(3, 128, 4, 2000, 1)  # examples/models/tiny-gpt2
TASKS = ("ioi", "ccc")
POLICIES = ("activ-scalar", "steer-vec")
SEEDS = (1, 2, 3)
TEST = 200
ROWS, CONTEXT = 64, 64  # of a step of pretrain.py
KNOWN = {"indirect objects": "indirect objects, the first ten templates", "capitals": "The capital of [SUBJECT] is"}


class Study(functions.Study):
    def folder(self, model):
        return MODEL_FOLDER / "tiny-gpt2" if model == EMBEDDED else self.out / model.name

    def train(self, model):
        """What training printed, and the seconds of processor time that it took, kept in a file."""
        if model == EMBEDDED:
            about = (MODEL_FOLDER / "README.md").read_text(encoding="utf-8")
            return {"printed": about.split("\n### tiny-gpt2\n")[1].split("\n### ")[0]}
        kept = self.out / f"{model.name}-trained.json"
        if not kept.exists():
            log = self.out / f"{model.name}.log"
            with open(log, "w", encoding="utf-8") as printed:
                running = subprocess.Popen(
                    [sys.executable, str(MODEL_FOLDER / "pretrain.py"), "--model", "gpt2", "--out", str(self.folder(model)),
                     *(word for key, value in model._asdict().items() for word in (f"--{key}", str(value)))],
                    stdout=printed, stderr=subprocess.STDOUT)
                _, status, used = os.wait4(running.pid, 0)
                running.returncode = os.waitstatus_to_exitcode(status)
            if running.returncode != 0:
                raise SystemExit(f"training {model.name} failed: see {log}")
            kept.write_text(json.dumps({"seconds": used.ru_utime + used.ru_stime, "torch": importlib.metadata.version("torch"),
                                        "printed": log.read_text(encoding="utf-8")}),
                            encoding="utf-8")
        return json.loads(kept.read_text(encoding="utf-8"))

    def fit(self, model, task, policy, seed):
        name = f"{model.name}-{task}-{policy}-{seed}"
        file = self.out / f"{name}.safetensors"
        fitted = self.run_once(name, "fit", "--model", str(self.folder(model)), "--task", task, "--policy", policy, "--seed",
                               str(seed), "--test", str(TEST), "--out", str(file))
        printed, weights = fitted["printed"], stability.weights_of_places(file)
        total = sum(weights.values())
        by_site = collections.defaultdict(float)
        depth = 0.0
        for (site, layer, *_), weight in weights.items():
            by_site[site] += weight / total if total else 0.0
            depth += weight / total * (layer + 0.5) / model.layers if total else float("nan")
        return {"seconds": fitted["seconds"], "untouched": printed["untouched"]["test"], "test": printed["test"],
                "warnings": printed["warnings"], "places": len(weights), "kept": sum(w != 0 for w in weights.values()),
                "nonzero": printed["nonzero_parameters"], "parameters": printed["parameters"], "depth": depth,
                "sites": by_site}


def parameters_of(folder):
    with open(folder / "model.safetensors", "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    return sum(math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")


def known_by(trained):
    """How often a model knows best what pretrain.py asks it."""
    rows = {cells[0]: cells for cells in (line.strip("| ").split(" | ") for line in trained["printed"].splitlines())}
    return [rows[label][4] for label in KNOWN.values()]


def with_interval(figures, key):
    """The mean of a rate over fits, and the ends of all their intervals."""
    intervals = [one["flip_rate_interval"][key] for one in figures]
    return (f"{average(one['flip_rate'][key] for one in figures):.2f} "
            f"[{min(low for low, _ in intervals):.2f}, {max(high for _, high in intervals):.2f}]")


def with_range(values, digits=2):
    """The mean of values, and the least and largest."""
    text = [f"{value:.{digits}f}".replace("-", "−") for value in (average(values), min(values), max(values))]
    return f"{text[0]} ({text[1]} to {text[2]})"


def untouched_cells(fits):
    bare = [one["untouched"] for one in fits]
    return [with_interval(bare, "+1"), with_range([one["logit_diff"]["0"] for one in bare])]


def fit_cells(fits):
    test = [one["test"] for one in fits]
    kept = [one["kept"] for one in fits]
    return [*(with_interval(test, key) for key in ("+1", "-1", "both")),
            with_range([one["kl_masked"] for one in test], 3), f"{', '.join(map(str, kept))} of {fits[0]['places']}",
            f"{average(kept) / fits[0]['places']:.3f}"]


def place_cells(fits):
    sites = dict.fromkeys(site for one in fits for site in one["sites"])
    shares = {site: average(one["sites"].get(site, 0.0) for one in fits) for site in sites}
    return [with_range([one["depth"] for one in fits]), ", ".join(f"{site} {share:.0%}" for site, share in shares.items())]


def text_of(parameters, trained, fits, jobs):
    processor = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text()).group(1)
    seconds = sum(one["seconds"] for group in fits.values() for one in group)
    versions = sorted({one["torch"] for one in trained.values() if "torch" in one})
    by = f", in PyTorch {', '.join(version.split('+')[0] for version in versions)}" if versions else ""

    def first(model):
        return [f"{model.layers} × {model.width}", str(model.seed), f"{parameters[model]:,}"]

    who = ["layers × width", "training seed", "parameters"]
    rows = [[*first(model), str(model.heads), f"{model.steps:,}", f"{model.steps * ROWS * CONTEXT / 1e6:.1f}",
             *known_by(trained[model]), f"{trained[model]['seconds'] / 60:.0f}" if model != EMBEDDED else "-"]
            for model in parameters]
    left_out = [f"{model.layers} × {model.width}, seed {model.seed}" for model in MODELS if model not in parameters]
    not_run = f" Not run yet: {'; '.join(left_out)}." if left_out else ""
    made = f"""Made by `python3 benchmarks/studies/sizes.py build/release/trimtab OUT` on {processor}, {datetime.date.today()};
the head of the script describes the figures. The models are GPT-2s that `examples/models/pretrain.py --model gpt2` trained
with the sizes and seeds of the first table{by}. One of them is `examples/models/tiny-gpt2`; the others are not part of the
repository. The fits have the program's defaults, {len(SEEDS)} seeds of the prompts and {TEST} test prompts each. They took
{seconds / 60:.0f} minutes of processor time, {jobs} side by side.{not_run}"""
    text = f"""# How steering changes with the size of a model

{textwrap.fill(made, 120, break_on_hyphens=False, break_long_words=False)}

In square brackets are the smallest and the largest end of the seeds' 95 % intervals, which are Wilson's; in round
brackets the smallest and the largest of the seeds.

## The models

*Known* is how often the answer is the most probable of all tokens, in prompts that `pretrain.py` asks at its end:
indirect objects of pairs of names that training left out, and capitals without a context. Minutes are those of
processor time.

"""
    text += functions.table([*who, "heads", "steps", "million tokens", *(f"known, {name}" for name in KNOWN), "minutes"], rows)
    for task in TASKS:
        text += f"\n## {task}: the untouched models on the test prompts\n\n" + functions.table(
            [*who, "correct above wrong", "logit difference"],
            [[*first(model), *untouched_cells(fits[model, task, POLICIES[0]])] for model in parameters])
        for policy in POLICIES:
            here = {model: fits[model, task, policy] for model in parameters}
            text += f"\n## {task}, {policy}\n\n" + functions.table(
                [*who, "flips at +1", "flips at −1", "both", "KL without the answers", "places kept, by seed", "share kept"],
                [[*first(model), *fit_cells(here[model])] for model in parameters])
            text += "\n" + functions.table(
                [*who, "depth", "share of the absolute parameters", "seconds a fit"],
                [[*first(model), *place_cells(here[model]), f"{average(one['seconds'] for one in here[model]):.0f}"]
                 for model in parameters])
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--models", default=",".join(model.name for model in MODELS), help="comma-separated; default all")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="trainings or fits side by side")
    asked = parser.parse_args()
    by_name = {model.name: model for model in MODELS}
    unknown = [name for name in asked.models.split(",") if name not in by_name]
    if unknown:
        parser.error(f"there is no model {unknown[0]}; there are {', '.join(by_name)}")
    models = [by_name[name] for name in asked.models.split(",")]
    asked.out.mkdir(parents=True, exist_ok=True)
    study = Study(asked.program, asked.out)

    def largest_first(model):
        return -model.layers * model.width**2 * model.steps

    with concurrent.futures.ThreadPoolExecutor(asked.jobs) as pool:
        in_order = sorted(models, key=largest_first)
        trained = dict(zip(in_order, pool.map(study.train, in_order)))
        parameters = {model: parameters_of(study.folder(model)) for model in models}
        wanted = [(model, task, policy, seed) for model in sorted(models) for task in TASKS for policy in POLICIES
                  for seed in SEEDS]
        fits = {}
        for (*group, _), one in zip(wanted, pool.map(lambda fit: study.fit(*fit), wanted)):
            fits.setdefault(tuple(group), []).append(one)
    (asked.out / "sizes.json").write_text(json.dumps(
        [{"model": model.name, "task": task, "policy": policy, "fits": group} for (model, task, policy), group in fits.items()],
        indent=1), encoding="utf-8")
    (asked.out / "sizes.md").write_text(text_of(parameters, trained, fits, asked.jobs), encoding="utf-8")


if __name__ == "__main__":
    main()
