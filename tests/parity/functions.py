#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An independent reference for the richer policies and terms: their formulas in PyTorch and double, and autograd.

    python3 tests/parity/functions.py --out tests/parity/fixtures    writes functions.json and functions.safetensors
    python3 tests/parity/functions.py --check                        compares them with the stored ones

Models and files are those of reference.py, with which it shares a folder and the definition of the models.

functions.json         {"prompts": [{"ids", "correct_ids", "wrong_ids", "retained", "sequence"}], "lambda_r", "cases": [CASE]}
    CASE               {"name", "policy", "options": {name: value}, "position_key", "positions", "sites", "layers",
                        "terms": {"effectiveness", "faithfulness", "retention", "norm_preservation", "minimality"},
                        "logit_diffs": [D, ...]}
                       D of every prompt at the first strength, then at the next
functions.safetensors  F64: <case>/params/<site>.<parameter> [L, P, ...], P only with from_end; <case>/grad/... likewise,
                       the gradient of effectiveness + faithfulness + lambda_r retention, and <case>/grad_norm/...
                       that of norm_preservation

Policies, at a site's activation h, with strength beta
    dyn-scalar     (1 + beta g) h,  g = sum_k a_k tanh(w_k.h + b_k) (mlp), a (w.h) / (|w| |h|) (cosine)
    channel-scale  (1 + beta s) h, channel by channel
    project-out    h - beta (u.h) u / (u.u + 1e-6)
    low-rank       h + beta W' (R h + b)
    conditional    h + sigma(g) (P(h) - h)

Terms, for prompts with sets C of correct and W of wrong answers, D = logsumexp over C - logsumexp over W; where they are
sequences, D = log p(C | prompt) - log p(W | prompt), each token at the end of a text of its own, and only the first
tokens are left out of the divergence
    effectiveness  mean of softplus(1 - sign(beta) D) over the prompts that are not retained and the strengths
    faithfulness   mean of KL(p(0) || p(beta)) without C and W, over the same
    retention      mean of KL(p(0) || p(beta)) over the whole vocabulary, over the retained prompts and the strengths
    norm_preservation  mean of (|out| / |h| - 1)^2 over the rows that a policy changes from h to out, of all sites and
                   layers (past the attention of the last layer only the prompt's last token, because no other reaches
                   the logits), and of that over the prompts that are not retained and the strengths
    minimality     sum of |x| over the amplitudes, s, W and the parameters of P, and of |u| (Euclidean)
"""

import os

import numpy as np
import torch

import reference

MODELS = ("gpt2-a", "neox-parallel")
STRENGTHS = (1.0, -1.0, 0.5)
LAMBDA_R = 0.5
SITES = ("attn_out", "mlp_post")
LAYERS = (0, 2)

# By policy: its options, whether positions share a record, and its parameters: name -> (numbers, per channel, weighed).
POLICIES = {
    "mlp": ("dyn-scalar", {"gate": "mlp"}, True,
            {"amplitude": (4, False, True), "weight": (4, True, False), "bias": (4, False, False)}),
    "cosine": ("dyn-scalar", {"gate": "cosine"}, True, {"amplitude": (1, False, True), "weight": (1, True, False)}),
    "channel-scale": ("channel-scale", {}, False, {"scale": (1, True, True)}),
    "project-out": ("project-out", {}, True, {"direction": (1, True, True)}),
    "low-rank": ("low-rank", {"rank": "2"}, True,
                 {"write": (2, True, True), "read": (2, True, False), "bias": (2, False, False)}),
    "conditional-linear": ("conditional", {"gate": "linear", "inner": "steer-vec"}, True,
                           {"vector": (1, True, True), "gate.weight": (1, True, False), "gate.bias": (1, False, False)}),
    "conditional-cosine": ("conditional", {"gate": "cosine", "inner": "activ-scalar"}, True,
                           {"alpha": (1, False, True), "gate.amplitude": (1, False, False),
                            "gate.weight": (1, True, False)}),
}


def cosine(p, prefix, h):
    w = p[prefix + "weight"]
    lengths = torch.sqrt((w * w).sum()) * torch.sqrt((h * h).sum(-1, keepdim=True))
    return p[prefix + "amplitude"] * (h @ w)[..., None] / lengths


def steer(name, p, h, beta):
    """One row h [1, D] with the parameters p of its record."""
    if name == "mlp":
        g = (p["amplitude"] * torch.tanh(h @ p["weight"].T + p["bias"])).sum(-1, keepdim=True)
        return (1 + beta * g) * h
    if name == "cosine":
        return (1 + beta * cosine(p, "", h)) * h
    if name == "channel-scale":
        return (1 + beta * p["scale"]) * h
    if name == "project-out":
        u = p["direction"]
        return h - beta * (h @ u)[..., None] * u / (u @ u + 1e-6)
    if name == "low-rank":
        return h + beta * (h @ p["read"].T + p["bias"]) @ p["write"]
    if name == "conditional-linear":
        return h + torch.sigmoid(h @ p["gate.weight"] + p["gate.bias"])[..., None] * beta * p["vector"]
    assert name == "conditional-cosine"
    return h + torch.sigmoid(cosine(p, "gate.", h)) * beta * p["alpha"] * h


def site_function(name, shared, params, beta, changes=None):
    """The `site` function of a case; appends every row that it changes to `changes`, as (layer, is last, h, out)."""

    def site(kind, layer, h):
        if kind not in SITES or layer not in LAYERS:
            return h
        own = {key.split(".", 1)[1]: value[layer] for key, value in params.items() if key.startswith(kind + ".")}
        rows = []
        for token, row in enumerate(h):
            from_end = len(h) - 1 - token
            if not shared and from_end >= 2:
                rows.append(row)
                continue
            record = own if shared else {key: value[from_end] for key, value in own.items()}
            rows.append(steer(name, record, row[None, :], beta)[0])
            if changes is not None:
                changes.append((layer, from_end == 0, row, rows[-1]))
        return torch.stack(rows)

    return site


def random_params(model, name, model_name):
    random = reference.seeded("functions", model_name, name)
    policy, options, shared, parameters = POLICIES[name]
    params = {}
    for kind in SITES:
        width = model.inner if kind == "mlp_post" else model.width
        for parameter, (count, per_channel, _) in parameters.items():
            shape = (model.layers,) + (() if shared else (2,)) + ((count,) if count > 1 else ())
            shape += (width,) if per_channel else ()
            scale = 0.5 / np.sqrt(width) if per_channel and parameter not in ("scale", "vector") else 0.3
            values = scale * random.normal(size=shape)
            for layer in range(model.layers):
                if layer not in LAYERS:
                    values[layer] = 0
            params[f"{kind}.{parameter}"] = torch.tensor(values)
    return params


def make_prompts(model, model_name, vocabulary):
    random = reference.seeded("functions prompts", model_name)
    prompts = []
    for length, correct, wrong, kind in ((4, 1, 1, ""), (6, 3, 2, ""), (3, 1, 4, ""), (5, 1, 1, "retained"),
                                         (4, 3, 2, "sequence"), (3, 1, 2, "sequence")):
        answers = [int(x) for x in random.permutation(vocabulary)[:correct + wrong]]
        prompts.append({"ids": [int(x) for x in random.randint(0, vocabulary, length)],
                        "correct_ids": answers[:correct], "wrong_ids": answers[correct:], "retained": kind == "retained",
                        "sequence": kind == "sequence"})
    return prompts


def kl(before, after):
    log_p, log_q = torch.log_softmax(before, -1), torch.log_softmax(after, -1)
    return (torch.exp(log_p) * (log_p - log_q)).sum()


def log_p(model, site, ids, answer):
    """log p(answer | ids), token by token."""
    total = 0
    for k, token in enumerate(answer):
        total = total + torch.log_softmax(model.logits(ids + answer[:k], site)[-1], -1)[token]
    return total


def evaluate(model, prompts, name, params):
    shared, parameters = POLICIES[name][2:]
    psi, divergence, stays, norms, differences = [], [], [], [], []
    for beta in STRENGTHS:
        for prompt in prompts:
            before = model.logits(prompt["ids"])[-1]
            changes = []
            z = model.logits(prompt["ids"], site_function(name, shared, params, beta, changes))[-1]
            site = site_function(name, shared, params, beta)
            answers = [prompt["correct_ids"], prompt["wrong_ids"]]
            if prompt["sequence"]:
                d = log_p(model, site, prompt["ids"], answers[0]) - log_p(model, site, prompt["ids"], answers[1])
                answers = [answer[:1] for answer in answers]
            else:
                d = torch.logsumexp(z[answers[0]], -1) - torch.logsumexp(z[answers[1]], -1)
            differences.append(d.item())
            if prompt["retained"]:
                stays.append(kl(before, z))
                continue
            psi.append(reference.PSI["softplus"](1 - reference.sign(beta) * d))
            keep = [j for j in range(len(z)) if j not in answers[0] + answers[1]]
            divergence.append(kl(before[keep], z[keep]))
            lengths = [(out.norm() / h.norm() - 1) ** 2 for layer, is_last, h, out in changes
                       if is_last or layer < model.layers - 1]
            norms.append(sum(lengths) / len(lengths))
    means = [sum(values) / len(values) for values in (psi, divergence, stays, norms)]
    minimal = 0.0
    for key, value in params.items():
        kind, parameter = key.split(".", 1)
        if not parameters[parameter][2]:
            continue
        for layer in LAYERS:
            minimal += (value[layer].norm() if parameter == "direction" else value[layer].abs().sum()).item()
    names = ("effectiveness", "faithfulness", "retention", "norm_preservation")
    terms = dict(zip(names, (x.item() for x in means)), minimality=minimal)
    return means[0] + means[1] + LAMBDA_R * means[2], means[3], terms, differences


def write_fixture(folder, model_name, config, tensors):
    model = reference.make_model(config, tensors)
    prompts = make_prompts(model, model_name, config["vocab_size"])
    expected, cases = {}, []
    for name, (policy, options, shared, _) in POLICIES.items():
        params = {key: value.requires_grad_() for key, value in random_params(model, name, model_name).items()}
        smooth, norms, terms, differences = evaluate(model, prompts, name, params)
        grads = torch.autograd.grad(smooth, list(params.values()), retain_graph=True)
        of_norms = torch.autograd.grad(norms, list(params.values()))
        for part, values in (("params", params.values()), ("grad", grads), ("grad_norm", of_norms)):
            expected.update({f"{name}/{part}/{key}": value for key, value in zip(params, values)})
        cases.append({"name": name, "policy": policy, "options": options, "sites": list(SITES), "layers": list(LAYERS),
                      "position_key": "shared" if shared else "from_end", "positions": 1 if shared else 2,
                      "terms": terms, "logit_diffs": differences})
    os.makedirs(folder, exist_ok=True)
    reference.dump_json(os.path.join(folder, "functions.json"),
                        {"prompts": prompts, "strengths": list(STRENGTHS), "lambda_r": LAMBDA_R, "cases": cases})
    reference.write_safetensors(os.path.join(folder, "functions.safetensors"),
                                {key: value.detach().numpy() for key, value in expected.items()})


def write_all(out):
    for name, (config, tensors, _) in reference.fixture_models().items():
        if name in MODELS:
            write_fixture(os.path.join(out, name), name, config, tensors)
            print(f"{name}: {os.path.getsize(os.path.join(out, name, 'functions.safetensors')) / 1024:.0f} KiB")


if __name__ == "__main__":
    reference.write_or_check(__doc__, "functions", MODELS, write_all, only="prompts")
