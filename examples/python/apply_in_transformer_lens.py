# SPDX-License-Identifier: Apache-2.0
"""Steers a model of TransformerLens (version 3 or later) with an intervention file, and prints the ten likeliest next
tokens.

    python apply_in_transformer_lens.py MODEL INTERVENTION STRENGTH TEXT|ID,ID,...
"""

import sys

import torch
from transformer_lens.model_bridge import TransformerBridge
from transformers import AutoModelForCausalLM, AutoTokenizer

import interventions

HOOKS = {"resid_pre": "hook_resid_pre", "attn_z": "attn.hook_z", "attn_out": "hook_attn_out",
         "resid_mid": "hook_resid_mid", "mlp_post": "mlp.hook_post", "mlp_out": "hook_mlp_out",
         "resid_post": "hook_resid_post"}


@torch.no_grad()
def main(folder, path, strength, prompt):
    weights = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    model = TransformerBridge.boot_transformers(folder, hf_model=weights)
    is_text = not prompt.replace(",", "").isdigit()
    tokenizer = AutoTokenizer.from_pretrained(folder) if is_text else None
    ids = tokenizer.encode(prompt) if is_text else [int(number) for number in prompt.split(",")]
    hooks = []
    for entry, layer, parameters in interventions.read(path):
        def change(h, hook, entry=entry, parameters=parameters):
            heads = weights.config.num_attention_heads if entry["site"] == "attn_z" else 1
            rows = h[0].reshape(h.shape[1], heads, -1) if heads > 1 else h[0]
            # In place: at resid_mid the bridge takes what a hook returns for the norm alone, not for the stream.
            return h.copy_(interventions.steered(entry, parameters, rows, float(strength)).reshape(h.shape))
        hooks.append((f"blocks.{layer}.{HOOKS[entry['site']]}", change))
    logits = model.run_with_hooks(torch.tensor([ids]), fwd_hooks=hooks)
    interventions.print_likeliest(logits[0, -1], tokenizer)


if __name__ == "__main__":
    main(*sys.argv[1:])
