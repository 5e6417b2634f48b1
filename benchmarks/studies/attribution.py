#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Which method ranks the places of a model best, and at what cost: writes benchmarks/studies/attribution.md.

    python3 benchmarks/studies/attribution.py build/release/trimtab

For both embedded models and both tasks, places of attn_out and mlp_out are ranked on the train prompts by each method
and by a sparse fit of a scalar each; faithfulness curves are measured on the test prompts. Takes a few minutes.
"""

import argparse
import itertools
import json
import pathlib
import re
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MODELS, TASKS = ("tiny-gpt2", "tiny-pythia"), ("ioi", "ccc")
METHODS = ("gradient", "attribution-patching", "integrated", "patching", "ablation", "direct")
# Runs of the model for a prompt, forward + backward; of exact methods one more for each place.
PASSES = {"gradient": (1, 1), "attribution-patching": (2, 1), "integrated": (10, 10), "patching": (2, 0), "ablation": (1, 0),
          "direct": (1, 0)}
SITES = ["--sites", "attn_out,mlp_out"]
# Prompts of ioi: the first ten templates have 14 tokens and one shape, four have 15 tokens and other shapes.
MIXED = (("14 tokens, one shape", [], "absolute"), ("15 tokens, four shapes", ["--lengths", "15"], "absolute"),
         ("all lengths", ["--lengths", "all"], "from_end"))
SEEDS = (1, 2, 3)  # of the prompts, where templates are mixed


def run(program, *arguments):
    """The JSON of a command, and what it noted."""
    done = subprocess.run([program, *arguments, "--json", "--verbose"], check=True, capture_output=True, text=True)
    return json.loads(done.stdout), done.stderr


def number(x, digits=2):
    return f"{x:.{digits}f}".replace("-", "−")


def interval(found, key):
    low, high = found[key + "_interval"]
    return f"{number(found[key])} [{number(low)}, {number(high)}]"


def table(header, rows):
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "".join("| " + " | ".join(str(cell) for cell in line) + " |\n" for line in lines)


def places_of(scores):
    """(site, layer, position) -> score, of those that have one."""
    return {(site, layer, position): x for site, layers in scores.items() for layer, row in enumerate(layers)
            for position, x in enumerate(row) if x is not None}


def rank_of(place, scores):
    return 1 + sum(abs(x) > abs(scores[place]) for x in scores.values())


def study(program, model, task, folder):
    """The section of one model and task."""
    model_path = str(ROOT / "examples/models" / model)
    subprocess.run([program, "task", task, "--model", model_path, "--out", folder, "--train", "64", "--test", "64"],
                   check=True, capture_output=True)
    train, test = (str(pathlib.Path(folder) / name) for name in ("train.jsonl", "test.jsonl"))
    fit_file = str(pathlib.Path(folder) / "fit.safetensors")
    fit, _ = run(program, "fit", "--model", model_path, "--data", train, "--test", test, *SITES, "--steps", "200",
                 "--lambda-m", "0.03", "--out", fit_file)
    found, noted = run(program, "explain", "--model", model_path, "--data", train, "--holdout", test, *SITES,
                       *(word for method in METHODS for word in ("--method", method)), "--against", fit_file)
    seconds = dict(re.findall(r"(\S+) scored \d+ places? on .* in ([\d.]+ \w+)", noted))
    by_name = {one["method"]: one for one in found["methods"]}
    places = len(places_of(by_name["patching"]["scores"]))

    rows = []
    for method in METHODS:
        one = by_name[method]
        forward, backward = PASSES[method]
        forward += places if method in ("patching", "ablation") else 0
        rows.append([method, interval(one["curve"], "cpr"), interval(one["curve"], "cmd"),
                     interval(one["agreement"][0], "spearman"), f"{forward} + {backward}", seconds.get(method, "")])
    best = min(METHODS, key=lambda method: by_name[method]["curve"]["cmd"])
    rows_of_best = []
    for pair in found["differences"]:
        if best in pair["between"]:
            first, second = pair["between"]
            rows_of_best.append([f"{first} less {second}", interval(pair, "cpr"), interval(pair, "cmd")])

    kept = fit["test"]["flip_rate"]
    text = f"## {model}, {task}\n\n"
    text += table(["method", "CPR", "CMD", "Spearman's ρ with the fit", "passes", "time"], rows)
    text += "\nDifferences from the method with the smallest CMD:\n\n" + table(["", "CPR", "CMD"], rows_of_best)
    text += (f"\nThe fit keeps {fit['nonzero_sites']} of {places} places and flips {kept['+1']:.2f} of the test prompts "
             f"at +1, {kept['-1']:.2f} at −1.\n")
    return text + where_it_sits(program, by_name, fit_file)


def scalars(program, fit_file):
    """((site, layer, position), α) of a fit, the largest first."""
    csv = fit_file + ".csv"
    subprocess.run([program, "export", "--intervention", fit_file, "--format", "csv", "--out", csv], check=True,
                   capture_output=True)
    lines = pathlib.Path(csv).read_text().splitlines()
    names = lines[0].split(",")
    records = [dict(zip(names, line.split(","))) for line in lines[1:]]
    found = [((one["site"], int(one["layer"]), int(one["position"])), float(one["value"])) for one in records]
    return sorted(found, key=lambda scalar: -abs(scalar[1]))


def where_it_sits(program, by_name, fit_file):
    """What exact methods say of the place that the fit scales most."""
    (place, alpha), *_ = scalars(program, fit_file)
    text = f"Its largest scalar is at {place[0]}, layer {place[1]}, position {place[2]}, α = {number(alpha)}: "
    said = []
    for method in ("patching", "ablation", "attribution-patching", "gradient"):
        scores = places_of(by_name[method]["scores"])
        unit = " of the gap" if method == "patching" else ""
        said.append(f"{method} gives it {number(scores[place], 3)}{unit} (rank {rank_of(place, scores)} of {len(scores)})")
    share = abs(places_of(by_name["patching"]["scores"])[place])
    verdict = ("What tells the two prompts of a pair apart passes through it." if share >= 0.01 else
               "Patching moves less than 1 % of the gap: what tells the two prompts of a pair apart does not pass through "
               "it, though scaling it steers the answer.")
    return text + "; ".join(said) + ". " + verdict + "\n\n"


def mixed(program, model):
    """Whether a fit of ioi stays where it was when the templates are mixed, and with other prompts."""
    model_path, rows = str(ROOT / "examples/models" / model), []
    for (prompts, shape, positions), seed in itertools.product(MIXED, SEEDS):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([program, "task", "ioi", "--model", model_path, "--out", folder, "--train", "64", "--test", "64",
                            "--seed", str(seed), *shape], check=True, capture_output=True)
            train, test, fit_file = (str(pathlib.Path(folder) / name)
                                     for name in ("train.jsonl", "test.jsonl", "fit.safetensors"))
            at = [*SITES, "--positions", positions]
            fit, _ = run(program, "fit", "--model", model_path, "--data", train, "--test", test, *at, "--steps", "200",
                         "--lambda-m", "0.03", "--out", fit_file)
            found, _ = run(program, "explain", "--model", model_path, "--data", train, *at, "--method", "patching",
                           "--method", "ablation")
            patching, ablation = (places_of(one["scores"]) for one in found["methods"])
            named = lambda place: f"{place[0]} {place[1]}, {place[2]}"
            kept = fit["test"]["flip_rate"]
            rows.append([f"{prompts}, {positions}", str(seed), f"{kept['+1']:.2f}, {kept['-1']:.2f}",
                         "; ".join(f"{named(place)}: {number(alpha)} ({number(patching[place])}, {number(ablation[place])})"
                                   for place, alpha in scalars(program, fit_file)[:2]),
                         "; ".join(f"{named(place)}: {number(patching[place])}"
                                   for place in sorted(patching, key=lambda place: -abs(patching[place]))[:2])])
    return f"### {model}\n\n" + table(
        ["prompts, positions", "seed", "flips at +1, −1", "largest scalars: α (patching, ablation)", "first by patching"], rows) + "\n"


MIXED_TEXT = """## Templates of several shapes, ioi

Places are "site layer, position": the token's index, from the end for `from_end`. Patching is the share of the gap, ablation what
D loses. What a scalar's index means depends on the shape of the templates; the place that patching ranks first is compared over
all of them. A seed draws the prompts.

"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program", help="the program trimtab")
    parser.add_argument("--out", default=str(ROOT / "benchmarks/studies/attribution.md"), help="file to write")
    arguments = parser.parse_args()
    program = str(pathlib.Path(arguments.program).resolve())
    text = ("# Which method ranks places best\n\nMade by `python3 benchmarks/studies/attribution.py build/release/trimtab`. "
            "Places of `attn_out` and `mlp_out` are ranked on 64 train prompts; CPR (the larger the better) and CMD (the "
            "smaller the better) are measured on 64 test prompts. In brackets 95 % bootstrap intervals over prompts, drawn "
            "for both methods of a difference at once. Passes are runs of the model, forward + backward, for each prompt; an "
            "exact run starts at its own layer and token. Times are of one run on one machine, and only their ratios say "
            "something.\n\n")
    for model in MODELS:
        for task in TASKS:
            with tempfile.TemporaryDirectory() as folder:
                text += study(program, model, task, folder)
            print(f"{model}, {task}", flush=True)
    text += MIXED_TEXT + "".join(mixed(program, model) for model in MODELS)
    pathlib.Path(arguments.out).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
