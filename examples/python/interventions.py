# SPDX-License-Identifier: Apache-2.0
"""Reads trimtab's intervention files and applies them to activations; copy it beside your own hooks."""

import json

import torch
from safetensors import safe_open


def read(path):
    """Yields (entry, layer, parameters) for each intervention in each of its layers: `entry` says site, policy and
    positions, `parameters` has each parameter as [positions, (heads), channels or 1]."""
    with safe_open(path, "pt") as file:
        for entry in json.loads(file.metadata()["interventions"]):
            tensors = {}
            for parameter in entry["parameters"]:
                numbers = file.get_tensor(parameter["tensor"])
                numbers = numbers if "position" in parameter["axes"] else numbers[:, None]
                tensors[parameter["name"]] = numbers if "channel" in parameter["axes"] else numbers[..., None]
            for layer in entry["layers"]:
                yield entry, layer, {name: numbers[layer] for name, numbers in tensors.items()}


def records(entry, length):
    """Which record of parameters each token of a prompt has; from_end counts back from the last token, which has 0."""
    return {"absolute": list(range(length)), "from_end": list(range(length - 1, -1, -1)),
            "shared": [0] * length}[entry["position_key"]]


def steered(entry, parameters, h, beta):
    """The activations h [tokens, (heads), channels] of one whole prompt, at strength beta."""
    record = records(entry, len(h))
    tokens = [t for t in range(len(h)) if record[t] < entry["positions"]]
    p = {name: numbers[[record[t] for t in tokens]].to(h.dtype) for name, numbers in parameters.items()}
    rows, out, policy = h[tokens], h.clone(), entry["policy"]
    if policy.startswith("dyn-scalar"):
        normed = rows / (rows.square().mean(-1, keepdim=True) + 1e-6).sqrt() if "rms" in policy else rows
        gate = (normed * p["weight"]).sum(-1, keepdim=True) + p.get("bias", 0)
        out[tokens] = (1 + beta * (gate.tanh() if "tanh" in policy else gate)) * rows
    elif policy in ("activ-scalar", "steer-vec", "affine"):
        out[tokens] = (1 + beta * p.get("alpha", 0)) * rows + beta * p.get("vector", 0)
    else:
        raise ValueError(f"the policy {policy} is not known here")
    return out


def print_likeliest(logits, tokenizer=None, count=10):
    for logit, token in zip(*logits.topk(count)):
        print(f"{token.item()}\t{logit.item():.6f}\t{json.dumps(tokenizer.decode([token.item()])) if tokenizer else ''}")
