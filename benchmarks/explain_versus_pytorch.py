#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times maps of places in trimtab and in PyTorch, in turn, in one run; prints medians and ratios.

    cmake --preset release && cmake --build --preset release --target bench_explain_map
    python3 benchmarks/explain_versus_pytorch.py

The model has the shape of GPT-2 small and random weights; the prompt and its corrupt one have 16 tokens. The patching map
is of resid_pre, attn_out and mlp_out in all layers at all tokens: 576 places. PyTorch makes it as it is usually made, by
one run a place: GPT-2 of transformers with its fused attention, without gradients, a hook that writes the clean run's
activation into the corrupt one, the logits of the last token only. Both sides must find the same numbers. An attribution
map of the same places is compared with a run of the same prompt in trimtab.

Needs PyTorch and transformers 5.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

import versus_pytorch as fits

SITES = ("resid_pre", "attn_out", "mlp_out")
TOKENS = 16


class Hooked:
    """GPT-2 with one activation exchanged."""

    def __init__(self, torch, folder, case):
        from transformers import AutoModelForCausalLM

        self.torch, self.case = torch, case
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.clean, self.corrupt = (torch.tensor([case[key]]) for key in ("ids", "corrupt_ids"))
        self.blocks = self.model.transformer.h
        self.cache = {}
        hooks = [self.hook(site, layer, self.keep(site, layer)) for site in SITES for layer in range(len(self.blocks))]
        self.run(self.clean)
        for hook in hooks:
            hook.remove()
        self.untouched = self.run(self.corrupt)

    def hook(self, site, layer, change):
        block = self.blocks[layer]
        if site == "resid_pre":
            return block.register_forward_pre_hook(lambda _, inputs: (change(inputs[0]), *inputs[1:]))
        if site == "attn_out":
            return block.attn.register_forward_hook(lambda _, __, out: (change(out[0]), *out[1:]))
        return block.mlp.register_forward_hook(lambda _, __, out: change(out))

    def keep(self, site, layer):
        def change(h):
            self.cache[site, layer] = h.clone()
            return h

        return change

    def run(self, ids):
        with self.torch.no_grad():
            z = self.model(ids, use_cache=False, logits_to_keep=1).logits[0, -1]
        return z[self.case["correct"]] - z[self.case["wrong"]]

    def patched(self, place):
        site, layer, token = place

        def change(h):
            h = h.clone()
            h[0, token] = self.cache[site, layer][0, token]
            return h

        hook = self.hook(site, layer, change)
        change_of_metric = (self.run(self.corrupt) - self.untouched).item()
        hook.remove()
        return change_of_metric


def measure(torch, folder, program, threads, rounds):
    pair = fits.make_case(fits.GPT2, [TOKENS, TOKENS], 0)
    case = {"ids": pair["prompts"][0], "corrupt_ids": pair["prompts"][1], "correct": pair["correct"][0],
            "wrong": pair["wrong"][0], "sites": SITES}
    ours = fits.Trimtab(program, folder, threads)
    theirs = Hooked(torch, folder, case)
    layers = len(theirs.blocks)
    places = [(site, layer, token) for site in SITES for layer in range(layers) for token in range(TOKENS)]
    ms = {"patching": [], "attribution": [], "forward": [], "run": []}
    found, answer = {}, None
    for turn in range(rounds):
        answer = ours.ask(do="patching", **case)
        ms["patching"].append(answer["ms"])
        for _ in range(4):
            for what in ("forward", "attribution"):
                ms[what].append(ours.ask(do=what, **case)["ms"])
        time.sleep(0.01)  # lets the threads of the other side fall asleep
        for place in places[turn::rounds]:
            start = time.perf_counter()
            found[place] = theirs.patched(place)
            ms["run"].append(1e3 * (time.perf_counter() - start))
        time.sleep(0.01)
    size = max(map(abs, found.values()))
    off = max(abs(found[site, layer, token] - answer["changes"][site][layer * TOKENS + token])
              for site, layer, token in places) / size
    if not off < 1e-4:
        sys.exit(f"trimtab and PyTorch disagree by {off:.1e} of the largest change")
    print(f"all {len(places)} changes agree to {off:.0e} of the largest, {size:.2f}")
    median = {what: statistics.median(times) for what, times in ms.items()}
    whole = len(places) * median["run"]
    print(f"patching map: trimtab {median['patching']:.0f} ms; PyTorch {median['run']:.1f} ms a run, {whole / 1e3:.1f} s "
          f"(measured in all: {sum(ms['run']) / 1e3:.1f} s); ratio {whole / median['patching']:.1f}")
    print(f"attribution map: {median['attribution']:.1f} ms, one run {median['forward']:.1f} ms; ratio "
          f"{median['attribution'] / median['forward']:.2f}")


def run_here(options):
    import torch

    torch.set_num_threads(options.threads)
    print(f"{fits.processor()}; PyTorch {torch.__version__} on {fits.blas(torch)}; {options.threads} thread(s); medians of "
          f"{options.rounds} turns")
    torch.manual_seed(1)
    tensors = fits.random_weights(torch, fits.GPT2)
    with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
        fits.write_folder(folder, dict(fits.GPT2, architectures=["GPT2LMHeadModel"]), tensors)
        del tensors
        measure(torch, folder, options.program, options.threads, options.rounds)


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--program", default=os.path.join(here, "../build/release/benchmarks/bench_explain_map"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--scratch", help="folder for 500 MB of temporary files")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        return run_here(options)
    environment = dict(os.environ, OMP_NUM_THREADS=str(options.threads), OPENBLAS_NUM_THREADS=str(options.threads),
                       HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error")
    fits.tune_blas(environment)
    subprocess.run([sys.executable, os.path.abspath(__file__), *sys.argv[1:], "--here"], env=environment, check=True)


if __name__ == "__main__":
    main()
