#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The scores of places by TransformerLens 4, in double, for the embedded models: its own functions on its own forward pass.

    python3 tests/parity/explain_elsewhere.py --out tests/parity/fixtures    writes explain.json and explain.safetensors
    python3 tests/parity/explain_elsewhere.py --check                        compares them with the stored ones

Needs transformer_lens 4, transformers, tokenizers, torch and NumPy. Files and names are those of explain.py, which computes
the same scores from their definition on random models.

    patching-denoising             patching.get_act_patch_*, less the metric of the corrupt run
    gradient, denoising, noising   products of the caches of cache_activation_and_gradient, with which attribution_patch is
                                   checked here
    direct                         direct_logit_attribution by component and by head, which centres writing weights
    lens                           logit_lens
    attention                      the cache's patterns
"""

import os
import pathlib
import unittest.mock

import torch

import explain
import reference

MODELS = ("tiny-gpt2", "tiny-pythia")
FOLDERS = pathlib.Path(__file__).resolve().parents[2] / "examples/models"
PROMPTS = (("As Kyle and Jessica walked to the museum, Jessica offered a snack to",
            "As Jessica and Kyle walked to the museum, Kyle offered a snack to", " Kyle", " Jessica"),
           ("The capital of Hungary is Havana. Q: What is the capital of Hungary? A:",
            "The capital of Hungary is Budapest. Q: What is the capital of Hungary? A:", " Budapest", " Havana"))
# Site -> hook of a block, and how patching names it; the bridge has no function for resid_post.
HOOKS = {"resid_pre": "hook_resid_pre", "attn_z": "attn.hook_z", "attn_out": "hook_attn_out", "mlp_out": "hook_mlp_out",
         "resid_post": "hook_resid_post"}
PATCHES = {"resid_pre": "resid_pre", "attn_z": "attn_head_out_by_pos", "attn_out": "attn_out", "mlp_out": "mlp_out"}


def load(folder, **processing):
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import AutoModelForCausalLM

    weights = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64).eval()
    if weights.config.model_type == "gpt_neox":
        rotate_in_double(weights.gpt_neox.rotary_emb, weights.config.rope_parameters["rope_theta"])
    model = TransformerBridge.boot_transformers(str(folder), hf_model=weights, dtype=torch.float64)
    if processing:
        with unittest.mock.patch.object(torch.Tensor, "float", torch.Tensor.double):  # it would process them in float32
            model.enable_compatibility_mode(disable_warnings=True, **processing)
    return model


def rotate_in_double(rotary, base):
    """transformers has angles in float32, whatever the type of the weights."""
    turned = 2 * len(rotary.inv_freq)
    frequencies = base ** (-torch.arange(0, turned, 2) / turned)

    def forward(x, position_ids):
        angles = (position_ids[..., None] * frequencies).repeat(1, 1, 2)
        return angles.cos(), angles.sin()

    rotary.forward = forward


def make_prompts(folder):
    from tokenizers import Tokenizer

    encode = Tokenizer.from_file(str(folder / "tokenizer.json")).encode
    answer = lambda text: encode(text).ids[0]
    return [{"ids": encode(clean).ids, "corrupt_ids": encode(corrupt).ids, "correct_id": answer(correct),
             "wrong_id": answer(wrong)} for clean, corrupt, correct, wrong in PROMPTS]


def gradient_scores(model, clean, corrupt, metric):
    """name -> [L, T] or [L, T, H]"""
    from transformer_lens.tools.analysis import attribution_patching as theirs

    layers = range(model.cfg.n_layers)
    names = [f"blocks.{layer}.{hook}" for layer in layers for hook in HOOKS.values()]
    of_clean, of_corrupt = (theirs.cache_activation_and_gradient(model, ids, metric, names) for ids in (clean, corrupt))
    found = {}
    for site, hook in HOOKS.items():
        def at(cache, values):
            return torch.stack([getattr(cache, values)[f"blocks.{layer}.{hook}"][0] for layer in layers])

        h, other = at(of_clean, "activations"), at(of_corrupt, "activations")
        found[f"gradient/{site}"] = (h * at(of_clean, "gradients")).sum(-1)
        found[f"denoising/{site}"] = ((h - other) * at(of_corrupt, "gradients")).sum(-1)
        found[f"noising/{site}"] = ((other - h) * at(of_clean, "gradients")).sum(-1)

    for node, score in theirs.attribution_patch(model, clean, corrupt, metric).node_scores.items():
        if node.kind == "attn_head_out":
            own = found["denoising/attn_z"][node.layer, node.position, node.head]
        elif node.kind == "mlp_out":
            own = found["denoising/mlp_out"][node.layer, node.position]
        else:
            continue
        assert abs(own - score) < 1e-12, node
    return found


def direct_scores(folder, model, clean, prompt):
    from transformer_lens.tools.analysis.direct_logit_attribution import direct_logit_attribution

    layers, heads, tokens = model.cfg.n_layers, model.cfg.n_heads, clean.shape[1]
    found = {f"direct/{site}": torch.zeros(layers, tokens, *([heads] if site == "attn_z" else []))
             for site in ("attn_z", "attn_out", "mlp_out")}
    # A head's share has no part of the biases of values, so these are not folded.
    folded = load(folder, fold_value_biases=False)
    for unit in ("component", "head"):
        result = direct_logit_attribution(folded, clean, prompt["correct_id"], prompt["wrong_id"], unit=unit)
        for label, share in zip(result.labels, result.attribution.flatten()):
            if label == "embed":
                found["direct/embedding"] = share
            elif label == "pos_embed":
                found["direct/position_embedding"] = share
            elif label.endswith(("_attn_out", "_mlp_out")):
                layer, site = label.split("_", 1)
                found[f"direct/{site}"][int(layer), -1] = share
            elif label.startswith("L"):
                layer, head = label[1:].split("H")
                found["direct/attn_z"][int(layer), -1, int(head)] = share
    found.setdefault("direct/position_embedding", torch.zeros(()))
    bias = folded.unembed.b_U
    found["direct/constant"] = bias[prompt["correct_id"]] - bias[prompt["wrong_id"]]
    return found


def lens_scores(model, clean, prompt):
    from transformer_lens.tools.analysis.logit_lens import logit_lens

    answers = [prompt["correct_id"], prompt["wrong_id"]]
    read = {kind: logit_lens(model, clean, positions=None, targets=answers, return_type=kind).readout
            for kind in ("logits", "probs")}
    z, p, ranks = (x[1:, 0] for x in (read["logits"].values, read["probs"].values, read["logits"].target_ranks))
    top = logit_lens(model, clean, positions=None, top_k=1).readout.top_ids[1:, 0, :, 0]
    return {"lens/D": z[..., 0] - z[..., 1], "lens/p_correct": p[..., 0], "lens/p_wrong": p[..., 1],
            "lens/rank_correct": ranks[..., 0] + 1.0, "lens/rank_wrong": ranks[..., 1] + 1.0, "lens/top_id": top + 0.0}


def score_prompt(folder, model, prompt):
    from transformer_lens import patching

    clean, corrupt = torch.tensor([prompt["ids"]]), torch.tensor([prompt["corrupt_ids"]])

    def metric(z):
        return z[0, -1, prompt["correct_id"]] - z[0, -1, prompt["wrong_id"]]

    with torch.no_grad():
        logits, cache = model.run_with_cache(clean)
        found = {"clean/logit-diff": metric(logits), "corrupt/logit-diff": metric(model(corrupt))}
        for site, name in PATCHES.items():
            patched = getattr(patching, "get_act_patch_" + name)(model, corrupt, cache, metric)
            found[f"patching-denoising/{site}"] = patched - found["corrupt/logit-diff"]
        found["attention/patterns"] = torch.stack([cache["pattern", layer][0] for layer in range(model.cfg.n_layers)])
        found.update(direct_scores(folder, model, clean, prompt))
        found.update(lens_scores(model, clean, prompt))
    found.update(gradient_scores(model, clean, corrupt, metric))
    return found


def write_all(out):
    os.environ["HF_HUB_OFFLINE"] = "1"
    for name in MODELS:
        folder = FOLDERS / name
        model, prompts = load(folder), make_prompts(folder)
        of_prompts = [score_prompt(folder, model, prompt) for prompt in prompts]
        explain.write_scores(os.path.join(out, name), {"prompts": prompts}, of_prompts)


def is_as_stored():
    return reference.same_as_stored("explain", MODELS, write_all)


if __name__ == "__main__":
    reference.write_or_check(__doc__, "explain", MODELS, write_all)
