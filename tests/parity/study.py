#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Recomputes every verdict of a study, and the figures of its tables, from the files of its parts.

    study.py FOLDER

Reads the CSV files that the commands wrote, the intervention files and the scores of each prompt, with NumPy and its
own formulas; shares no code with trimtab. Figures must agree to 1e-6.
"""

import csv
import json
import math
import os
import struct
import sys

import numpy

TOLERANCE = 1e-6
problems = []
compared = 0


def compare(what, found, expected):
    """Two numbers; None and NaN are the absence of one."""
    global compared
    compared += 1
    absent = [x is None or x == "" or math.isnan(float(x)) for x in (found, expected)]
    if any(absent):
        if not all(absent):
            problems.append(f"{what}: {found} and not {expected}")
    elif abs(float(found) - float(expected)) > TOLERANCE * max(1.0, abs(float(expected))):
        problems.append(f"{what}: {found} and not {expected}")


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def read_safetensors(path):
    """Tensors as {name: array}, and the metadata."""
    with open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(size))
        data = file.read()
    metadata = header.pop("__metadata__", {})
    types = {"F32": "<f4", "F64": "<f8"}
    return {
        name: numpy.frombuffer(data[slice(*entry["data_offsets"])], types[entry["dtype"]]).reshape(entry["shape"])
        for name, entry in header.items()
    }, metadata


# --- statistics


def student_quantile(freedom):
    """The 97.5 % quantile, by integrating Student's density over θ = atan(t / √freedom) and bisecting."""
    nodes, weights = numpy.polynomial.legendre.leggauss(200)
    scale = 2 * math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(math.pi)

    def within(theta):
        return scale * theta / 2 * float(weights @ numpy.cos((nodes + 1) * theta / 2) ** (freedom - 1))

    low, high = 0.0, math.pi / 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if within(middle) < 0.95 else (low, middle)
    return math.sqrt(freedom) * math.tan(low)


Z = 1.9599639845400545


def wilson(rate, n):
    root = Z * math.sqrt(rate * (1 - rate) / n + Z * Z / (4 * n * n))
    centre, norm = rate + Z * Z / (2 * n), 1 + Z * Z / n
    return max(0.0, (centre - root) / norm), min(1.0, (centre + root) / norm)


def student(values):
    mean = float(numpy.mean(values))
    if len(values) < 2:
        return mean, None, None
    half = student_quantile(len(values) - 1) * float(numpy.std(values, ddof=1)) / math.sqrt(len(values))
    return mean, mean - half, mean + half


def paired(own, other):
    """Bonett and Price's interval."""
    n, gained, lost = len(own), int(numpy.sum(own > other)), int(numpy.sum(own < other))
    a, b = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    half = Z * math.sqrt((a + b - (a - b) ** 2) / (n + 2))
    return (gained - lost) / n, max(-1.0, a - b - half), min(1.0, a - b + half)


def newcombe(p, n, q, m):
    (l1, u1), (l2, u2) = wilson(p, n), wilson(q, m)
    d = p - q
    return d, d - math.sqrt((p - l1) ** 2 + (u2 - q) ** 2), d + math.sqrt((u1 - p) ** 2 + (q - l2) ** 2)


def verdict(low, high, margin):
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return "not decided"
    return "held" if low >= margin else "not held" if high < margin else "not decided"


def trapezoid(x, y):
    return sum((x[i] - x[i - 1]) * (y[i] + y[i - 1]) / 2 for i in range(1, len(x)))


def ranks(numbers):
    """From 1 for the largest; equal numbers share the mean of their ranks."""
    larger = (numbers[:, None] < numbers[None, :]).sum(1)
    equal = (numbers[:, None] == numbers[None, :]).sum(1)
    return larger + (equal + 1) / 2


def spearman(a, b):
    x, y = ranks(a), ranks(b)
    x, y = x - x.mean(), y - y.mean()
    size = math.sqrt(float(x @ x) * float(y @ y))
    return float(x @ y) / size if size > 0 else 0.0


def kendall(a, b):
    """tau-b, from its definition: all pairs."""
    x, y = (numpy.sign(numbers[:, None] - numbers[None, :]) for numbers in (a, b))
    size = math.sqrt(float((x * x).sum()) * float((y * y).sum()))
    return float((x * y).sum()) / size if size > 0 else 0.0


def bootstrap(scores, measure):
    """A measure of the sizes of mean scores [prompts][places], and its 95 % interval over prompts."""

    def sizes(drawn):
        some = scores[drawn]
        there = ~numpy.isnan(some)
        total = numpy.zeros(some.shape[1])
        for one in numpy.where(there, some, 0.0):  # in order, as rounding decides which of two equal places is first
            total = total + one
        return numpy.abs(total) / numpy.maximum(1, there.sum(0))

    random, count = SplitMix64(1), len(scores)
    values = sorted(measure(sizes([random.below(count) for _ in range(count)])) for _ in range(1000))
    low, high = (values[int(math.floor(share * 999 + 0.5))] for share in (0.025, 0.975))
    return measure(sizes(list(range(count)))), low, high


class SplitMix64:
    def __init__(self, seed):
        self.state = seed

    def draw(self):
        mask = (1 << 64) - 1
        self.state = (self.state + 0x9E3779B97F4A7C15) & mask
        x = self.state
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
        return x ^ (x >> 31)

    def below(self, count):
        first = ((1 << 64) - count) % count
        x = self.draw()
        while x < first:
            x = self.draw()
        return x % count


# --- one model and task


class Subject:
    def __init__(self, folder, model, task, hypotheses, settings):
        self.folder, self.name = folder, f"{model} {task}"
        self.stated = {h["name"]: h for h in hypotheses if (h["model"], h["task"]) == (model, task)}
        self.seeds = settings

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def judge(self, name, estimate, low, high, margin, undecided=False):
        stated = self.stated.pop(name, None)
        if stated is None:
            problems.append(f"{self.name}: there is no hypothesis '{name}'")
            return
        for what, found, expected in [
            ("estimate", stated["estimate"], estimate),
            ("low", stated["interval"][0], low),
            ("high", stated["interval"][1], high),
            ("margin", stated["margin"], margin),
        ]:
            compare(f"{self.name}, {name}, {what}", found, expected)
        expected = "not decided" if undecided else verdict(low, high, margin)
        if stated["verdict"] != expected:
            problems.append(f"{self.name}, {name}: {stated['verdict']} and not {expected}")

    def evaluation(self, name):
        """Of each set: which prompts follow both strengths, each strength's flips, and the KL of each."""
        sets = {}
        for row in rows_of(self.path(name + ".csv"))[1:]:
            sets.setdefault(row[0], {}).setdefault(float(row[2]), []).append(row)
        found = {}
        for name_of_set, by_strength in sets.items():
            up = numpy.array([float(r[3]) > 0 for r in by_strength[1.0]])
            down = numpy.array([float(r[3]) < 0 for r in by_strength[-1.0]])
            kl = (
                numpy.array([float(r[7]) for r in by_strength[1.0]])
                + numpy.array([float(r[7]) for r in by_strength[-1.0]])
            ) / 2
            found[name_of_set] = {"both": (up & down).astype(float), "+1": up, "-1": down, "kl": kl}
        return found

    def kept(self, name):
        """The numbers of parameters and of places that are not zero, and of an ActivScalar which places are kept."""
        tensors, metadata = read_safetensors(self.path(name + ".safetensors"))
        vectors = sorted(n for n in tensors if n.endswith(".vector"))
        parallel = "parallel" in json.loads(metadata["model"]).get("residual", "")
        if parallel and len(vectors) == 2:  # added to the same stream: one vector in two
            either = (tensors[vectors[0]] != 0) | (tensors[vectors[1]] != 0)
            return int(numpy.sum(either)), int(numpy.sum(numpy.any(either, -1))), None
        flat = numpy.concatenate([tensors[n].ravel() for n in sorted(tensors)])
        places = sum(int(numpy.sum(numpy.any(tensors[n] != 0, -1))) for n in vectors) if vectors else None
        return int(numpy.sum(flat != 0)), int(numpy.sum(flat != 0)) if places is None else places, flat != 0

    def check_sites(self):
        table = rows_of(self.path("tables", "sites.csv"))
        columns = {name: k for k, name in enumerate(table[0])}
        lines = {(r[0], r[1], r[2], r[3]): r for r in table[1:]}
        for short, sites, title in [
            ("mlp", "mlp_out", "mlp_out"),
            ("both", "attn_out,mlp_out", "attn_out and mlp_out"),
            ("all", "attn_out,mlp_out,resid_post", "all three sites"),
        ]:
            pooled, kept, places = {}, {}, []
            for policy, named in [("activ-scalar", "ActivScalar"), ("steer-vec", "SteerVec")]:
                for seed in range(1, self.seeds + 1):
                    base = f"sites/{short}/{policy}-{seed}"
                    found = self.evaluation(base + "-prompts")
                    count, in_places, which = self.kept(base)
                    kept.setdefault(named, []).append(count)
                    if policy == "activ-scalar":
                        places.append(which)
                    for set_name in ["train", "test"]:
                        one = found[set_name]
                        line = lines[(sites, named, str(seed), set_name)]
                        rate = float(numpy.mean(one["both"]))
                        low, high = wilson(rate, len(one["both"]))
                        for column, expected in [
                            ("prompts", len(one["both"])),
                            ("follow_both", rate),
                            ("low", low),
                            ("high", high),
                            ("flip_rate_+1", numpy.mean(one["+1"])),
                            ("flip_rate_-1", numpy.mean(one["-1"])),
                            ("kl_masked", numpy.mean(one["kl"])),
                            ("kept", count),
                            ("places", in_places),
                        ]:
                            compare(f"{self.name}, sites {line[:4]}, {column}", line[columns[column]], expected)
                        pool = pooled.setdefault((named, set_name), {"both": [], "kl": []})
                        pool["both"].append(one["both"])
                        pool["kl"].append(one["kl"])
            value = {key: {k: numpy.concatenate(v) for k, v in pool.items()} for key, pool in pooled.items()}
            own, other = value[("ActivScalar", "test")], value[("SteerVec", "test")]
            self.judge(f"ActivScalar is as effective as SteerVec, {title}", *paired(own["both"], other["both"]), -0.1)
            self.judge(f"ActivScalar is as faithful as SteerVec, {title}", *student(other["kl"] - own["kl"]), -0.05)
            fewer = numpy.array(kept["SteerVec"], float) - numpy.array(kept["ActivScalar"], float)
            self.judge(f"ActivScalar keeps fewer parameters than SteerVec, {title}", *student(fewer), 1)
            for named in ["ActivScalar", "SteerVec"]:
                test, train = value[(named, "test")]["both"], value[(named, "train")]["both"]
                p, q = float(numpy.mean(test)), float(numpy.mean(train))
                self.judge(
                    f"{named} generalises to test prompts, {title}",
                    *newcombe(p, len(test), q, len(train)),
                    -0.1,
                    undecided=wilson(q, len(train))[0] <= 0.1,
                )
            shared = []
            for a in range(len(places)):
                for b in range(a + 1, len(places)):
                    either = numpy.sum(places[a] | places[b])
                    shared.append(numpy.sum(places[a] & places[b]) / either if either else math.nan)
            estimate = student(shared) if shared else (None, None, None)
            self.judge(f"ActivScalar's places are stable over seeds, {title}", *estimate, 0.5)

    def check_fronts(self):
        """Which fits no other betters in two of flips, KL and places."""
        table = rows_of(self.path("tables", "sites.csv"))
        columns = {name: k for k, name in enumerate(table[0])}
        fits = {}
        for row in table[1:]:
            if row[3] == "test":
                worse = -min(float(row[columns["flip_rate_+1"]]), float(row[columns["flip_rate_-1"]]))
                fits[tuple(row[:3])] = (worse, float(row[columns["kl_masked"]]), float(row[columns["places"]]))
        stated = {}
        for figures, *fit in rows_of(self.path("tables", "fronts.csv"))[1:]:
            stated.setdefault(figures, set()).add(tuple(fit))
        for figures, pair in [("flips-and-kl", (0, 1)), ("flips-and-places", (0, 2)), ("kl-and-places", (1, 2))]:
            two = {fit: numpy.array([of[k] for k in pair]) for fit, of in fits.items()}
            front = {
                fit
                for fit, own in two.items()
                if not any(numpy.all(other <= own) and numpy.any(other < own) for other in two.values())
            }
            compare(f"{self.name}, size of the front {figures}", len(stated[figures]), len(front))
            if stated[figures] != front:
                problems.append(f"{self.name}: the front {figures} is not {sorted(front)}")

    def check_lengths(self):
        if not os.path.exists(self.path("lengths", "dyn-scalar.json")):
            return
        tokens = {}
        for fit, lengths, number, count, follows in rows_of(self.path("tables", "lengths-prompts.csv"))[1:]:
            tokens[(fit, lengths, int(number))] = (int(count), float(follows))
        table = {(r[0], r[1]): r for r in rows_of(self.path("tables", "lengths.csv"))[1:]}
        for short, title in [
            ("dyn-scalar", "DynScalar"),
            ("from-end", "ActivScalar from the end"),
            ("role", "ActivScalar by role"),
        ]:
            found = self.evaluation(f"lengths/{short}-prompts")
            by_length = {}
            for set_name, lengths in [("train", "inside"), ("test", "outside")]:
                for n, follows in enumerate(found[set_name]["both"]):
                    count, stated = tokens[(title, lengths, n)]
                    compare(f"{self.name}, {title}, prompt {n} {lengths}", stated, follows)
                    if (10 <= count <= 20) != (lengths == "inside"):
                        problems.append(f"{self.name}: a prompt of {count} tokens is {lengths}")
                    by_length.setdefault(count, []).append(follows)
            for count, follows in by_length.items():
                line = table[(title, str(count))]
                rate = float(numpy.mean(follows))
                for column, expected in zip(line[3:], [len(follows), rate, *wilson(rate, len(follows))]):
                    compare(f"{self.name}, {title}, {count} tokens", column, expected)
            inside, outside = found["train"]["both"], found["test"]["both"]
            p, q = float(numpy.mean(outside)), float(numpy.mean(inside))
            self.judge(
                f"{title} generalises over lengths",
                *newcombe(p, len(outside), q, len(inside)),
                -0.1,
                undecided=wilson(q, len(inside))[0] <= 0.1,
            )

    def check_directions(self):
        for row in rows_of(self.path("tables", "norm-and-direction.csv"))[1:]:
            if row[4] == "":
                continue
            ratio, cosine = float(row[4]), float(row[5])
            change = numpy.array([ratio * cosine - 1, ratio * math.sqrt(max(0.0, 1 - cosine * cosine))])
            square = float(change @ change)
            if square > 1e-9:  # below, the rounding of the two figures decides
                compare(f"{self.name}, along h at {row[:3]}", row[6], change[0] ** 2 / square)

    def alphas(self, name, sites):
        """The scalars of an ActivScalar by site [layers][places], and whether every prompt has every place."""
        tensors, metadata = read_safetensors(self.path(name + ".safetensors"))
        absolute = metadata.get("position_key", "absolute") == "absolute"
        return {site: tensors[site + ".alpha"].squeeze() for site in sites if site + ".alpha" in tensors}, absolute

    def check_methods(self):
        table = rows_of(self.path("tables", "methods.csv"))
        curves = rows_of(self.path("tables", "curves.csv"))
        for line in table[1:]:
            row = dict(zip(table[0], line))
            method, what = row["method"], f"{self.name}, {row['method']}"
            with open(self.path("methods", method + ".json"), encoding="utf-8") as file:
                found = json.load(file)["output"]
            columns = [dict(zip(curves[0], cells)) for cells in curves[1:] if cells[0] == method]
            kept = [float(c["kept"]) for c in columns]
            by_size, by_score = ([float(c[key] or "nan") for c in columns] for key in ("faithfulness", "faithfulness_by_score"))
            compare(f"{what}, CPR", row["cpr"], trapezoid(kept, by_score))
            compare(f"{what}, CMD", row["cmd"], trapezoid(kept, [abs(1 - f) for f in by_size]))
            for c, size, score in zip(columns, found["curve"]["faithfulness"], found["curve"]["faithfulness_by_score"]):
                compare(f"{what}, {c['kept']} kept", c["faithfulness"], size)
                compare(f"{what}, {c['kept']} kept by score", c["faithfulness_by_score"], score)

            sites = ["attn_out", "mlp_out"]
            alphas, absolute = self.alphas("sites/both/activ-scalar-1", sites)
            if not absolute:  # places that not every prompt has come in another order
                if method == "patching":
                    self.stated.pop("ActivScalar keeps the places that patching ranks first", None)
                continue
            per_prompt = found["per_prompt"]
            scores = numpy.array([[x for s in sites for layer in one[s] for x in layer] for one in per_prompt], float)
            sizes = numpy.concatenate([numpy.abs(alphas[s]).ravel() for s in sites]).astype(float)
            count = int(numpy.sum(sizes != 0))
            k = count if count < len(sizes) else min(10, count)
            first = set(numpy.argsort(-sizes, kind="stable")[:k])

            def overlap(own):
                return len(first & set(numpy.argsort(-own, kind="stable")[:k])) / k if k else 0.0

            compare(f"{what}, places compared", row["of_first"], k)
            measures = {
                "overlap": overlap,
                "spearman": lambda own: spearman(own, sizes),
                "kendall": lambda own: kendall(own, sizes),
            }
            for name, measure in measures.items():
                stated = [row[name], row[name + "_low"], row[name + "_high"]]
                for cell, expected in zip(stated, bootstrap(scores, measure)):
                    compare(f"{what}, {name}", cell, expected)
            if method == "patching":
                values = bootstrap(scores, overlap)
                name = "ActivScalar keeps the places that patching ranks first"
                self.judge(name, *values, 0.5, undecided=k == 0)

    def check_one_pair(self):
        table = rows_of(self.path("tables", "one-pair.csv"))
        for line, name in zip(table[1:], ["first-setting", "defaults"]):
            row = dict(zip(table[0], line))
            count, _, which = self.kept("one-pair/" + name)
            compare(f"{self.name}, one pair, {name}, kept", row["kept"], count)
            compare(f"{self.name}, one pair, {name}, parameters", row["parameters"], len(which))

    def check_hyperparameters(self):
        table = rows_of(self.path("tables", "hyperparameters.csv"))
        with open(self.path("hyperparameters", "sweep.json"), encoding="utf-8") as file:
            points = json.load(file)["output"]["points"]
        tried = []
        for number, (line, point) in enumerate(zip(table[1:], points)):
            row, what = dict(zip(table[0], line)), f"{self.name}, hyperparameters {number}"
            if "failed" in point:
                continue
            test, (count, *_) = point["test"], self.kept(f"hyperparameters/sweep/point-{number:04}")
            rates = test["flip_rate"]
            tried.append((number, min(rates["+1"], rates["-1"]), test["kl_masked"], count))
            compare(f"{what}, places", row["places"], count)
            low, high = wilson(float(row["follow_both"]), test["prompts"])
            for column, expected in [("follow_both", rates["both"]), ("low", low), ("high", high)]:
                compare(f"{what}, {column}", row[column], expected)
        for number, rate, kl, places in tried:
            bettered = any(
                r >= rate and d <= kl and p <= places and (r, d, p) != (rate, kl, places) for _, r, d, p in tried
            )
            if (table[1 + number][-1] == "front") == bettered:
                problems.append(f"{self.name}: the front of the hyperparameters is wrong at {number}")

    def check_alphas(self):
        """The scalars in the table of norms and directions are those of the fit."""
        alphas, _ = self.alphas("sites/all/activ-scalar-1", ["attn_out", "mlp_out", "resid_post"])
        for site, layer, place, *_, alpha in rows_of(self.path("tables", "norm-and-direction.csv"))[1:]:
            if alpha != "":
                what = f"{self.name}, alpha at {site}, {layer}, {place}"
                compare(what, alpha, alphas[site][int(layer)][int(place)])


def main(folder):
    with open(os.path.join(folder, "study.json"), encoding="utf-8") as file:
        study = json.load(file)
    stated = {(r[0], r[1], r[2]): r for r in rows_of(os.path.join(folder, "hypotheses.csv"))[1:]}
    for h in study["hypotheses"]:
        row = stated.pop((h["model"], h["task"], h["name"]))
        for cell, number in zip(row[3:7], [h["estimate"], *h["interval"], h["margin"]]):
            compare(f"hypotheses.csv, {h['name']}", cell, number)
        if row[7] != h["verdict"]:
            problems.append(f"hypotheses.csv says {row[7]} of '{h['name']}'")
    if stated:
        problems.append(f"hypotheses.csv has more than study.json: {list(stated)}")
    for part in study["parts"]:
        for name in part["files"]:
            if not os.path.exists(name):
                problems.append(f"{name} of {part['name']} is missing")
    for subject in study["subjects"]:
        base = os.path.join(folder, subject["model"] + "-" + subject["task"])
        if not os.path.exists(os.path.join(base, "sites")):
            continue
        seeds = len([n for n in os.listdir(base) if n.startswith("prompts-") and n.endswith(".json")])
        one = Subject(base, subject["model"], subject["task"], study["hypotheses"], seeds)
        one.check_sites()
        one.check_fronts()
        one.check_lengths()
        one.check_directions()
        one.check_methods()
        one.check_one_pair()
        one.check_hyperparameters()
        one.check_alphas()
        for name in one.stated:
            problems.append(f"{one.name}: nothing was recomputed of '{name}'")
    for problem in problems[:30]:
        print(problem)
    print(f"{compared} figures compared, {len(problems)} problems")
    return 1 if problems or compared == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
