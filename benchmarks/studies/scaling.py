#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How a step of a fit scales with the size of the model and with the number of ranks, beside what a cost model says.

    python3 benchmarks/studies/scaling.py build/release/trimtab OUT [--shapes pythia-160m,...] [--ranks 1,2,4]

makes random float16 weights of Pythia's shapes below OUT, fits vectors to a few prompts, one prompt a chunk, under
`mpirun`, and writes OUT/scaling.md and OUT/scaling.json. Every finished run is kept in OUT, so the command goes on where it
was ended; the models are removed. It needs NumPy, Open MPI, an idle machine, and memory for the weights of the largest
shape, once.

A step's time is the difference between what two fits of other lengths say of their steps. The cost model is

    seconds = operations of the busiest rank / rate + bytes that all ranks give / bandwidth

The operations are those of `--plan` and the rate is the median of what ten of its runs find for one rank's threads, each in
a quarter of a second; the bytes are those of the fit's "ranks". A rank has the cores of the machine over the ranks; where there are more ranks
than cores they take turns.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import statistics
import struct
import subprocess

import numpy

SHAPES = {  # width, layers, heads, and the prompts and tokens of the fit
    "pythia-160m": (768, 12, 12, 8, 30),
    "pythia-410m": (1024, 24, 16, 8, 30),
    "pythia-1.4b": (2048, 24, 16, 8, 30),
    "pythia-6.9b": (4096, 32, 32, 4, 12),
}
VOCABULARY = 50304
STEPS = {"pythia-160m": (2, 20), "pythia-410m": (2, 6), "pythia-1.4b": (1, 3), "pythia-6.9b": (1, 2)}
PLANS = 5
MEMORY_BANDWIDTH = 5e9  # bytes a second between two ranks of a machine
# What is assumed of machines that are not here: operations and bytes a second of one rank, and a message's seconds.
FAR = {
    "100 ranks of this machine's kind, 10 Gbit/s between them": (100, None, 1.25e9, 50e-6),
    "8 GPUs at 150 Tflop/s, 300 GB/s between them": (8, 150e12, 300e9, 20e-6),
}


def tensors_of(width, layers):
    yield "gpt_neox.embed_in.weight", (VOCABULARY, width)
    for k in range(layers):
        at = f"gpt_neox.layers.{k}."
        for norm in ("input_layernorm", "post_attention_layernorm"):
            yield at + norm + ".weight", (width,)
            yield at + norm + ".bias", (width,)
        for name, rows, columns in (("attention.query_key_value", 3 * width, width), ("attention.dense", width, width),
                                    ("mlp.dense_h_to_4h", 4 * width, width), ("mlp.dense_4h_to_h", width, 4 * width)):
            yield at + name + ".weight", (rows, columns)
            yield at + name + ".bias", (rows,)
    yield "gpt_neox.final_layer_norm.weight", (width,)
    yield "gpt_neox.final_layer_norm.bias", (width,)
    yield "embed_out.weight", (VOCABULARY, width)


def make_folder(folder, shape):
    """Random float16 weights. Large matrices repeat the same rows of numbers, at a random place of each: it is the time that
    counts."""
    width, layers, heads, *_ = SHAPES[shape]
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({
        "model_type": "gpt_neox", "architectures": ["GPTNeoXForCausalLM"], "hidden_act": "gelu", "num_hidden_layers": layers,
        "num_attention_heads": heads, "hidden_size": width, "intermediate_size": 4 * width, "max_position_embeddings": 2048,
        "vocab_size": VOCABULARY, "layer_norm_eps": 1e-5, "rotary_pct": 0.25, "rotary_emb_base": 10000,
        "use_parallel_residual": True, "tie_word_embeddings": False, "torch_dtype": "float16"}))
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, extents in tensors_of(width, layers):
        size = 2 * int(numpy.prod(extents))
        header[name] = {"dtype": "F16", "shape": extents, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    random = numpy.random.default_rng(1)
    pool = (0.02 * random.standard_normal(1 << 24)).astype(numpy.float16)
    with open(folder / "model.safetensors", "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for name, extents in tensors_of(width, layers):
            if name.endswith("norm.weight"):
                out.write(numpy.ones(extents, numpy.float16))
                continue
            left = int(numpy.prod(extents))
            while left > 0:
                first = int(random.integers(0, pool.size // 2))
                piece = pool[first : first + min(left, pool.size // 2)]
                out.write(piece)
                left -= piece.size
    *_, prompts, tokens = SHAPES[shape]
    lines = [{"ids": [int(t) for t in random.integers(100, 50000, tokens)], "correct_id": 17 + k, "wrong_id": 1000 + k}
             for k in range(prompts)]
    (folder / "prompts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


class Runs:
    def __init__(self, program, out):
        self.program, self.out = program, out
        self.cores = len(os.sched_getaffinity(0))

    def threads_of(self, ranks):
        return max(1, self.cores // ranks)

    def command(self, folder, threads, *more):
        return [self.program, "fit", "--model", folder, "--data", folder / "prompts.jsonl", "--policy", "steer-vec",
                "--positions", "shared", "--lambda-m", "0.01", "--chunk", "1", "--threads", threads, "--json", *more]

    def call(self, name, command):
        """Standard output, as JSON, and error of a command that is run once."""
        kept = self.out / f"{name}.json"
        if not kept.exists():
            env = os.environ | {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
            done = subprocess.run([str(word) for word in command], capture_output=True, text=True, env=env)
            if done.returncode != 0:
                raise SystemExit(f"{' '.join(map(str, command))}\n{done.stderr}")
            kept.write_text(json.dumps({"out": json.loads(done.stdout), "err": done.stderr}))
        return json.loads(kept.read_text())

    def is_kept(self, shape, ranks):
        """Whether everything that is measured of these ranks is there."""
        names = [f"{shape}-plan-{self.threads_of(ranks)}-{steps}-{k}" for steps in STEPS[shape] for k in range(PLANS)]
        names += [f"{shape}-{ranks}-{steps}" for steps in STEPS[shape]]
        return all((self.out / f"{name}.json").exists() for name in names)

    def plans(self, shape, folder, threads, steps):
        return [self.call(f"{shape}-plan-{threads}-{steps}-{k}",
                          self.command(folder, threads, "--steps", steps, "--plan"))["out"] for k in range(PLANS)]

    def fit(self, shape, folder, ranks, steps):
        """How long the steps took, and the fit's JSON."""
        command = self.command(folder, self.threads_of(ranks), "--steps", steps, "--verbose")
        if ranks > 1:
            command = ["mpirun", "-n", ranks, "--oversubscribe", "--bind-to", "none", *command]
        found = self.call(f"{shape}-{ranks}-{steps}", command)
        return float(re.search(r"made \d+ steps? in ([0-9.e+]+) s", found["err"]).group(1)), found["out"]

    def measured(self, shape, folder, ranks):
        few, many = STEPS[shape]
        short, _ = self.fit(shape, folder, ranks, few)
        long, found = self.fit(shape, folder, ranks, many)
        return (long - short) / (many - few), found

    def predicted(self, shape, folder, ranks, found):
        few, many = STEPS[shape]
        threads = self.threads_of(ranks)
        short, long = (self.plans(shape, folder, threads, steps) for steps in (few, many))
        a_step = (long[0]["flops"] - short[0]["flops"]) / (many - few)
        rate = statistics.median(one["flops"] / one["seconds"] for one in short + long)
        at_work = found["ranks"] if ranks > 1 else {"prompts": [SHAPES[shape][3]], "bytes_per_step": 0}
        busiest = max(at_work["prompts"]) / sum(at_work["prompts"])
        turns = max(1, ranks * threads / self.cores)
        seconds = a_step * busiest / rate * turns + ranks * at_work["bytes_per_step"] / MEMORY_BANDWIDTH
        return {"flops": a_step, "rate": rate, "bytes": at_work["bytes_per_step"], "seconds": seconds}


def table(header, rows):
    return "\n".join(["| " + " | ".join(header) + " |", "| " + " | ".join("---" for _ in header) + " |",
                      *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def far_rows(found):
    """A step of 1,000 prompts of 30 tokens, by the cost model."""
    rows = []
    for shape, runs in found.items():
        one = runs["1"]
        *_, prompts, tokens = SHAPES[shape]
        a_step = one["model"]["flops"] * 1000 / prompts * 30 / tokens
        here = a_step / (one["model"]["flops"] / one["seconds"])
        row = [shape, f"{here:.0f} s"]
        for ranks, rate, bandwidth, latency in FAR.values():
            compute = a_step / ranks / rate if rate else here / ranks
            # Of 1000 chunks a rank has some hundred or ten: at most 2 log2 of them in subtrees.
            subtrees = 2 * (1000 // ranks).bit_length()
            message = ranks * (subtrees * runs["bytes"] / bandwidth + latency)
            row.append(f"{compute + message:.2f} s, of which messages {message:.2f}")
        rows.append(row)
    return rows


def text_of(found, cores, processor):
    rows = []
    for shape, runs in found.items():
        for ranks, one in runs.items():
            if ranks == "bytes":
                continue
            rows.append([shape, ranks, f"{one['seconds']:.2f}", f"{one['model']['seconds']:.2f}",
                         f"{one['model']['seconds'] / one['seconds']:.2f}", f"{runs['1']['seconds'] / one['seconds']:.2f}",
                         f"{one['model']['flops'] / one['seconds'] / 1e9:.0f}", f"{one['model']['bytes'] / 1e6:.2f}"])
    return f"""# How a fit scales

Made by `python3 benchmarks/studies/scaling.py build/release/trimtab OUT` on {processor}, {cores} cores. A step of a fit of vectors at
the usual sites, float16 weights, one prompt a chunk. More ranks than cores take turns.

{table(["shape", "ranks", "seconds a step", "cost model", "model / measured", "times faster than one rank", "Gflop/s",
        "MB a rank gives"], rows)}
The cost model: the operations of the busiest rank over the rate that `--plan` measures for its threads (the median of ten
runs), and what all ranks give over {MEMORY_BANDWIDTH / 1e9:.0f} GB/s.

## What the cost model says of machines that are not here

A step of 1,000 prompts of 30 tokens; the first column is this machine, from its measured rate.

{table(["shape", "this machine", *FAR], far_rows(found))}
Nobody measured these: {"; ".join(FAR)}.
Each rank gives its largest subtrees of chunks, at most twice the logarithm of their
number, so that messages grow with the number of ranks and the size of the intervention, and not with the model or the prompts.
"""


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("program", type=pathlib.Path)
    arguments.add_argument("out", type=pathlib.Path)
    arguments.add_argument("--shapes", default=",".join(SHAPES))
    arguments.add_argument("--ranks", default="1,2,4")
    asked = arguments.parse_args()
    all_ranks = list(map(int, asked.ranks.split(",")))
    if all_ranks[0] != 1:
        arguments.error("--ranks begins with 1, which the others are compared with")
    asked.out.mkdir(parents=True, exist_ok=True)
    runs = Runs(asked.program.resolve(), asked.out)
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text()).group(1)
    found = {}
    for shape in asked.shapes.split(","):
        folder = asked.out / "model"
        shutil.rmtree(folder, ignore_errors=True)
        if any(not runs.is_kept(shape, ranks) for ranks in all_ranks):
            make_folder(folder, shape)
        found[shape] = {}
        for ranks in all_ranks:
            seconds, fit = runs.measured(shape, folder, ranks)
            found[shape][str(ranks)] = {"seconds": seconds, "model": runs.predicted(shape, folder, ranks, fit)}
            print(f"{shape}, {ranks} ranks: {seconds:.2f} s a step", flush=True)
            found[shape]["bytes"] = 4 * fit["parameters"]  # of an intervention
            (asked.out / "scaling.json").write_text(json.dumps(found, indent=1) + "\n")
            (asked.out / "scaling.md").write_text(text_of(found, runs.cores, cpu))
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
