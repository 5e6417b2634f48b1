#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An independent reference for the scores of places: autograd and replaced activations, in PyTorch and double.

    python3 tests/parity/explain.py --out tests/parity/fixtures    writes explain.json and explain.safetensors
    python3 tests/parity/explain.py --check                        compares them with the stored ones

Models, prompts and files are those of reference.py, with which it shares a folder and the definition of the models; the
scores are computed from their definition, one prompt and one place at a time.

explain.json         {"prompts": [{"ids", "corrupt_ids", "correct_id", "wrong_id"}], "steps": m of integrated gradients}
explain.safetensors  F64: <method>/<prompt>/<site> [L, T], at attn_z [L, T, H] (the score of every head alone), and
                     clean/<metric>, corrupt/<metric> [prompts]; direct/<prompt>/<addend> [1];
                     lens/<prompt>/<reading> [L, T]; attention/<prompt>/patterns [L, H, T, T]

Methods, with D the metric at the last token, and a place the activation h of one token (at attn_z: of one head)
    gradient            <h, dD/dh> on the clean run
    denoising, noising  <h_clean - h_corrupt, dD/dh> on the corrupt run; <h_corrupt - h_clean, dD/dh> on the clean one
    integrated-<rule>   <h_clean - h_corrupt, mean over k of dD/dh> on runs whose embeddings are
                        corrupt + t_k (clean - corrupt), t_k = (k - 1/2)/m, (k - 1)/m, k/m
    patching-denoising  D of the corrupt run with h of the clean run at one place, minus D of the corrupt run
    patching-noising    D of the clean run with h of the corrupt run at one place, minus D of the clean run
    zero, mean          D of the clean run minus D with h replaced by zero; by its mean over the prompts with that token
    direct              of every attn_out, mlp_out and head at the last token: <(a - mean a) / sigma * gain, W_c - W_w>
with "/<metric>" after the name for the metrics probability and kl.
"""

import os

import numpy as np
import torch

import reference

METRICS = ("logit-diff", "probability", "kl")
RULES = {"midpoint": 0.5, "left": 0.0, "right": 1.0}
STEPS = 3
MODELS = ("gpt2-a", "gpt2-b", "neox-parallel", "neox-sequential")
LENGTHS = (3, 5, 1, 4)


def metric_of(name, z, prompt, clean):
    if name == "logit-diff":
        return z[prompt["correct_id"]] - z[prompt["wrong_id"]]
    if name == "probability":
        return torch.softmax(z, -1)[prompt["correct_id"]]
    log_p, log_q = torch.log_softmax(clean, -1), torch.log_softmax(z, -1)
    return (torch.exp(log_p) * (log_p - log_q)).sum()


def with_heads(kind, h):
    """[T, parts, channels]: a place is a part of a token."""
    return h if kind == "attn_z" else h[:, None, :]


def record(model, ids):
    seen = {}

    def site(kind, layer, h):
        seen[kind, layer] = h
        return h

    return seen, model.logits(ids, site)[-1]


def patterns(model, ids):
    """[L, H, T, T]: what the heads of every layer attend to."""
    seen, plain = [], reference.attention_pattern

    def noted(*arguments):
        seen.append(plain(*arguments))
        return seen[-1]

    reference.attention_pattern = noted
    try:
        model.logits(ids)
    finally:
        reference.attention_pattern = plain
    return torch.stack(seen)


def gradients(model, metric, prompt, clean, ids, embeddings=None):
    """Activations, and the gradient of the metric by each, of a run whose embeddings may be given."""
    seen, added = {}, {}

    def site(kind, layer, h):
        if embeddings is not None and (kind, layer) == ("resid_pre", 0):
            h = embeddings
        seen[kind, layer] = h.detach()
        added[kind, layer] = torch.zeros_like(h, requires_grad=True)
        return h + added[kind, layer]

    value = metric_of(metric, model.logits(ids, site)[-1], prompt, clean)
    found = torch.autograd.grad(value, list(added.values()), allow_unused=True)
    return seen, {key: torch.zeros_like(seen[key]) if g is None else g for key, g in zip(added, found)}


def replaced(model, ids, at, token, part, value):
    """The last logits of a run with one place replaced."""

    def site(kind, layer, h):
        if (kind, layer) != at:
            return h
        h = h.clone()
        with_heads(kind, h)[token, part] = value
        return h

    return model.logits(ids, site)[-1]


def score_prompt(model, prompt, means):
    """name -> tensor of all that is said about one prompt."""
    ids, corrupt_ids = prompt["ids"], prompt["corrupt_ids"]
    clean, z_clean = record(model, ids)
    corrupt, z_corrupt = record(model, corrupt_ids)
    result = {}

    def add(method, kind, layer, token, part, value):
        parts = with_heads(kind, clean[kind, layer]).shape[1]
        scores = result.setdefault(f"{method}/{kind}", torch.zeros(model.layers, len(ids), parts))
        scores[layer, token, part] = value

    def add_products(method, factor, grads):
        for (kind, layer), g in grads.items():
            product = (with_heads(kind, factor[kind, layer]) * with_heads(kind, g)).sum(-1)
            for token in range(len(ids)):
                for part in range(product.shape[1]):
                    add(method, kind, layer, token, part, product[token, part])

    to_clean = {key: clean[key] - corrupt[key] for key in clean}
    to_corrupt = {key: -value for key, value in to_clean.items()}
    for metric in METRICS:
        suffix = "" if metric == "logit-diff" else "/" + metric

        def measure(z):
            return metric_of(metric, z, prompt, z_clean)

        result[f"clean/{metric}"], result[f"corrupt/{metric}"] = measure(z_clean), measure(z_corrupt)
        if metric != "kl":
            seen, grads = gradients(model, metric, prompt, z_clean, ids)
            add_products("gradient" + suffix, seen, grads)
            add_products("noising" + suffix, to_corrupt, grads)
        add_products("denoising" + suffix, to_clean, gradients(model, metric, prompt, z_clean, corrupt_ids)[1])
        start, end = corrupt["resid_pre", 0], clean["resid_pre", 0]
        for rule, offset in RULES.items() if metric == "logit-diff" else (("midpoint", 0.5),):
            total = {key: torch.zeros_like(value) for key, value in clean.items()}
            for k in range(STEPS):
                embeddings = start + (k + offset) / STEPS * (end - start)
                for key, g in gradients(model, metric, prompt, z_clean, ids, embeddings)[1].items():
                    total[key] += g / STEPS
            add_products(f"integrated-{rule}{suffix}", to_clean, total)
        for (kind, layer), h in clean.items():
            for token in range(len(ids)):
                for part in range(with_heads(kind, h).shape[1]):
                    at = (kind, layer), token, part
                    place = kind, layer, token, part
                    source = with_heads(kind, clean[kind, layer])[token, part]
                    other = with_heads(kind, corrupt[kind, layer])[token, part]
                    mean = with_heads(kind, means[kind, layer])[token, part]
                    denoised = measure(replaced(model, corrupt_ids, *at, source)) - measure(z_corrupt)
                    add("patching-denoising" + suffix, *place, denoised)
                    if metric != "logit-diff":
                        continue
                    add("patching-noising", *place, measure(replaced(model, ids, *at, other)) - measure(z_clean))
                    for method, value in (("zero", torch.zeros_like(source)), ("mean", mean)):
                        add(method, *place, measure(z_clean) - measure(replaced(model, ids, *at, value)))
    add_direct(model, prompt, clean, add, result)
    add_lens(model, prompt, clean, result)
    result["attention/patterns"] = patterns(model, ids)
    return result


def final_weights(model):
    """Gain and bias of the final norm, the unembedding [V, D], and the token embedding."""
    names = ("ln_f", "lm_head.weight", "wte.weight")
    if not isinstance(model, reference.Gpt2):
        names = ("gpt_neox.final_layer_norm", "embed_out.weight", "gpt_neox.embed_in.weight")
    w = model.weights
    return w[names[0] + ".weight"], w[names[0] + ".bias"], w[names[1]], w[names[2]]


def projection(model, layer):
    """W_O [D, D] of a layer, as rows of heads."""
    if isinstance(model, reference.Gpt2):
        return model.weights[f"h.{layer}.attn.c_proj.weight"]
    return model.weights[f"gpt_neox.layers.{layer}.attention.dense.weight"].T


def add_direct(model, prompt, clean, add, result):
    gain, bias, unembedding, embedding = final_weights(model)
    direction = unembedding[prompt["correct_id"]] - unembedding[prompt["wrong_id"]]
    stream = clean["resid_post", model.layers - 1][-1]
    sigma = torch.sqrt(((stream - stream.mean()) ** 2).mean() + model.epsilon)

    def share(addend):
        return ((addend - addend.mean()) / sigma * gain * direction).sum()

    last = len(prompt["ids"]) - 1
    for layer in range(model.layers):
        for kind in ("attn_out", "mlp_out"):
            add("direct", kind, layer, last, 0, share(clean[kind, layer][last]))
        w_o = projection(model, layer).reshape(model.heads, -1, model.width)
        for head in range(model.heads):
            add("direct", "attn_z", layer, last, head, share(clean["attn_z", layer][last, head] @ w_o[head]))
    result["direct/embedding"] = share(embedding[prompt["ids"][-1]])
    learned = isinstance(model, reference.Gpt2)
    result["direct/position_embedding"] = share(model.weights["wpe.weight"][last]) if learned else torch.zeros(())
    result["direct/constant"] = (bias * direction).sum()


def add_lens(model, prompt, clean, result):
    gain, bias, unembedding, _ = final_weights(model)
    c, w, rows = prompt["correct_id"], prompt["wrong_id"], {}
    for layer in range(model.layers):
        z = reference.layer_norm(clean["resid_post", layer], gain, bias, model.epsilon) @ unembedding.T
        p = torch.softmax(z, -1)
        for name, values in (("D", z[:, c] - z[:, w]), ("p_correct", p[:, c]), ("p_wrong", p[:, w]),
                             ("rank_correct", (z > z[:, c : c + 1]).sum(-1) + 1.0),
                             ("rank_wrong", (z > z[:, w : w + 1]).sum(-1) + 1.0), ("top_id", z.argmax(-1) + 0.0)):
            rows.setdefault("lens/" + name, []).append(values)
    result.update({name: torch.stack(values) for name, values in rows.items()})


def make_prompts(name, ids):
    random, prompts = reference.seeded("explain", name), []
    for length in LENGTHS:
        clean, corrupt = random.randint(0, ids, length), random.randint(0, ids, length)
        corrupt[random.uniform(size=length) < 0.3] = clean[0]
        corrupt[0] = (clean[0] + 1) % ids
        correct, wrong = (int(t) for t in random.choice(ids, 2, replace=False))
        prompts.append({"ids": [int(t) for t in clean], "corrupt_ids": [int(t) for t in corrupt],
                        "correct_id": correct, "wrong_id": wrong})
    return prompts


def write_scores(folder, from_, scores):
    """explain.json with `from_`; explain.safetensors with what is said about each prompt, as score_prompt returns it."""
    expected = {}
    for n, of_prompt in enumerate(scores):
        for key, value in of_prompt.items():
            if key.startswith(("clean/", "corrupt/")):
                expected.setdefault(key, []).append(value)
            else:
                method, what = key.rsplit("/", 1)
                squeezed = value.squeeze(-1) if value.dim() == 3 and what != "attn_z" else value
                expected[f"{method}/{n}/{what}"] = squeezed
    os.makedirs(folder, exist_ok=True)
    reference.dump_json(os.path.join(folder, "explain.json"), from_)
    reference.write_safetensors(
        os.path.join(folder, "explain.safetensors"),
        {key: (torch.stack(value) if isinstance(value, list) else value.reshape(value.shape or (1,))).detach().numpy()
         for key, value in expected.items()})


def write_fixture(folder, name, config, tensors, ids):
    model, prompts = reference.make_model(config, tensors), make_prompts(name, ids)
    runs = [record(model, prompt["ids"])[0] for prompt in prompts]
    means = {}
    for key in runs[0]:
        rows = [[run[key][token] for run in runs if token < len(run[key])] for token in range(max(LENGTHS))]
        means[key] = torch.stack([torch.stack(row).mean(0) for row in rows])
    write_scores(folder, {"prompts": prompts, "steps": STEPS}, [score_prompt(model, prompt, means) for prompt in prompts])


def write_all(out):
    for name, (config, tensors, ids) in reference.fixture_models().items():
        if name in MODELS:
            write_fixture(os.path.join(out, name), name, config, tensors, ids)
            print(f"{name}: {os.path.getsize(os.path.join(out, name, 'explain.safetensors')) / 1024:.0f} KiB")


if __name__ == "__main__":
    reference.write_or_check(__doc__, "explain", MODELS, write_all)
