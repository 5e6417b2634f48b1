#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares `trimtab generate` with an independent generator in PyTorch and double precision.

    python3 tests/parity/generation.py PROGRAM

The generator has no cache and no shortcut: for each new token it decides anew which record each token of the text so far
has, as the mode defines it, and runs the whole text with the models of reference.py. It compares greedy tokens (200 of
one case for each model and mode, 30 of the others) and their log probabilities, for both families, every position key,
phase and strength, and several policies.
"""

import json
import os
import subprocess
import sys
import tempfile

import torch

import reference

TOLERANCE = 1e-10


def models():
    """name -> (config, float32 tensors), with room for the tokens and without an end token."""
    changes = {"eos_token_id": None, "vocab_size": 211}
    gpt2 = reference.gpt2_config(n_positions=256, n_ctx=256, **changes)
    yield "gpt2", gpt2, reference.gpt2_weights("generation-gpt2", gpt2, "transformer.", buffers=False)
    for parallel in (True, False):
        name = "neox-parallel" if parallel else "neox-sequential"
        neox = reference.neox_config(max_position_embeddings=256, use_parallel_residual=parallel, **changes)
        yield name, neox, reference.neox_weights("generation-" + name, neox, buffers=False)


def records_by_mode(key, positions, length, prompt, mode, roles):
    """The record of each token of a text of `length` tokens, the first `prompt` of which are the prompt's."""

    def of_text(tokens):
        if key == "role":
            spans = [roles[name] for name in sorted(roles)]
            return [next((k for k, (first, last) in enumerate(spans) if first <= t < last), None) for t in range(tokens)]
        return reference.records(key, positions, tokens)

    if mode in ("prompt", "as-processed"):
        of_prompt = of_text(prompt)
        # As processed, a token is the last one of the text that ends with it.
        later = [of_text(t + 1)[t] if mode == "as-processed" else None for t in range(prompt, length)]
        return of_prompt + later
    records = of_text(length)
    return [None] * prompt + records[prompt:] if mode == "generated" else records


def steering(spec, params, beta, records):
    """The `site` function of an intervention whose tokens have these records."""
    chosen = [t for t, record in enumerate(records) if record is not None]
    index = [records[t] for t in chosen]

    def site(kind, layer, h):
        if kind not in spec["sites"] or not chosen:
            return h
        h, rows = h.clone(), h[chosen]
        if spec["policy"] == "dyn-scalar":
            gate = (rows * params[kind + ".weight"][layer]).sum(-1, keepdim=True) + params[kind + ".bias"][layer]
            h[chosen] = (1 + beta * gate) * rows
        elif spec["policy"] == "activ-scalar":
            h[chosen] = (1 + beta * params[kind + ".alpha"][layer, index][..., None]) * rows
        else:
            h[chosen] = rows + beta * params[kind + ".vector"][layer, index]
        return h

    return site


def generate(model, ids, spec, params, beta, mode, roles, new_tokens):
    """Greedy tokens and their log probabilities."""
    text, logprobs = list(ids), []
    for _ in range(new_tokens):
        records = records_by_mode(spec["position_key"], spec["positions"], len(text), len(ids), mode, roles)
        last = torch.log_softmax(model.logits(text, steering(spec, params, beta, records))[-1], -1)
        text.append(int(torch.argmax(last)))
        logprobs.append(float(last[text[-1]]))
    return text[len(ids):], logprobs


def parameters(model, spec, name):
    """Parameters of an intervention in the first and the last layer; some records are zeros."""
    shapes = reference.parameter_shapes(model, {**spec, "policy": spec["policy"].replace("-", "_"), "bias": True})
    random = reference.seeded("generation", name)
    params = {}
    for tensor, shape in shapes.items():
        bound = reference.BOUNDS[tensor.rsplit(".", 1)[1]] / (shape[-1] if tensor.endswith(".weight") else 1)
        values = (bound * random.uniform(-1, 1, shape)).astype("float32")
        if spec["policy"] != "dyn-scalar":
            values[:, 1::3] = 0
        params[tensor] = values
    return params


SPECS = [{"policy": "activ-scalar", "position_key": "from_end", "positions": 4, "sites": ["attn_out", "resid_post"]},
         {"policy": "steer-vec", "position_key": "role", "positions": 2, "sites": ["mlp_out", "resid_pre"]},
         {"policy": "steer-vec", "position_key": "from_end", "positions": 3, "sites": ["mlp_post"]},
         {"policy": "activ-scalar", "position_key": "shared", "positions": 1, "sites": ["attn_z"]},
         {"policy": "dyn-scalar", "position_key": "shared", "positions": 1, "sites": ["attn_out", "mlp_out"]}]
PROMPTS = [[17, 4, 99, 120, 3, 64, 8], [5, 200, 31]]
ROLES = [{"a": (1, 3), "b": (4, 5)}, {"a": (0, 1), "b": (2, 3)}]


def check(program, folder, name, model, spec, mode, new_tokens):
    key = spec["position_key"]
    params = parameters(model, spec, name)
    file, data = os.path.join(folder, "intervention.safetensors"), os.path.join(folder, "prompts.jsonl")
    metadata = {"format": "trimtab-intervention-1", "policy": spec["policy"], "position_key": key}
    if key == "role":
        metadata["roles"] = json.dumps(["a", "b"])
    reference.write_safetensors(file, params, metadata)
    with open(data, "w") as out:
        for ids, roles in zip(PROMPTS, ROLES):
            out.write(json.dumps({"ids": ids, "roles": roles}) + "\n")
    strengths = [1, -0.75]
    command = [program, "generate", "--model", folder, "--prompts", data, "--intervention", file, "--strengths",
               ",".join(map(str, strengths)), "--max-new-tokens", str(new_tokens), "--precision", "double", "--json",
               "--logprobs"]
    command += ["--as-processed"] if mode == "as-processed" else ["--phase", mode]
    samples = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["samples"]
    assert len(samples) == len(PROMPTS) * len(strengths)
    params = {tensor: torch.tensor(values, dtype=torch.float64) for tensor, values in params.items()}
    worst = 0
    for n, sample in enumerate(samples):
        ids, roles = PROMPTS[n // len(strengths)], ROLES[n // len(strengths)]
        expected, logprobs = generate(model, ids, spec, params, strengths[n % len(strengths)], mode, roles, new_tokens)
        what = f"{name}, {spec['policy']} at {key}, {mode}, sample {n}"
        assert sample["ids"] == expected, f"{what}: {sample['ids']} instead of {expected}"
        worst = max([worst] + [abs(a - b) for a, b in zip(sample["logprobs"], logprobs)])
    assert worst < TOLERANCE, f"{name}, {spec}, {mode}: log probabilities differ by {worst}"
    return worst


def main():
    program = sys.argv[1]
    worst, cases = 0, 0
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        for name, config, tensors in models():
            with open(os.path.join(folder, "config.json"), "w") as file:
                json.dump(config, file)
            reference.write_safetensors(os.path.join(folder, "model.safetensors"), tensors, {"format": "pt"})
            model = reference.make_model(config, tensors)
            for spec in SPECS:
                for mode in ("all", "prompt", "generated", "as-processed"):
                    if spec["position_key"] == "role" and mode == "generated":
                        continue  # no generated token has a role
                    new_tokens = 200 if spec is SPECS[0] else 30
                    worst = max(worst, check(program, folder, name, model, spec, mode, new_tokens))
                    cases += 1
    print(f"{cases} cases: the same tokens, log probabilities differ by at most {worst:.1e}")


if __name__ == "__main__":
    main()
