#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Which function of an activation steers best, and which generalises to prompts of other lengths and templates.

    python3 benchmarks/studies/functions.py build/release/trimtab OUT [--jobs N]

fits the embedded models and writes OUT/functions.md and OUT/functions.json. Every command's answer is kept in OUT, so the
study goes on where it was ended. It needs nothing but Python. As many fits run side by side as there are processors, one
thread each.

Prompts are of several lengths and templates. A fit sees some of both, and is tested on other prompts of the same lengths
and templates (`same`), on other templates (`templates`), and on other lengths of the same templates (`lengths`). Other
templates of ccc are longer too. Reviews are tested on held-out clues and templates, see examples/models/reviews.py.

The rate is that of prompts that flip at both strengths, with Wilson's interval. KL is that of the masked vocabulary on
`same`. Seconds are those of processor time that the fit took, its figures included.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODELS = ROOT / "examples" / "models"
REVIEWS = ROOT / "examples" / "reviews"

EVEN, ODD = (",".join(str(n) for n in range(first, 21, 2)) for first in (0, 1))
DATA = {  # the options of `trimtab task` for train, same and lengths, and those for templates
    "ioi": (["--templates", EVEN, "--lengths", "14,15,17"], ["--templates", ODD, "--lengths", "14,15,17"]),
    "ccc": (["--templates", "0,1,2", "--lengths", "12,18,22"], ["--templates", "3,4", "--lengths", "25,28"]),
}
TRAIN, MORE_TRAIN, TEST = 64, 128, 200

FUNCTIONS = {  # the options of `trimtab fit`
    "activ-scalar, from_end": ["--policy", "activ-scalar", "--positions", "from_end"],
    "activ-scalar, role": ["--policy", "activ-scalar", "--positions", "role"],
    "activ-scalar, shared": ["--policy", "activ-scalar", "--positions", "shared"],
    "steer-vec, from_end": ["--policy", "steer-vec", "--positions", "from_end"],
    "steer-vec, shared": ["--policy", "steer-vec", "--positions", "shared"],
    "steer-vec, shared, lambda-n 10": ["--policy", "steer-vec", "--positions", "shared", "--lambda-n", "10"],
    "affine, from_end": ["--policy", "affine", "--positions", "from_end"],
    "channel-scale, shared": ["--policy", "channel-scale", "--positions", "shared"],
    "dyn-scalar linear": ["--policy", "dyn-scalar"],
    "dyn-scalar tanh": ["--policy", "dyn-scalar", "--gate", "tanh"],
    "dyn-scalar rms": ["--policy", "dyn-scalar", "--gate", "rms"],
    "dyn-scalar tanh-rms": ["--policy", "dyn-scalar", "--gate", "tanh-rms"],
    "dyn-scalar mlp": ["--policy", "dyn-scalar", "--gate", "mlp"],
    "dyn-scalar cosine": ["--policy", "dyn-scalar", "--gate", "cosine"],
    "project-out": ["--policy", "project-out"],
    "low-rank 4": ["--policy", "low-rank"],
    "conditional steer-vec": ["--policy", "conditional"],
}
MORE = f"{MORE_TRAIN} train prompts"
VARIATIONS = {  # of dyn-scalar linear
    "role": ["--positions", "role"],
    MORE: [],
    "sites resid_post": ["--sites", "resid_post"],
    "sites attn_out,resid_post": ["--sites", "attn_out,resid_post"],
    "lr 0.003": ["--lr", "0.003"],
    "lr 0.01": ["--lr", "0.01"],
    "lr 0.01, cosine": ["--lr", "0.01", "--cosine"],
    "400 steps": ["--steps", "400"],
    "lambda-m 0.0025max": ["--lambda-m", "0.0025max"],
    "lambda-m 0.04max": ["--lambda-m", "0.04max"],
    "lambda-f 0.25": ["--lambda-f", "0.25"],
}


class Study:
    def __init__(self, program, out):
        self.program, self.out = program, out

    def run_once(self, name, *command):
        """What a command prints, and the seconds it took, kept in a file."""
        file = self.out / f"{name}.json"
        if not file.exists():
            with tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as told:
                running = subprocess.Popen([self.program, *command, "--json", "--quiet", "--threads", "1"], stdout=printed,
                                           stderr=told)
                _, status, used = os.wait4(running.pid, 0)
                running.returncode = os.waitstatus_to_exitcode(status)
                printed.seek(0), told.seek(0)
                if status != 0:
                    raise SystemExit(f"{' '.join(command)} failed: {told.read().decode()}")
                kept = {"seconds": used.ru_utime + used.ru_stime, "printed": json.load(printed)}
            file.with_suffix(".part").write_text(json.dumps(kept), encoding="utf-8")
            file.with_suffix(".part").replace(file)
        return json.loads(file.read_text(encoding="utf-8"))

    def data_of(self, model, task):
        """Files of prompts: train, more_train, and a test set by name."""
        if task == "reviews":
            return {"train": REVIEWS / "train.jsonl", "tests": {"held out": REVIEWS / "test.jsonl"}}
        usual, others = DATA[task]
        folder = self.out / f"{model}-{task}"
        written = {}
        for name, options, train in (("usual", usual, TRAIN), ("more", usual, MORE_TRAIN), ("others", others, TRAIN)):
            written[name] = folder / name
            if not (folder / name).exists():
                subprocess.run([self.program, "task", task, "--model", str(MODELS / model), *options, "--train", str(train),
                                "--test", str(TEST), "--other-lengths", str(TEST if name == "usual" else 0), "--out",
                                str(folder / name)], check=True, capture_output=True)
        return {"train": written["usual"] / "train.jsonl", "more_train": written["more"] / "train.jsonl",
                "tests": {"same": written["usual"] / "test.jsonl", "templates": written["others"] / "test.jsonl",
                          "lengths": written["usual"] / "other-lengths.jsonl"}}

    def fit(self, model, task, data, name, options):
        """One fit, and what it does on every test set."""
        train = data["more_train"] if name == MORE else data["train"]
        (_, first), *others = data["tests"].items()
        stem = f"{model}-{task}-{name}".replace(" ", "_").replace(",", "")
        file = self.out / f"{stem}.safetensors"
        fitted = self.run_once(stem, "fit", "--model", str(MODELS / model), "--data", str(train), "--test", str(first),
                               "--out", str(file), *options)
        figures = {next(iter(data["tests"])): fitted["printed"]["test"]}
        for test, path in others:
            evaluated = self.run_once(f"{stem}-{test}", "eval", "--model", str(MODELS / model), "--intervention", str(file),
                                      "--data", str(path))
            figures[test] = next(iter(figures_of(evaluated["printed"])))
        printed = fitted["printed"]
        return {"model": model, "task": task, "function": name, "parameters": printed["parameters"],
                "nonzero": printed["nonzero_parameters"], "steps": printed["steps"], "seconds": fitted["seconds"],
                "tests": {test: {"rate": one["flip_rate"]["both"], "interval": one["flip_rate_interval"]["both"],
                                 "kl": one["kl_masked"]} for test, one in figures.items()}}


def figures_of(printed):
    """The sets of prompts in what `eval` prints."""
    return (one for name, one in printed.items() if name != "untouched" and isinstance(one, dict) and "flip_rate" in one)


def table(header, rows):
    return "".join("| " + " | ".join(line) + " |\n" for line in (header, ["---"] * len(header), *rows))


def cells(one):
    rates = [f"{t['rate']:.2f} ({t['interval'][0]:.2f} to {t['interval'][1]:.2f})" for t in one["tests"].values()]
    kl = next(iter(one["tests"].values()))["kl"]
    return [one["function"], *rates, f"{kl:.3f}", f"{one['nonzero']} of {one['parameters']}", str(one["steps"]),
            f"{one['seconds']:.0f}"]


def text_of(found, seconds, jobs):
    text = ("# Which function steers, and which generalises\n\nWritten by `benchmarks/studies/functions.py`, whose head "
            f"describes the figures. The fits took {seconds / 60:.0f} minutes of processor time, {jobs} side by side.\n")
    for (model, task), fits in found.items():
        tests = list(fits[0]["tests"])
        header = ["function", *(f"both flips, {test}" for test in tests), "KL", "numbers kept", "steps", "seconds"]
        text += f"\n## {model}, {task}\n\n" + table(header, [cells(one) for one in fits if one["function"] in FUNCTIONS])
        varied = [one for one in fits if one["function"] not in FUNCTIONS]
        if varied:
            text += "\nVariations of `dyn-scalar linear`:\n\n" + table(header, [cells(one) for one in varied])
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    study = Study(asked.program, asked.out)

    subjects = [(model, task) for model in ("tiny-gpt2", "tiny-pythia") for task in ("ioi", "ccc")]
    subjects.append(("tiny-reviews", "reviews"))
    fits = []
    for model, task in subjects:
        data = study.data_of(model, task)
        for name, options in FUNCTIONS.items():
            if not ("role" in name and task == "reviews"):  # these prompts have none
                fits.append((model, task, data, name, options))
        if task != "reviews":
            fits += [(model, task, data, name, ["--policy", "dyn-scalar", *options]) for name, options in VARIATIONS.items()]

    with concurrent.futures.ThreadPoolExecutor(asked.jobs) as pool:
        done = list(pool.map(lambda one: study.fit(*one), fits))
    found = {}
    for one in done:
        found.setdefault((one["model"], one["task"]), []).append(one)
    (asked.out / "functions.json").write_text(json.dumps(done, indent=1), encoding="utf-8")
    (asked.out / "functions.md").write_text(text_of(found, sum(one["seconds"] for one in done), asked.jobs), encoding="utf-8")


if __name__ == "__main__":
    main()
