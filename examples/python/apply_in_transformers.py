# SPDX-License-Identifier: Apache-2.0
"""Steers a model of the transformers library with an intervention file, and prints the ten likeliest next tokens.

    python apply_in_transformers.py MODEL INTERVENTION STRENGTH TEXT|ID,ID,...
"""

import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import interventions

# The module of a block that has the activations, and whether they are what it takes or what it gives.
SITES = {
    "gpt2": {"resid_pre": ("", "in"), "attn_z": ("attn.c_proj", "in"), "attn_out": ("attn", "out"),
             "resid_mid": ("ln_2", "in"), "mlp_post": ("mlp.c_proj", "in"), "mlp_out": ("mlp", "out"),
             "resid_post": ("", "out")},
    "gpt_neox": {"resid_pre": ("", "in"), "attn_z": ("attention.dense", "in"), "attn_out": ("attention", "out"),
                 "resid_mid": ("post_attention_layernorm", "in"), "mlp_post": ("mlp.dense_4h_to_h", "in"),
                 "mlp_out": ("mlp", "out"), "resid_post": ("", "out")},
}


def hook(model, entry, layer, parameters, beta):
    family = model.config.model_type
    block = (model.transformer.h if family == "gpt2" else model.gpt_neox.layers)[layer]
    name, side = SITES[family][entry["site"]]
    heads = model.config.num_attention_heads if entry["site"] == "attn_z" else 1

    def change(h):  # in place, because a block keeps its stream beside what its modules see
        h = (h[0] if isinstance(h, tuple) else h)[0]
        rows = h.view(len(h), heads, -1) if heads > 1 else h
        h.copy_(interventions.steered(entry, parameters, rows, beta).view_as(h))

    module = block.get_submodule(name)
    if side == "in":
        module.register_forward_pre_hook(lambda _, args, kwargs: change(args or kwargs["hidden_states"]), with_kwargs=True)
    else:
        module.register_forward_hook(lambda _, args, output: change(output))


@torch.no_grad()
def main(folder, path, strength, prompt):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    is_text = not prompt.replace(",", "").isdigit()
    tokenizer = AutoTokenizer.from_pretrained(folder) if is_text else None
    ids = tokenizer.encode(prompt) if is_text else [int(number) for number in prompt.split(",")]
    for entry, layer, parameters in interventions.read(path):
        hook(model, entry, layer, parameters, float(strength))
    interventions.print_likeliest(model(torch.tensor([ids])).logits[0, -1], tokenizer)


if __name__ == "__main__":
    main(*sys.argv[1:])
