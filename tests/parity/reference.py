#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An independent reference for trimtab: GPT-2, GPT-NeoX, policies, objective and fit, in PyTorch and double precision.

    python3 tests/parity/reference.py --out tests/parity/fixtures    writes the fixtures (seeded: same bytes every time)
    python3 tests/parity/reference.py --check                        tests the reference, and the stored fixtures

It shares no code with the library: forward passes are written from the definition of the Hugging Face models, gradients
come from autograd, prompts are run one by one. It needs Python 3.8, NumPy and PyTorch only. (One installation always
writes the same bytes; another BLAS may round differently in the last digits, which `--check` allows.)


What is in a fixture folder, `fixtures/<model>/`
================================================

config.json, model.safetensors   a Hugging Face folder with float32 weights. All expected values below were computed in
                                 float64 from these float32 weights.
cases.json                       what to compute, and the expected scalars
expected.safetensors             parameters (inputs); logits and gradients (expected)

cases.json
----------
    {"model": name,
     "batches": {"ragged": [PROMPT, ...], "equal": [PROMPT, ...]},   five prompts of lengths 1 to the full context;
                                                                     four prompts of length 6
     "activations_of": {"batch": "ragged", "prompt": 1},             whose activations are recorded (see below)
     "cases": [CASE, ...], "trajectories": [TRAJECTORY, ...]}

    PROMPT  {"ids": [...], "correct_id": c, "wrong_id": w}

    CASE    {"name", "batch": "ragged" | "equal", INTERVENTION, "objective": OBJECTIVE, "expected": EXPECTED}

    INTERVENTION, keys of a case or trajectory:
            "policy": "activ_scalar" | "steer_vec" | "affine" | "dyn_scalar"
            "bias": true | false, "squash": "none" | "tanh", "normalise": "none" | "rms"      (dyn_scalar only)
            "position_key": "absolute" | "from_end" | "shared", "positions": P
            "sites": [kind, ...], "layers": [l, ...]        every kind at every one of these layers

    OBJECTIVE   {"psi": "hinge" | "identity" | "softplus", "margin", "kl": "masked" | "full",
                 "kl_direction": "forward" | "reverse", "minimality": "sum" | "mean" | "group",
                 "lambda_f", "lambda_m", "strengths": [1, -1]}

    EXPECTED    {"loss", "effectiveness", "faithfulness", "minimality",
                 "per_prompt": [{"logit_diff": {"+1": D, "-1": D}, "kl": mean over the strengths}, ...]}
                loss = effectiveness + lambda_f * faithfulness + lambda_m * minimality; the terms are not weighted;
                "kl" obeys the objective's "kl" and "kl_direction".

    TRAJECTORY  {"name", "batch", INTERVENTION, "objective", "learning_rate", "beta1", "beta2", "epsilon", "steps",
                 "trace": [terms before step 1, ..., before step n], "final": terms after the last step}
                terms = {"loss", "effectiveness", "faithfulness", "minimality"}; all parameters start at zero.

expected.safetensors (F64, but for the parameters of cases, which are F32 and to be widened)
---------------------------------------------------------------------------------------------
    unsteered/ragged, unsteered/equal      [sum of T, V]  untouched logits at every position, prompt by prompt
    activations/blocks.<l>.<kind>          [T, D], attn_z [T, H, Dh], mlp_post [T, inner]: untouched, of one prompt
    <case>/params/<site>.<parameter>       the intervention, names and shapes as below
    <case>/logits/<strength>               [N, V] at the last position; strength as in "logit_diff": +1, -1, +0.5
    <case>/grad/<site>.<parameter>         gradient of L_E + lambda_f L_F, shaped like the parameter
    <trajectory>/params/<site>.<parameter> the parameters after the last step

Parameters (P positions; D is the width of the site: model width, or the MLP's inner width for mlp_post; rows of layers
that are not intervened on are zero, in the gradient as well):

    activ_scalar   alpha  [L, P]                          attn_z: [L, P, H]
    steer_vec      vector [L, P, D]                       attn_z: [L, P, H, Dh]
    affine         alpha and vector
    dyn_scalar     weight [L, D], bias [L] if any         (not given for attn_z; no positions: P = 1, "shared")


The formulas
============

Policies, at a site's activation h, with strength beta:
    activ_scalar   (1 + beta alpha) h
    steer_vec      h + beta v
    affine         (1 + beta alpha) h + beta v
    dyn_scalar     (1 + beta g) h,  g = w.h + b | tanh(w.h + b) | w.(h / rms(h)) + b,  rms(h) = sqrt(mean(h^2) + 1e-6);
                   tanh and rms combine to tanh(w.(h / rms(h)) + b); h is what arrives at the site in this same pass

Positions, the record that token t of a prompt of length T reads:
    absolute   t (T must equal P)
    from_end   T - 1 - t, so 0 is the last token; tokens with T - 1 - t >= P are left alone
    shared     0 for every token

Minimality: "sum" of |theta| over all parameters; "mean" is that divided by the number of parameters of the layers
intervened on; "group" is the sum over sites of the Euclidean norm of all parameters of the site, where a site is (kind,
layer, position record) for the static policies, and head at attn_z, and (kind, layer) for dyn_scalar, bias included.

Means run over prompts n and strengths beta; sign(0.5) = 1; the hinge has slope 0 at its kink.
"""

import argparse
import itertools
import json
import math
import os
import struct
import sys
import tempfile
import zlib

import numpy as np
import torch

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)  # one order of summation


# ---- safetensors: 8 bytes of header length (little endian), a JSON header, the data --------------------------------

DTYPES = {"F64": "<f8", "F32": "<f4", "I64": "<i8", "BOOL": "|b1", "U8": "|u1"}
DTYPE_NAMES = {np.dtype(v): k for k, v in DTYPES.items()}


def write_safetensors(path, tensors, metadata=None):
    header, chunks, offset = {}, [], 0
    if metadata:
        header["__metadata__"] = metadata
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name]).reshape(np.shape(tensors[name]))
        data = array.tobytes()
        header[name] = {"dtype": DTYPE_NAMES[array.dtype], "shape": list(array.shape),
                        "data_offsets": [offset, offset + len(data)]}
        chunks.append(data)
        offset += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)))
        file.write(text)
        for data in chunks:
            file.write(data)


def read_safetensors(path):
    with open(path, "rb") as file:
        content = file.read()
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = (8 + size + offset for offset in entry["data_offsets"])
        tensors[name] = np.frombuffer(content[begin:end], DTYPES[entry["dtype"]]).reshape(entry["shape"]).copy()
    return tensors


# ---- the models ----------------------------------------------------------------------------------------------------


def layer_norm(x, gain, bias, epsilon):
    centred = x - x.mean(-1, keepdim=True)
    variance = (centred * centred).mean(-1, keepdim=True)
    return centred / torch.sqrt(variance + epsilon) * gain + bias


def gelu_erf(x):
    return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))


def gelu_tanh(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def gelu_fast(x):
    return 0.5 * x * (1 + torch.tanh(x * 0.7978845608 * (1 + 0.044715 * x * x)))


def quick_gelu(x):
    return x * torch.sigmoid(1.702 * x)


ACTIVATIONS = {"gelu": gelu_erf, "gelu_python": gelu_erf, "gelu_new": gelu_tanh, "gelu_pytorch_tanh": gelu_tanh,
               "gelu_python_tanh": gelu_tanh, "gelu_accurate": gelu_tanh, "gelu_fast": gelu_fast,
               "quick_gelu": quick_gelu, "silu": torch.nn.functional.silu, "swish": torch.nn.functional.silu,
               "relu": torch.relu}


def attention_pattern(q, k, divisor=None):
    """q, k [T, H, Dh] -> [H, T, T]; scores are divided by `divisor`, else by sqrt(Dh)."""
    length, _, head_width = q.shape
    scores = torch.einsum("qhd,khd->hqk", q, k) / (divisor or math.sqrt(head_width))
    future = torch.ones(length, length, dtype=torch.bool).triu(1)
    return torch.softmax(scores.masked_fill(future, -math.inf), -1)


def causal_attention(q, k, v, divisor=None):
    """q, k, v [T, H, Dh] -> z [T, H, Dh]"""
    return torch.einsum("hqk,khd->qhd", attention_pattern(q, k, divisor), v)


def untouched(kind, layer, h):
    return h


class Gpt2:
    """HF's GPT2LMHeadModel: learned positions, sequential residual, Conv1D weights [in, out]."""

    # Names that transformers has for all families, and GPT-2's own.
    general_names = {"hidden_size": "n_embd", "max_position_embeddings": "n_positions",
                     "num_attention_heads": "n_head", "num_hidden_layers": "n_layer"}

    def __init__(self, config, tensors):
        config = {self.general_names.get(key, key): value for key, value in config.items()}
        self.layers, self.width, self.heads = config["n_layer"], config["n_embd"], config["n_head"]
        # Scores are divided by sqrt(Dh), by the number of the layer, by both or by neither.
        self.by_width = config["scale_attn_weights"]
        self.by_layer = config.get("scale_attn_by_inverse_layer_idx", False)
        self.inner = config["n_inner"] or 4 * self.width
        self.vocabulary, self.context = config["vocab_size"], config["n_positions"]
        self.epsilon, self.activation = config["layer_norm_epsilon"], ACTIVATIONS[config["activation_function"]]
        self.weights = {}
        for name, array in tensors.items():
            without_prefix = name[len("transformer.") :] if name.startswith("transformer.") else name
            self.weights[without_prefix] = torch.tensor(array, dtype=torch.float64)
        if config.get("tie_word_embeddings", True):
            self.weights["lm_head.weight"] = self.weights["wte.weight"]

    kinds = ("resid_pre", "attn_z", "attn_out", "resid_mid", "mlp_post", "mlp_out", "resid_post")

    def affine(self, name, x):
        return x @ self.weights[name + ".weight"] + self.weights[name + ".bias"]

    def norm(self, name, x):
        return layer_norm(x, self.weights[name + ".weight"], self.weights[name + ".bias"], self.epsilon)

    def logits(self, ids, site=untouched):
        """Logits [T, V] of one prompt; `site(kind, layer, h)` returns what replaces the activation h."""
        length = len(ids)
        x = self.weights["wte.weight"][ids] + self.weights["wpe.weight"][:length]
        for layer in range(self.layers):
            block = f"h.{layer}."
            x = site("resid_pre", layer, x)
            q, k, v = self.affine(block + "attn.c_attn", self.norm(block + "ln_1", x)).split(self.width, -1)
            q, k, v = (part.reshape(length, self.heads, -1) for part in (q, k, v))
            divisor = (math.sqrt(self.width / self.heads) if self.by_width else 1.0) * (layer + 1 if self.by_layer else 1)
            z = site("attn_z", layer, causal_attention(q, k, v, divisor))
            attn_out = site("attn_out", layer, self.affine(block + "attn.c_proj", z.reshape(length, -1)))
            x = site("resid_mid", layer, x + attn_out)
            hidden = self.activation(self.affine(block + "mlp.c_fc", self.norm(block + "ln_2", x)))
            hidden = site("mlp_post", layer, hidden)
            mlp_out = site("mlp_out", layer, self.affine(block + "mlp.c_proj", hidden))
            x = site("resid_post", layer, x + mlp_out)
        return self.norm("ln_f", x) @ self.weights["lm_head.weight"].T


class GptNeoX:
    """HF's GPTNeoXForCausalLM (Pythia): rotary positions, parallel or sequential residual, Linear weights [out, in]."""

    def __init__(self, config, tensors):
        self.layers, self.width = config["num_hidden_layers"], config["hidden_size"]
        self.heads, self.inner = config["num_attention_heads"], config["intermediate_size"]
        self.vocabulary, self.context = config["vocab_size"], config["max_position_embeddings"]
        self.epsilon, self.activation = config["layer_norm_eps"], ACTIVATIONS[config["hidden_act"]]
        self.parallel = config["use_parallel_residual"]
        self.rotary = int(self.width // self.heads * config["rotary_pct"])
        self.rotary_base = config["rotary_emb_base"]
        self.weights = {name: torch.tensor(array, dtype=torch.float64) for name, array in tensors.items()}

    @property
    def kinds(self):
        return tuple(kind for kind in Gpt2.kinds if not (self.parallel and kind == "resid_mid"))

    def affine(self, name, x):
        return x @ self.weights[name + ".weight"].T + self.weights.get(name + ".bias", 0)

    def norm(self, name, x):
        return layer_norm(x, self.weights[name + ".weight"], self.weights[name + ".bias"], self.epsilon)

    def rotate(self, x):
        """Turns channels (i, i + r/2) of the first r channels of each head by the angle t base^(-2i/r)."""
        half = self.rotary // 2
        frequency = self.rotary_base ** (-torch.arange(half) * 2.0 / self.rotary)
        angle = torch.arange(len(x))[:, None] * frequency  # [T, r/2]
        cos, sin = torch.cos(angle)[:, None, :], torch.sin(angle)[:, None, :]
        first, second, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
        return torch.cat([first * cos - second * sin, second * cos + first * sin, rest], -1)

    def attention(self, block, layer, x, site):
        length = len(x)
        # The output is [head][q, k, v][head width], not [q, k, v][head][head width].
        qkv = self.affine(block + "attention.query_key_value", x).reshape(length, self.heads, 3, -1)
        z = causal_attention(self.rotate(qkv[:, :, 0]), self.rotate(qkv[:, :, 1]), qkv[:, :, 2])
        z = site("attn_z", layer, z)
        return site("attn_out", layer, self.affine(block + "attention.dense", z.reshape(length, -1)))

    def mlp(self, block, layer, x, site):
        hidden = site("mlp_post", layer, self.activation(self.affine(block + "mlp.dense_h_to_4h", x)))
        return site("mlp_out", layer, self.affine(block + "mlp.dense_4h_to_h", hidden))

    def logits(self, ids, site=untouched):
        """Logits [T, V] of one prompt; `site(kind, layer, h)` returns what replaces the activation h."""
        x = self.weights["gpt_neox.embed_in.weight"][ids]
        for layer in range(self.layers):
            block = f"gpt_neox.layers.{layer}."
            x = site("resid_pre", layer, x)
            attn_out = self.attention(block, layer, self.norm(block + "input_layernorm", x), site)
            if self.parallel:
                mlp_out = self.mlp(block, layer, self.norm(block + "post_attention_layernorm", x), site)
                x = x + attn_out + mlp_out
            else:
                x = site("resid_mid", layer, x + attn_out)
                x = x + self.mlp(block, layer, self.norm(block + "post_attention_layernorm", x), site)
            x = site("resid_post", layer, x)
        return self.norm("gpt_neox.final_layer_norm", x) @ self.weights["embed_out.weight"].T


def make_model(config, tensors):
    return {"gpt2": Gpt2, "gpt_neox": GptNeoX}[config["model_type"]](config, tensors)


# ---- interventions -------------------------------------------------------------------------------------------------


def records(position_key, positions, length):
    """For every token the index of its parameter record, or None if it is left alone."""
    if position_key == "absolute":
        assert length == positions, "absolute positions need prompts of exactly that length"
        return list(range(length))
    if position_key == "from_end":
        return [length - 1 - t if length - 1 - t < positions else None for t in range(length)]
    assert position_key == "shared" and positions == 1
    return [0] * length


def parameter_shapes(model, spec):
    """Names and shapes of the parameter tensors of an intervention (the INTERVENTION keys of a case)."""
    shapes = {}
    for kind in spec["sites"]:
        width = (model.inner,) if kind == "mlp_post" else (model.width,)
        head = ()
        if kind == "attn_z":
            head, width = (model.heads,), (model.width // model.heads,)
        static = (model.layers, spec["positions"]) + head
        if spec["policy"] in ("activ_scalar", "affine"):
            shapes[kind + ".alpha"] = static
        if spec["policy"] in ("steer_vec", "affine"):
            shapes[kind + ".vector"] = static + width
        if spec["policy"] == "dyn_scalar":
            assert kind != "attn_z"
            shapes[kind + ".weight"] = (model.layers,) + width
            if spec["bias"]:
                shapes[kind + ".bias"] = (model.layers,)
    return shapes


def gate(spec, h, weight, bias):
    """g(h) [T, 1] of dyn_scalar for h [T, D]."""
    if spec["normalise"] == "rms":
        h = h / torch.sqrt((h * h).mean(-1, keepdim=True) + 1e-6)
    g = (h * weight).sum(-1, keepdim=True)
    if bias is not None:
        g = g + bias
    return torch.tanh(g) if spec["squash"] == "tanh" else g


def steering(spec, params, beta):
    """The `site` function that applies an intervention with strength beta."""

    def site(kind, layer, h):
        if kind not in spec["sites"] or layer not in spec["layers"]:
            return h
        if spec["policy"] == "dyn_scalar":
            bias = params[kind + ".bias"][layer] if spec["bias"] else None
            return (1 + beta * gate(spec, h, params[kind + ".weight"][layer], bias)) * h
        rows = []
        for token, record in zip(h, records(spec["position_key"], spec["positions"], len(h))):
            if record is not None and kind + ".alpha" in params:
                token = (1 + beta * params[kind + ".alpha"][layer, record][..., None]) * token
            if record is not None and kind + ".vector" in params:
                token = token + beta * params[kind + ".vector"][layer, record]
            rows.append(token)
        return torch.stack(rows)

    return site


def groups(model, spec, params):
    """The parameters of every site intervened on, each as a list of (tensor name, index) that select them."""
    result = []
    for kind in spec["sites"]:
        names = [name for name in params if name.startswith(kind + ".")]
        heads = range(model.heads) if kind == "attn_z" else (None,)
        for layer in spec["layers"]:
            if spec["policy"] == "dyn_scalar":
                result.append([(name, (layer,)) for name in names])
                continue
            for record in range(spec["positions"]):
                for head in heads:
                    index = (layer, record) if head is None else (layer, record, head)
                    result.append([(name, index) for name in names])
    return result


# ---- the objective -------------------------------------------------------------------------------------------------

PSI = {
    "hinge": torch.relu,
    "identity": lambda u: u,
    # max(u, 0) + log(1 + exp(-|u|)): PyTorch's own softplus turns linear above a threshold.
    "softplus": lambda u: torch.relu(u) + torch.log1p(torch.exp(-torch.abs(u))),
}


def sign(x):
    return (x > 0) - (x < 0)


def strength_name(beta):
    return f"{beta:+g}"


def divergence(objective, before, after, correct, wrong):
    """KL between the next-token distributions before and after steering, from logits [V]."""
    if objective["kl"] == "masked":
        keep = [j for j in range(len(before)) if j not in (correct, wrong)]
        before, after = before[keep], after[keep]
    log_p, log_q = torch.log_softmax(before, -1), torch.log_softmax(after, -1)
    if objective["kl_direction"] == "reverse":
        log_p, log_q = log_q, log_p
    return (torch.exp(log_p) * (log_p - log_q)).sum()


def minimality(model, spec, objective, params):
    sites = groups(model, spec, params)
    if objective["minimality"] == "group":
        return sum(torch.sqrt(sum((params[name][index] ** 2).sum() for name, index in site)) for site in sites)
    total = sum(params[name][index].abs().sum() for site in sites for name, index in site)
    if objective["minimality"] == "sum":
        return total
    return total / sum(params[name][index].numel() for site in sites for name, index in site)


def evaluate(model, batch, unsteered, spec, objective, params):
    """All terms of the objective, with the graph for the gradients of the parameters."""
    psi_values, kl_values, per_prompt = [], [], []
    logits = {strength_name(beta): [] for beta in objective["strengths"]}
    for prompt, before in zip(batch, unsteered):
        correct, wrong, difference, kls = prompt["correct_id"], prompt["wrong_id"], {}, []
        for beta in objective["strengths"]:
            z = model.logits(prompt["ids"], steering(spec, params, beta))[-1]
            d = z[correct] - z[wrong]
            psi_values.append(PSI[objective["psi"]](objective["margin"] - sign(beta) * d))
            kls.append(divergence(objective, before[-1], z, correct, wrong))
            logits[strength_name(beta)].append(z)
            difference[strength_name(beta)] = d.item()
        per_prompt.append({"logit_diff": difference, "kl": (sum(kls) / len(kls)).item()})
        kl_values += kls
    effectiveness = sum(psi_values) / len(psi_values)
    faithfulness = sum(kl_values) / len(kl_values)
    smooth = effectiveness + objective["lambda_f"] * faithfulness
    minimal = minimality(model, spec, objective, {name: value.detach() for name, value in params.items()})
    terms = {"loss": (smooth + objective["lambda_m"] * minimal).item(), "effectiveness": effectiveness.item(),
             "faithfulness": faithfulness.item(), "minimality": minimal.item()}
    return smooth, terms, per_prompt, {name: torch.stack(rows).detach() for name, rows in logits.items()}


def evaluate_with_gradient(model, batch, unsteered, spec, objective, params):
    leaves = {name: value.detach().clone().requires_grad_() for name, value in params.items()}
    smooth, terms, per_prompt, logits = evaluate(model, batch, unsteered, spec, objective, leaves)
    grads = torch.autograd.grad(smooth, list(leaves.values()), allow_unused=True)
    grads = [torch.zeros_like(leaf) if grad is None else grad for leaf, grad in zip(leaves.values(), grads)]
    return terms, per_prompt, logits, dict(zip(leaves, grads))


# ---- Adam with the proximal step -----------------------------------------------------------------------------------


def shrink_each(u, eta, weight):
    return torch.sign(u) * torch.clamp(torch.abs(u) - eta * weight, min=0)


def shrink_group(u, eta, weight):
    """argmin over theta of sum (theta_j - u_j)^2 / (2 eta_j) + weight |theta|_2, for vectors u, eta.

    theta_j = u_j s / (s + eta_j weight), where s = |theta| solves sum (u_j / (s + eta_j weight))^2 = 1: the left side
    falls with s, so bisection finds it between 0 and |u|.
    """

    def excess(s):
        return ((u / (s + eta * weight)) ** 2).sum().item() - 1

    if excess(0.0) <= 0:
        return torch.zeros_like(u)
    low, high = 0.0, torch.sqrt((u * u).sum()).item()
    while True:
        middle = 0.5 * (low + high)
        if middle in (low, high):  # no number is left between them
            break
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return u * (high / (high + eta * weight))


def fit(model, batch, unsteered, spec, objective, adam, noise=0.0):
    """Returns the terms before every step and after the last, and the final parameters; `noise` perturbs gradients."""
    params = {name: torch.zeros(shape) for name, shape in parameter_shapes(model, spec).items()}
    mean = {name: torch.zeros_like(value) for name, value in params.items()}
    square = {name: torch.zeros_like(value) for name, value in params.items()}
    sites, trace = groups(model, spec, params), []
    count = sum(params[name][index].numel() for site in sites for name, index in site)
    random = np.random.RandomState(0)
    for step in range(1, adam["steps"] + 1):
        terms, _, _, grads = evaluate_with_gradient(model, batch, unsteered, spec, objective, params)
        trace.append(terms)
        eta = {}
        for name, value in params.items():
            grad = grads[name]
            if noise > 0:
                relative, absolute = (torch.tensor(random.standard_normal(value.shape)) for _ in range(2))
                grad = grad * (1 + noise * relative) + 1e-6 * noise * absolute
            mean[name] = adam["beta1"] * mean[name] + (1 - adam["beta1"]) * grad
            square[name] = adam["beta2"] * square[name] + (1 - adam["beta2"]) * grad * grad
            corrected = square[name] / (1 - adam["beta2"] ** step)
            eta[name] = adam["learning_rate"] / (torch.sqrt(corrected) + adam["epsilon"])
            params[name] = value - eta[name] * mean[name] / (1 - adam["beta1"] ** step)
        weight = objective["lambda_m"] / (count if objective["minimality"] == "mean" else 1)
        for site in sites if objective["minimality"] == "group" else [[part] for site in sites for part in site]:
            u = torch.cat([params[name][index].reshape(-1) for name, index in site])
            step_size = torch.cat([eta[name][index].reshape(-1) for name, index in site])
            shrink = shrink_group if objective["minimality"] == "group" else shrink_each
            shrunk = shrink(u, step_size, weight)
            for name, index in site:
                size = params[name][index].numel()
                params[name][index] = shrunk[:size].reshape(params[name][index].shape)
                shrunk = shrunk[size:]
    final = evaluate_with_gradient(model, batch, unsteered, spec, objective, params)[0]
    return trace, final, params


# ---- the fixture models --------------------------------------------------------------------------------------------


def seeded(*names):
    """A generator of its own for every name, so that adding a fixture leaves the others as they are. RandomState's
    stream is frozen by NumPy's compatibility policy."""
    return np.random.RandomState(zlib.crc32("/".join(names).encode()))


class WeightMaker:
    """float32 weights with logits of order one, attention that is far from uniform, and nothing equal to 0 or 1."""

    def __init__(self, name):
        self.random, self.tensors = seeded("weights", name), {}

    def normal(self, name, shape, scale):
        self.tensors[name] = (scale * self.random.standard_normal(shape)).astype(np.float32)

    def norm(self, name, width):
        self.normal(name + ".weight", (width,), 0.3)
        self.tensors[name + ".weight"] += np.float32(1)
        self.normal(name + ".bias", (width,), 0.2)

    def linear(self, name, fan_in, fan_out, scale, conv1d, bias=True):
        self.normal(name + ".weight", (fan_in, fan_out) if conv1d else (fan_out, fan_in), scale / math.sqrt(fan_in))
        if bias:
            self.normal(name + ".bias", (fan_out,), 0.2)


def gpt2_weights(name, config, prefix, buffers):
    make, width, inner = WeightMaker(name), config["n_embd"], config["n_inner"] or 4 * config["n_embd"]
    make.normal(prefix + "wte.weight", (config["vocab_size"], width), 0.6)
    make.normal(prefix + "wpe.weight", (config["n_positions"], width), 0.4)
    for layer in range(config["n_layer"]):
        block = f"{prefix}h.{layer}."
        make.norm(block + "ln_1", width)
        make.linear(block + "attn.c_attn", width, 3 * width, 1.3, True)
        make.linear(block + "attn.c_proj", width, width, 0.8, True)
        make.norm(block + "ln_2", width)
        make.linear(block + "mlp.c_fc", width, inner, 1.2, True)
        make.linear(block + "mlp.c_proj", inner, width, 1.0, True)
        if buffers:  # the causal mask that older checkpoints carry; to be ignored
            size = config["n_positions"]
            make.tensors[block + "attn.bias"] = np.tril(np.ones((size, size), np.float32)).reshape(1, 1, size, size)
    make.norm(prefix + "ln_f", width)
    if not config["tie_word_embeddings"]:
        make.normal("lm_head.weight", (config["vocab_size"], width), 0.5)
    return make.tensors


def neox_weights(name, config, buffers):
    make, width, inner = WeightMaker(name), config["hidden_size"], config["intermediate_size"]
    bias = config.get("attention_bias", True)
    make.normal("gpt_neox.embed_in.weight", (config["vocab_size"], width), 0.8)
    for layer in range(config["num_hidden_layers"]):
        block = f"gpt_neox.layers.{layer}."
        make.norm(block + "input_layernorm", width)
        make.norm(block + "post_attention_layernorm", width)
        make.linear(block + "attention.query_key_value", width, 3 * width, 1.3, False, bias)
        make.linear(block + "attention.dense", width, width, 0.8, False, bias)
        make.linear(block + "mlp.dense_h_to_4h", width, inner, 1.2, False)
        make.linear(block + "mlp.dense_4h_to_h", inner, width, 1.0, False)
        if buffers:  # as in the Pythia checkpoints; to be ignored
            size = config["max_position_embeddings"]
            rotary = int(width // config["num_attention_heads"] * config["rotary_pct"])
            make.tensors[block + "attention.bias"] = np.tril(np.ones((1, 1, size, size), np.bool_))
            make.tensors[block + "attention.masked_bias"] = np.array(-1e9, np.float32)
            inverse = 1.0 / config["rotary_emb_base"] ** (np.arange(0, rotary, 2) / rotary)
            make.tensors[block + "attention.rotary_emb.inv_freq"] = inverse.astype(np.float32)
    make.norm("gpt_neox.final_layer_norm", width)
    make.normal("embed_out.weight", (config["vocab_size"], width), 0.4)
    return make.tensors


def gpt2_config(**changes):
    config = {"activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"], "attn_pdrop": 0.1,
              "bos_token_id": 0, "embd_pdrop": 0.1, "eos_token_id": 0, "initializer_range": 0.02,
              "layer_norm_epsilon": 1e-5, "model_type": "gpt2", "n_ctx": 16, "n_embd": 12, "n_head": 3, "n_inner": None,
              "n_layer": 3, "n_positions": 16, "resid_pdrop": 0.1, "scale_attn_weights": True,
              "tie_word_embeddings": True, "torch_dtype": "float32", "vocab_size": 29}
    return {**config, **changes}


def neox_config(**changes):
    config = {"architectures": ["GPTNeoXForCausalLM"], "bos_token_id": 0, "eos_token_id": 0, "hidden_act": "gelu",
              "hidden_size": 24, "initializer_range": 0.02, "intermediate_size": 30, "layer_norm_eps": 1e-5,
              "max_position_embeddings": 14, "model_type": "gpt_neox", "num_attention_heads": 3, "num_hidden_layers": 3,
              "rotary_emb_base": 10000, "rotary_pct": 0.25, "tie_word_embeddings": False, "torch_dtype": "float32",
              "use_cache": True, "use_parallel_residual": True, "vocab_size": 37}
    return {**config, **changes}


def fixture_models():
    """name -> (config, float32 tensors, number of token ids that prompts use)."""
    models = {}
    config = gpt2_config()
    models["gpt2-a"] = config, gpt2_weights("gpt2-a", config, "transformer.", buffers=False), 29
    config = gpt2_config(activation_function="gelu", layer_norm_epsilon=1e-3, n_embd=15, n_head=5, n_inner=22, n_ctx=11,
                         n_positions=11, tie_word_embeddings=False, vocab_size=19)
    models["gpt2-b"] = config, gpt2_weights("gpt2-b", config, "", buffers=True), 19
    # int(8 * 0.55) = 4 of 8 channels rotate; ids 32 to 36 are padding of the vocabulary, no prompt has them.
    config = neox_config(rotary_pct=0.55)
    models["neox-parallel"] = config, neox_weights("neox-parallel", config, buffers=True), 32
    config = neox_config(hidden_size=18, intermediate_size=41, max_position_embeddings=12, rotary_emb_base=1000,
                         rotary_pct=1.0, use_parallel_residual=False, vocab_size=17)
    models["neox-sequential"] = config, neox_weights("neox-sequential", config, buffers=False), 17

    # The other configurations of the families, with fewer cases.
    def add_gpt2(name, general_names=(), **changes):
        config = gpt2_config(**changes)
        weights = gpt2_weights(name, config, "transformer.", buffers=False)
        for general in general_names:
            config[general] = config.pop(Gpt2.general_names[general])
        models[name] = config, weights, 29

    add_gpt2("gpt2-unscaled", activation_function="relu", scale_attn_weights=False)
    add_gpt2("gpt2-by-layer", Gpt2.general_names, activation_function="quick_gelu", reorder_and_upcast_attn=True,
             scale_attn_by_inverse_layer_idx=True)
    add_gpt2("gpt2-unscaled-by-layer", activation_function="gelu_fast", scale_attn_by_inverse_layer_idx=True,
             scale_attn_weights=False)
    config = neox_config(attention_bias=False, hidden_act="silu", rotary_pct=0.5)
    models["neox-no-bias"] = config, neox_weights("neox-no-bias", config, buffers=False), 37
    return models


def make_batches(name, context, ids):
    def prompt(random, length):
        correct, wrong = (int(t) for t in random.choice(ids, 2, replace=False))
        return {"ids": [int(t) for t in random.randint(0, ids, length)], "correct_id": correct, "wrong_id": wrong}

    random = seeded("prompts", name)
    return {"ragged": [prompt(random, length) for length in (3, 5, 1, context, 8)],
            "equal": [prompt(random, 6) for _ in range(4)]}


# ---- the cases -----------------------------------------------------------------------------------------------------

PAPER_SITES = ["attn_out", "mlp_out", "resid_post"]
DEFAULT_OBJECTIVE = {"psi": "hinge", "margin": 1.0, "kl": "masked", "kl_direction": "forward", "minimality": "sum",
                     "lambda_f": 1.0, "lambda_m": 0.01, "strengths": [1, -1]}
# Bounds of the parameters (of a weight: times its width): small enough that no activation is scaled to nearly zero,
# where LayerNorm is ill-conditioned.
BOUNDS = {"alpha": 0.6, "vector": 0.5, "weight": 0.6, "bias": 0.2}


def intervention(policy, position_key, sites, layers=(0, 1, 2), **variant):
    """The batch and the INTERVENTION keys."""
    spec = {"batch": "equal" if position_key == "absolute" else "ragged", "policy": policy}
    if policy == "dyn_scalar":
        spec.update({"bias": True, "squash": "none", "normalise": "none", **variant})
    spec["position_key"] = position_key
    spec["positions"] = {"absolute": 6, "from_end": 3, "shared": 1}[position_key]
    spec["sites"], spec["layers"] = list(sites), list(layers)
    return spec


DYN_VARIANTS = {"no-bias": {"bias": False}, "tanh": {"squash": "tanh"}, "rms": {"normalise": "rms"},
                "tanh-rms": {"squash": "tanh", "normalise": "rms"}}


def intervention_cases(model):
    """name -> (intervention, changes to the default objective), for any model."""
    cases = {}

    def add(name, *args, objective=None, **variant):
        assert name not in cases
        cases[name] = intervention(*args, **variant), objective or {}

    without_heads = [kind for kind in model.kinds if kind != "attn_z"]
    for kind in model.kinds:  # every policy at every kind alone
        add(f"activ_scalar-{kind}", "activ_scalar", "absolute", [kind])
        add(f"steer_vec-{kind}", "steer_vec", "from_end", [kind])
        if kind in without_heads:
            add(f"dyn_scalar-{kind}", "dyn_scalar", "shared", [kind])
    # policies made of the same pieces: at one kind, and at all together
    add("affine-resid_post", "affine", "shared", ["resid_post"])
    for name, variant in DYN_VARIANTS.items():
        add(f"dyn_scalar-{name}-resid_post", "dyn_scalar", "shared", ["resid_post"], **variant)
    for name in ("no-bias", "tanh-rms"):
        add(f"dyn_scalar-{name}-all-kinds", "dyn_scalar", "shared", without_heads, **DYN_VARIANTS[name])
    # the other position keys
    for policy, keys in (("activ_scalar", ("from_end", "shared")), ("steer_vec", ("absolute", "shared")),
                         ("affine", ("absolute", "from_end"))):
        for key in keys:
            add(f"{policy}-{key}", policy, key, ["attn_out"])
    # several kinds at once
    for policy, key in (("activ_scalar", "absolute"), ("steer_vec", "from_end"), ("affine", "shared"),
                        ("dyn_scalar", "shared")):
        add(f"{policy}-paper-sites", policy, key, PAPER_SITES)
    add("activ_scalar-all-kinds", "activ_scalar", "from_end", model.kinds)
    add("steer_vec-all-kinds", "steer_vec", "shared", model.kinds)
    add("affine-all-kinds", "affine", "shared", model.kinds)
    # some layers only
    add("activ_scalar-first-layer", "activ_scalar", "absolute", PAPER_SITES, [0])
    add("activ_scalar-last-layer", "activ_scalar", "absolute", PAPER_SITES, [2])
    add("steer_vec-middle-layer", "steer_vec", "from_end", PAPER_SITES, [1])
    add("affine-outer-layers", "affine", "shared", ["resid_pre", "mlp_post"], [0, 2])
    add("dyn_scalar-last-layers", "dyn_scalar", "shared", PAPER_SITES, [1, 2])
    # strengths beyond +1 and -1
    add("activ_scalar-strengths", "activ_scalar", "absolute", PAPER_SITES, objective={"strengths": [1, -1, 0.5]})
    add("dyn_scalar-strengths", "dyn_scalar", "shared", PAPER_SITES, objective={"strengths": [1.5, -0.5]})
    return cases


def objective_cases():
    """Every variant of the objective, on one intervention."""
    cases = {}
    spec = intervention("steer_vec", "shared", PAPER_SITES)
    # Minimality does not depend on the other three choices, so its variants take turns; so do the strengths.
    turn = itertools.cycle((("sum", [1, -1]), ("mean", [1, -1, 0.5]), ("group", [1, -1])))
    for psi, kl, direction in itertools.product(PSI, ("masked", "full"), ("forward", "reverse")):
        minimal, strengths = next(turn)
        cases[f"objective-{psi}-{kl}-{direction}"] = spec, {
            "psi": psi, "kl": kl, "kl_direction": direction, "minimality": minimal, "strengths": strengths}
    for minimal in ("mean", "group"):
        cases[f"objective-{minimal}"] = spec, {"minimality": minimal}
    cases["objective-weights"] = spec, {"margin": 0.0, "lambda_f": 0.3, "lambda_m": 0.5}
    cases["objective-effectiveness-only"] = spec, {"lambda_f": 0.0, "lambda_m": 0.0}
    cases["objective-group-affine"] = intervention("affine", "from_end", PAPER_SITES), {"minimality": "group"}
    cases["objective-group-dyn_scalar"] = intervention("dyn_scalar", "shared", PAPER_SITES), {"minimality": "group"}
    return cases


# What is computed for the models that differ from the others in their configuration only.
CONFIGURATION_CASES = ("affine-all-kinds", "activ_scalar-all-kinds", "dyn_scalar-paper-sites", "steer_vec-resid_pre")


def cases_of(name, model):
    cases = intervention_cases(model)
    if name not in ("gpt2-a", "gpt2-b", "neox-parallel", "neox-sequential"):
        return {case: cases[case] for case in CONFIGURATION_CASES}
    if name == "gpt2-a":
        cases.update(objective_cases())
    return cases


ADAM = {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "steps": 10}


def trajectory_specs():
    """name -> (intervention, changes to the default objective, learning rate)."""
    absolute = {"position_key": "absolute", "sites": PAPER_SITES}
    return {
        "fit-activ_scalar": (intervention("activ_scalar", **absolute), {"lambda_m": 0.03}, 0.03),
        "fit-activ_scalar-mean": (intervention("activ_scalar", "from_end", PAPER_SITES),
                                  {"lambda_m": 1.0, "minimality": "mean"}, 0.03),
        "fit-steer_vec": (intervention("steer_vec", **absolute), {"lambda_m": 0.003}, 0.01),
        "fit-steer_vec-group": (intervention("steer_vec", **absolute), {"lambda_m": 0.03, "minimality": "group"}, 0.01),
        "fit-dyn_scalar": (intervention("dyn_scalar", "shared", PAPER_SITES), {"lambda_m": 0.01}, 0.001),
        "fit-dyn_scalar-no-bias-group": (intervention("dyn_scalar", "shared", PAPER_SITES, bias=False),
                                         {"lambda_m": 0.03, "minimality": "group"}, 0.001),
    }


def random_parameters(model, spec, *names):
    random, params = seeded("parameters", *names), {}
    for name, shape in parameter_shapes(model, spec).items():
        bound = BOUNDS[name.rsplit(".", 1)[1]] / (shape[-1] if name.endswith(".weight") else 1)
        values = (bound * random.uniform(-1, 1, shape)).astype(np.float32)
        for layer in range(model.layers):
            if layer not in spec["layers"]:
                values[layer] = 0
        params[name] = torch.tensor(values, dtype=torch.float64)
    return params


# ---- writing the fixtures ------------------------------------------------------------------------------------------


def dump_json(path, value):
    """JSON with a line for each element of the outer lists, to keep differences readable."""

    def line(element):
        return json.dumps(element, separators=(",", ":"))

    parts = []
    for key, content in value.items():
        if isinstance(content, list):
            lines = ",\n".join(line(element) for element in content)
            parts.append(f"  {json.dumps(key)}: [\n{lines}\n  ]" if content else f"  {json.dumps(key)}: []")
        else:
            parts.append(f"  {json.dumps(key)}: {line(content)}")
    with open(path, "w") as file:
        file.write("{\n" + ",\n".join(parts) + "\n}\n")


def record_activations(model, ids):
    seen = {}

    def site(kind, layer, h):
        seen[f"blocks.{layer}.{kind}"] = h
        return h

    model.logits(ids, site)
    return seen


def write_fixture(folder, name, config, tensors, ids):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "config.json"), "w") as file:
        file.write(json.dumps(config, indent=2, sort_keys=True) + "\n")
    write_safetensors(os.path.join(folder, "model.safetensors"), tensors, {"format": "pt"})

    model = make_model(config, tensors)
    batches = make_batches(name, model.context, ids)
    unsteered = {key: [model.logits(prompt["ids"]) for prompt in batch] for key, batch in batches.items()}
    expected = {f"unsteered/{key}": torch.cat(rows) for key, rows in unsteered.items()}
    for key, value in record_activations(model, batches["ragged"][1]["ids"]).items():
        expected["activations/" + key] = value

    cases = []
    for case, (spec, changes) in cases_of(name, model).items():
        objective = {**DEFAULT_OBJECTIVE, **changes}
        params = random_parameters(model, spec, name, "objective" if case.startswith("objective-") else case)
        batch = spec["batch"]
        terms, per_prompt, logits, grads = evaluate_with_gradient(
            model, batches[batch], unsteered[batch], spec, objective, params)
        for part, values in (("params", params), ("logits", logits), ("grad", grads)):
            if part == "params":  # float32 numbers by construction
                values = {key: value.to(torch.float32) for key, value in values.items()}
            expected.update({f"{case}/{part}/{key}": value for key, value in values.items()})
        cases.append({"name": case, **spec, "objective": objective, "expected": {**terms, "per_prompt": per_prompt}})

    trajectories = []
    if name in ("gpt2-a", "neox-parallel"):
        for trajectory, (spec, changes, learning_rate) in trajectory_specs().items():
            objective = {**DEFAULT_OBJECTIVE, **changes}
            adam = {"learning_rate": learning_rate, **ADAM}
            batch = spec["batch"]
            trace, final, params = fit(model, batches[batch], unsteered[batch], spec, objective, adam)
            expected.update({f"{trajectory}/params/{key}": value for key, value in params.items()})
            trajectories.append(
                {"name": trajectory, **spec, "objective": objective, **adam, "trace": trace, "final": final})

    dump_json(os.path.join(folder, "cases.json"), {
        "model": name, "batches": batches, "activations_of": {"batch": "ragged", "prompt": 1},
        "cases": cases, "trajectories": trajectories})
    write_safetensors(os.path.join(folder, "expected.safetensors"),
                      {key: value.detach().numpy() for key, value in expected.items()})


def write_all(out):
    for name, (config, tensors, ids) in fixture_models().items():
        write_fixture(os.path.join(out, name), name, config, tensors, ids)
        size = sum(os.path.getsize(os.path.join(out, name, file)) for file in os.listdir(os.path.join(out, name)))
        print(f"{name}: {size / 1024:.0f} KiB")


# ---- checks of the reference itself --------------------------------------------------------------------------------


class Checks:
    def __init__(self):
        self.failures = 0

    def __call__(self, what, good, detail=""):
        print(("ok    " if good else "FAIL  ") + what + (f"  ({detail})" if detail else ""))
        self.failures += not good

    def below(self, what, value, bound):
        self(what, value < bound, f"{value:.2g} < {bound:g}")


def load_folder(folder):
    with open(os.path.join(folder, "config.json")) as file:
        config = json.load(file)
    return make_model(config, read_safetensors(os.path.join(folder, "model.safetensors")))


def check_nano_sort(check, assets):
    folder = os.path.join(assets, "nano-sort")
    if not os.path.isdir(folder):
        print(f"skip  nano-sort: {folder} is not there")
        return
    model, golden = load_folder(folder), read_safetensors(os.path.join(folder, "activations.safetensors"))
    worst = {}
    for row, ids in enumerate(golden["input_ids"]):
        seen = record_activations(model, [int(t) for t in ids])
        seen["logits"] = model.logits([int(t) for t in ids])
        for key in set(seen) & set(golden):
            worst[key] = max(worst.get(key, 0), float(np.abs(seen[key].numpy() - golden[key][row]).max()))
    check("nano-sort: block 0, all residuals and logits are among the recorded activations",
          {"blocks.0." + kind for kind in model.kinds} | {"blocks.2.resid_post", "logits"} <= set(worst))
    check.below("nano-sort: recorded activations", max(worst.values()), 2e-6)


def perturbed(params, name, index, change):
    copy = {key: value.clone() for key, value in params.items()}
    copy[name][index] += change
    return copy


def check_gradients(check, name, model, batches, unsteered, cases):
    """Central differences at two random entries of every parameter tensor of every case."""
    random, worst, kink = seeded("check", name), 0.0, math.inf
    for case, (spec, changes) in cases.items():
        objective = {**DEFAULT_OBJECTIVE, **changes}
        params = random_parameters(model, spec, name, "objective" if case.startswith("objective-") else case)
        setting = model, batches[spec["batch"]], unsteered[spec["batch"]], spec, objective
        _, per_prompt, _, grads = evaluate_with_gradient(*setting, params)
        if objective["psi"] == "hinge":
            kink = min([kink] + [abs(objective["margin"] - sign(float(beta)) * d)
                                 for prompt in per_prompt for beta, d in prompt["logit_diff"].items()])
        with torch.no_grad():
            for tensor in params:
                check_zero = [layer for layer in range(model.layers) if layer not in spec["layers"]]
                if any(grads[tensor][layer].abs().max() > 0 for layer in check_zero):
                    check(f"{name} {case}: no gradient where there is no intervention", False)
                for _ in range(2):
                    index = tuple(random.randint(0, n) for n in params[tensor].shape)
                    index = (spec["layers"][random.randint(len(spec["layers"]))],) + index[1:]
                    h = 1e-5  # small, not to step over a hinge's kink; the formula is of fourth order
                    up, down, down2, up2 = (
                        evaluate(*setting, perturbed(params, tensor, index, n * h))[0].item() for n in (1, -1, -2, 2))
                    slope = (8 * (up - down) - (up2 - down2)) / (12 * h)
                    worst = max(worst, abs(slope - grads[tensor][index].item()))
    check.below(f"{name}: gradients of {len(cases)} cases against central differences", worst, 1e-8)
    check(f"{name}: no hinge sits at its kink", kink > 1e-3, f"nearest {kink:.2g}")


def check_facts(check, name, model, batches, unsteered):
    """Checks the facts of the method that hold exactly for any weights."""
    spec = intervention("affine", "from_end", model.kinds)
    random = random_parameters(model, spec, "facts", name)
    zero = {key: torch.zeros_like(value) for key, value in random.items()}
    same = all(torch.equal(model.logits(p["ids"], steering(spec, params, beta)), z)
               for params, beta in ((zero, 1.0), (random, 0.0)) for p, z in zip(batches["ragged"], unsteered["ragged"]))
    check(f"{name}: zero parameters or zero strength change no bit", same)

    spec = intervention("activ_scalar", "shared", ["attn_out"], [1])
    ids = batches["ragged"][4]["ids"]
    ablated = model.logits(ids, lambda kind, layer, h: 0 * h if (kind, layer) == ("attn_out", 1) else h)
    minus_one = {"attn_out.alpha": torch.full((model.layers, 1), -1.0)}
    check.below(f"{name}: alpha = -1 is zero-ablation",
                (model.logits(ids, steering(spec, minus_one, 1)) - ablated).abs().max().item(), 1e-14)

    # A vector at resid_post of one layer is the same vector at resid_pre of the next.
    vector, values = torch.stack([random["resid_post.vector"][0]] * model.layers), []
    for kind, layer in (("resid_post", 0), ("resid_pre", 1)):
        spec = intervention("steer_vec", "from_end", [kind], [layer])
        values.append(model.logits(ids, steering(spec, {kind + ".vector": vector}, 1)))
    check(f"{name}: resid_post is the next layer's resid_pre", torch.equal(*values))

    # Causality: dropping the last token changes nothing before it.
    check.below(f"{name}: attention is causal",
                (model.logits(ids)[:-1] - model.logits(ids[:-1])).abs().max().item(), 1e-13)

    # Last layer: positions that are not scored have no gradient, except at resid_pre, which feeds keys and values.
    for kind in model.kinds:
        spec = intervention("activ_scalar", "absolute", [kind], [2])
        params = random_parameters(model, spec, "facts", name, kind)
        grad = evaluate_with_gradient(model, batches["equal"], unsteered["equal"], spec, DEFAULT_OBJECTIVE, params)[3]
        before = grad[kind + ".alpha"][2, :-1].abs().max().item()
        check(f"{name}: gradient before the scored position, last layer, {kind}", (before > 0) == (kind == "resid_pre"))

    # With LayerNorm's epsilon 0: resid_post times s equals all later attn_out and mlp_out times 1/s, at one position.
    epsilon, model.epsilon, s = model.epsilon, 0.0, 1.7

    def scale_stream(kind, layer, h):
        factor = torch.ones(len(h), *[1] * (h.dim() - 1))
        factor[-1] = s if (kind, layer) == ("resid_post", 0) else 1.0
        return factor * h

    def scale_writes(kind, layer, h):
        factor = torch.ones(len(h), *[1] * (h.dim() - 1))
        factor[-1] = 1 / s if kind in ("attn_out", "mlp_out") and layer > 0 else 1.0
        return factor * h

    check.below(f"{name}: scaling the stream is the inverse of scaling later writes",
                (model.logits(ids, scale_stream) - model.logits(ids, scale_writes)).abs().max().item(), 1e-12)

    # ... and its gradient form, with alpha away from the identity, for each strength alone.
    spec = intervention("activ_scalar", "absolute", PAPER_SITES)
    params = random_parameters(model, spec, "facts", name)
    worst = 0.0
    before = [model.logits(prompt["ids"]) for prompt in batches["equal"]]
    for beta in (1, -1):
        objective = {**DEFAULT_OBJECTIVE, "strengths": [beta]}
        grads = evaluate_with_gradient(model, batches["equal"], before, spec, objective, params)[3]
        w = {kind: (1 + beta * params[kind + ".alpha"]) * grads[kind + ".alpha"] for kind in PAPER_SITES}
        for layer in range(model.layers):
            later = w["attn_out"][layer + 1 :].sum(0) + w["mlp_out"][layer + 1 :].sum(0)
            worst = max(worst, (w["resid_post"][layer] + later).abs().max().item())
    check.below(f"{name}: gradient of the stream's scalar is minus that of later writes", worst, 1e-13)
    model.epsilon = epsilon


def check_group_step(check):
    """The proximal step of the per-site norm against its own definition."""
    random, worst = seeded("group"), 0.0
    for _ in range(50):
        u, eta = torch.tensor(random.standard_normal(5)), torch.tensor(random.uniform(0.1, 2, 5))
        weight = random.uniform(0.1, 3)
        theta = shrink_group(u, eta, weight)
        if theta.abs().max() > 0:  # stationary point
            slope = (theta - u) / eta + weight * theta / theta.norm()
        else:  # zero is optimal if the slope at zero is at most the weight
            slope = torch.relu((u / eta).norm() - weight)
        worst = max(worst, slope.abs().max().item())
    check.below("the group's proximal step solves its problem", worst, 1e-12)


def largest_difference(a, b):
    """Between two JSON values of the same structure; infinite if the structure or any text differs."""
    if isinstance(a, bool) or isinstance(b, bool) or not isinstance(a, (int, float, list, dict)):
        return 0.0 if type(a) is type(b) and a == b else math.inf
    if isinstance(a, (int, float)):
        return abs(a - b) if isinstance(b, (int, float)) else math.inf
    if type(a) is not type(b) or len(a) != len(b) or (isinstance(a, dict) and list(a) != list(b)):
        return math.inf
    keys = a if isinstance(a, dict) else range(len(a))
    return max([0.0] + [largest_difference(a[key], b[key]) for key in keys])


def check_stored(check, stored):
    """The stored fixtures are what this program writes."""
    if not os.path.isdir(stored):
        print(f"skip  stored fixtures: {stored} is not there")
        return
    with tempfile.TemporaryDirectory() as fresh:
        write_all(fresh)
        for name in fixture_models():
            def path(root, file):
                return os.path.join(root, name, file)

            for file in ("config.json", "model.safetensors", "cases.json", "expected.safetensors"):
                with open(path(stored, file), "rb") as a, open(path(fresh, file), "rb") as b:
                    same = a.read() == b.read()
                if same or file.startswith(("config", "model")):
                    check(f"{name}/{file} is reproduced byte for byte", same)
                elif file == "cases.json":
                    with open(path(stored, file)) as a, open(path(fresh, file)) as b:
                        check.below(f"{name}/{file}", largest_difference(json.load(a), json.load(b)), 1e-10)
                else:
                    a, b = read_safetensors(path(stored, file)), read_safetensors(path(fresh, file))
                    shapes_a, shapes_b = ({key: value.shape for key, value in each.items()} for each in (a, b))
                    check(f"{name}/{file}: same tensors", shapes_a == shapes_b)
                    if shapes_a == shapes_b:
                        check.below(f"{name}/{file}", max(float(np.abs(a[key] - b[key]).max()) for key in a), 1e-10)


def check_all(assets, stored):
    check = Checks()
    check_nano_sort(check, assets)
    check_group_step(check)
    for name, (config, tensors, ids) in fixture_models().items():
        model = make_model(config, tensors)
        batches = make_batches(name, model.context, ids)
        unsteered = {key: [model.logits(prompt["ids"]) for prompt in batch] for key, batch in batches.items()}
        logits = torch.cat(unsteered["ragged"])
        check(f"{name}: logits of order one", 0.8 < logits.std() < 4,
              f"std {logits.std():.2f}, largest {logits.abs().max():.2f}")
        check_facts(check, name, model, batches, unsteered)
        check_gradients(check, name, model, batches, unsteered, cases_of(name, model))
        if name in ("gpt2-a", "neox-parallel"):  # a trajectory that amplifies rounding would be no fixture
            for trajectory, (spec, changes, learning_rate) in trajectory_specs().items():
                objective = {**DEFAULT_OBJECTIVE, **changes}
                adam = {"learning_rate": learning_rate, **ADAM}
                setting = model, batches[spec["batch"]], unsteered[spec["batch"]], spec, objective, adam
                (trace, final, exact), (_, _, rough) = fit(*setting), fit(*setting, noise=1e-10)
                check.below(f"{name} {trajectory}: well conditioned",
                            max((exact[key] - rough[key]).abs().max().item() for key in exact), 1e-9)
                nonzero, count = (sum(int(f(v)) for v in exact.values()) for f in (torch.count_nonzero, torch.numel))
                check(f"{name} {trajectory}: falls, with some but not all parameters at zero",
                      final["loss"] < trace[0]["loss"] and 0 < nonzero < count,
                      f"{trace[0]['loss']:.4f} to {final['loss']:.4f}, {nonzero} of {count}")
    check_stored(check, stored)
    print("all checks passed" if check.failures == 0 else f"{check.failures} checks failed")
    return check.failures == 0


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    root = os.path.dirname(os.path.dirname(here))
    assets = os.environ.get("TRIMTAB_TEST_ASSETS", os.path.join(root, "..", "shared", "assets"))
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", help="folder to write the fixtures to")
    parser.add_argument("--check", action="store_true", help="test the reference and the stored fixtures")
    arguments = parser.parse_args()
    if not (arguments.out or arguments.check):
        parser.error("nothing to do: give --out FOLDER or --check")
    if arguments.out:
        write_all(arguments.out)
    if arguments.check and not check_all(assets, arguments.out or os.path.join(here, "fixtures")):
        sys.exit(1)


def same_as_stored(name, models, write_all, only=None):
    """Compares the fixtures NAME.json (all of it, or the entry `only`) and NAME.safetensors with fresh ones."""
    check = Checks()
    stored = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fixtures")
    with tempfile.TemporaryDirectory() as fresh:
        write_all(fresh)
        for model in models:
            a, b = (os.path.join(root, model, f"{name}.") for root in (stored, fresh))
            with open(a + "json") as one, open(b + "json") as other:
                one, other = json.load(one), json.load(other)
                check(f"{model}/{name}.json", one == other if only is None else one[only] == other[only])
            a, b = (read_safetensors(path + "safetensors") for path in (a, b))
            check(f"{model}/{name}.safetensors: same tensors", list(a) == list(b))
            check.below(f"{model}/{name}.safetensors", max(float(np.abs(a[key] - b[key]).max()) for key in a), 1e-10)
    return check.failures == 0


def write_or_check(description, name, models, write_all, only=None):
    """The command line of a script that makes fixtures: --out FOLDER and --check."""
    parser = argparse.ArgumentParser(description=description.split("\n")[0])
    parser.add_argument("--out", help="folder of the fixtures to write to")
    parser.add_argument("--check", action="store_true", help="compare the stored values with fresh ones")
    arguments = parser.parse_args()
    if not (arguments.out or arguments.check):
        parser.error("nothing to do: give --out FOLDER or --check")
    if arguments.out:
        write_all(arguments.out)
    if arguments.check and not same_as_stored(name, models, write_all, only):
        sys.exit(1)


if __name__ == "__main__":
    main()
