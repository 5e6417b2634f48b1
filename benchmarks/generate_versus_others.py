#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times greedy generation in trimtab, transformers and llama.cpp, in turn, in one run; prints medians of tokens a second.

    cmake --preset release && cmake --build --preset release --target trimtab_cli
    python3 benchmarks/generate_versus_others.py                        both models, both types
    python3 benchmarks/generate_versus_others.py --model gpt2 --type float32 --rounds 9

The model has the shape of GPT-2 small or Pythia-160m and random weights, which are made here and read by all. A text
has 12 tokens and gets 200 new ones; loading is not timed, reading the prompt is. There are these sides:

    trimtab        `trimtab generate --ids`, one process a turn
    steered        the same with activ_scalar at attn_out, mlp_out and resid_post, positions shared
    transformers   `generate` with its cache, in the folder's type
    llama.cpp      one llama_decode a token, with its defaults, on a GGUF file of the same type

What reading the weights once a token allows is their bytes over the rate of a copy (bytes read and written) by as many
threads, which is measured at each turn. A side that is not installed is left out with a sentence.

Needs numpy, torch and safetensors, and for the others transformers, llama-cpp-python and gguf.
"""

import argparse
import ctypes
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path += [str(ROOT / "benchmarks"), str(ROOT / "tests" / "parity")]

import elsewhere
import versus_pytorch

NEW = 200
PROMPT = [5, 100, 7, 42, 9, 300, 11, 2000, 17, 450, 31, 8]


def prompts(count):
    return [[(token + 13 * k) % 50000 for token in PROMPT] for k in range(count)]


def make_folder(folder, config, dtype):
    """A folder with random weights of this type; returns the bytes that one token reads."""
    import torch
    from safetensors.torch import save_file

    tensors = {name: t.to(getattr(torch, dtype)) for name, t in versus_pytorch.random_weights(torch, config).items()}
    architecture = "GPT2LMHeadModel" if config["model_type"] == "gpt2" else "GPTNeoXForCausalLM"
    pathlib.Path(folder, "config.json").write_text(json.dumps(config | {"architectures": [architecture], "dtype": dtype}))
    save_file(tensors, pathlib.Path(folder, "model.safetensors"), {"format": "pt"})
    looked_up = ("wpe.weight", "gpt_neox.embed_in.weight")
    return sum(t.numel() * t.element_size() for name, t in tensors.items() if name not in looked_up)


def copy_rate(threads, megabytes=256):
    """Bytes a second, read and written."""
    import numpy

    pairs = [(numpy.ones(megabytes << 17), numpy.ones(megabytes << 17)) for _ in range(threads)]

    def copy_all():
        workers = [threading.Thread(target=numpy.copyto, args=pair) for pair in pairs]
        start = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return 2 * threads * (megabytes << 20) / (time.perf_counter() - start)

    return statistics.median(copy_all() for _ in range(5))


class Trimtab:
    def __init__(self, arguments, folder, scratch, intervention=None):
        self.command = [arguments.program, "generate", "--model", folder, "--max-new-tokens", str(NEW), "--threads",
                        str(arguments.threads), "--temperature", "0", "--json", "--verbose"]
        if intervention:
            self.command += ["--intervention", intervention]
        self.scratch = scratch

    def rate(self, count):
        path = pathlib.Path(self.scratch, f"prompts-{count}.jsonl")
        path.write_text("".join(json.dumps({"ids": ids}) + "\n" for ids in prompts(count)))
        done = subprocess.run(self.command + ["--prompts", path], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(done.stderr)
        self.ids = [sample["ids"] for sample in json.loads(done.stdout)["samples"]]
        assert all(len(ids) == NEW for ids in self.ids)
        return float(re.search(r"generated \d+ tokens in .*?, ([0-9.e+]+) a second", done.stderr)[1])


class Transformers:
    def __init__(self, arguments, folder, dtype):
        import torch
        import transformers

        transformers.utils.logging.disable_progress_bar()
        torch.set_num_threads(arguments.threads)
        self.torch = torch
        self.model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()

    def rate(self, count):
        ids = self.torch.tensor(prompts(count))
        start = time.perf_counter()
        with self.torch.no_grad():
            found = self.model.generate(ids, attention_mask=self.torch.ones_like(ids), max_new_tokens=NEW, do_sample=False,
                                        use_cache=True, eos_token_id=None, pad_token_id=0)
        seconds = time.perf_counter() - start
        self.ids = found[:, ids.shape[1]:].tolist()
        return count * NEW / seconds


class LlamaCpp:
    def __init__(self, arguments, folder, scratch, dtype):
        import llama_cpp
        import numpy

        self.api, self.numpy = llama_cpp, numpy
        self.threads = arguments.threads
        file = pathlib.Path(scratch, f"{dtype}.gguf")
        elsewhere.write_model_gguf(folder, file, dtype)
        self.silence = llama_cpp.llama_log_callback(lambda *_: None)  # lives as long as the library may call it
        llama_cpp.llama_log_set(self.silence, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        params = llama_cpp.llama_model_default_params()
        params.n_gpu_layers = 0
        self.model = llama_cpp.llama_model_load_from_file(str(file).encode(), params)
        self.vocabulary = json.loads(pathlib.Path(folder, "config.json").read_text())["vocab_size"]

    def rate(self, count):
        api, numpy = self.api, self.numpy
        length = len(PROMPT)
        params = api.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_seq_max = 256 * count, max(512, length * count), count
        params.n_threads = params.n_threads_batch = self.threads
        context = api.llama_init_from_model(self.model, params)
        batch = api.llama_batch_init(length * count, 0, 1)

        def decode(tokens):
            """tokens: [(token, position, sequence, whether its logits are wanted)]"""
            batch.n_tokens = len(tokens)
            for k, (token, position, sequence, wanted) in enumerate(tokens):
                batch.token[k], batch.pos[k], batch.n_seq_id[k], batch.logits[k] = token, position, 1, wanted
                batch.seq_id[k][0] = sequence
            assert api.llama_decode(context, batch) == 0
            return [int(numpy.ctypeslib.as_array(api.llama_get_logits_ith(context, k), (self.vocabulary,)).argmax())
                    for k, token in enumerate(tokens) if token[3]]

        start = time.perf_counter()
        said = [decode([(token, at, s, at == length - 1) for s, ids in enumerate(prompts(count))
                        for at, token in enumerate(ids)])]
        while len(said) < NEW:
            said.append(decode([(token, length + len(said) - 1, s, True) for s, token in enumerate(said[-1])]))
        seconds = time.perf_counter() - start
        api.llama_batch_free(batch)
        api.llama_free(context)
        self.ids = [list(ids) for ids in zip(*said)]
        return count * NEW / seconds


def sides_of(arguments, folder, scratch, dtype):
    sides = {"trimtab": Trimtab(arguments, folder, scratch)}
    layers = range(elsewhere.facts(folder)["layers"])
    intervention = pathlib.Path(scratch, "shared.safetensors")
    elsewhere.write_intervention(intervention, folder, [(site, "activ-scalar", list(layers), "shared", 1)
                                                        for site in ("attn_out", "mlp_out", "resid_post")])
    sides["steered"] = Trimtab(arguments, folder, scratch, intervention)
    for name, make in [("transformers", lambda: Transformers(arguments, folder, dtype)),
                       ("llama.cpp", lambda: LlamaCpp(arguments, folder, scratch, dtype))]:
        try:
            sides[name] = make()
        except ImportError as problem:
            print(f"{name} is left out: {problem}")
    return sides


def compare(arguments, model, dtype):
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch, model)
        folder.mkdir()
        weights = make_folder(folder, versus_pytorch.CONFIGS[model], dtype)
        sides = sides_of(arguments, folder, scratch, dtype)
        for count in arguments.texts:
            rates = {name: [] for name in sides}
            copies = []
            for _ in range(arguments.rounds):
                copies.append(copy_rate(arguments.threads))
                for name, side in sides.items():
                    rates[name].append(side.rate(count))
            allowed = count * statistics.median(copies) / weights
            print(f"{model}, {dtype}, {count} text(s): the copy's {statistics.median(copies) / 1e9:.1f} GB/s would allow "
                  f"{allowed:.1f} tokens a second")
            for name, found in rates.items():
                same = sum(a == b for ids, ours in zip(sides[name].ids, sides["trimtab"].ids) for a, b in zip(ids, ours))
                print(f"  {name:13} {statistics.median(found):8.1f}  {min(found):.1f} to {max(found):.1f}, "
                      f"{statistics.median(found) / allowed:.2f} of it; {same} of {count * NEW} tokens are trimtab's")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default=ROOT / "build" / "release" / "trimtab")
    parser.add_argument("--model", choices=list(versus_pytorch.CONFIGS), nargs="*", default=list(versus_pytorch.CONFIGS))
    parser.add_argument("--type", choices=["float32", "float16"], nargs="*", default=["float32", "float16"])
    parser.add_argument("--texts", type=int, nargs="*", default=[1, 16])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # idle pools must not spin beside the side whose turn it is
    for model in arguments.model:
        for dtype in arguments.type:
            compare(arguments, model, dtype)


if __name__ == "__main__":
    main()
