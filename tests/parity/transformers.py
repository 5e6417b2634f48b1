#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the logits of `trimtab logits --backend cuda` with those of Hugging Face transformers, for models with
random weights that `save_pretrained` wrote: GPT-2, and GPT-NeoX with parallel and sequential blocks. Exit status 1 if
any differ.

    python3 tests/parity/transformers.py build/cuda/trimtab [eigen|cuda]
"""

import json
import subprocess
import sys
import tempfile

import torch
from transformers import GPT2Config, GPT2LMHeadModel, GPTNeoXConfig, GPTNeoXForCausalLM

TOLERANCE = {"float": 1e-4, "tf32": 2e-2, "bf16": 5e-2}  # of the largest logit


def models():
    torch.manual_seed(1)
    yield "gpt2", GPT2LMHeadModel(GPT2Config(vocab_size=1003, n_positions=300, n_embd=192, n_layer=4, n_head=3,
                                             initializer_range=0.2))
    for parallel in (True, False):
        yield f"gpt_neox, parallel {parallel}", GPTNeoXForCausalLM(GPTNeoXConfig(
            vocab_size=1024, max_position_embeddings=300, hidden_size=192, intermediate_size=768, num_hidden_layers=4,
            num_attention_heads=3, rotary_pct=0.25, use_parallel_residual=parallel, initializer_range=0.1))


def main():
    program, backend = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "cuda"
    failed = 0
    for name, model in models():
        model.eval()
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder, safe_serialization=True)
            for length in (1, 17, 257):
                ids = torch.randint(model.config.vocab_size, (length,)).tolist()
                with torch.no_grad():
                    right = model(torch.tensor([ids])).logits[0].double()
                for precision, tolerance in TOLERANCE.items():
                    if backend == "eigen" and precision != "float":
                        continue
                    run = subprocess.run(
                        [program, "logits", "--model", folder, "--ids", ",".join(map(str, ids)), "--all", "--json",
                         "--backend", backend, "--precision", precision], stdout=subprocess.PIPE, check=True)
                    found = torch.tensor(json.loads(run.stdout)["logits"], dtype=torch.float64)
                    off = ((found - right).abs().max() / right.abs().max()).item()
                    verdict = "agrees" if off < tolerance else "DIFFERS"
                    failed += off >= tolerance
                    print(f"{name}, {length} tokens, {precision}: {verdict}, off by {off:.1e} of the largest logit")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
