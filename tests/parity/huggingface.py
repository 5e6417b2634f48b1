#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the program with Hugging Face's libraries, where they are installed. Exit status 1 if anything differs.

    python3 tests/parity/huggingface.py ids PROGRAM [TEXTS]                 token ids of random texts, default 20000
    python3 tests/parity/huggingface.py logits PROGRAM [eigen|cuda]         logits of models with random weights

`ids` takes the two embedded tokenizers, and those of GPT-2 and GPT-NeoX where TRIMTAB_TEST_ASSETS or ../shared/assets has
them, in folders that differ in where added tokens, templates and options stand. Each has added tokens with every
combination of lstrip, rstrip, single_word, normalized and special, some of which overlap. A folder with a tokenizer.json
alone is compared with `tokenizers`, one with files beside it, or without it, with `AutoTokenizer`.

`logits` saves models of both families with `save_pretrained`, in every configuration that the program supports.
"""

import itertools
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
ASSETS = pathlib.Path(os.environ.get("TRIMTAB_TEST_ASSETS", ROOT.parent / "shared" / "assets")) / "tokenizers"
FLAGS = ("lstrip", "rstrip", "single_word", "normalized", "special")
END = "<|endoftext|>"


def added_tokens():
    """One token for each combination of flags. Some begin like others, some are words, one holds a composed letter."""
    contents = ["<a>", "<ab>", "<abc>", "ab", "zq", "zqu", "qua", "\u00e9x", "#", "##", "###", "#a", " #", "=", "==", "<"]
    for number, values in enumerate(itertools.product((False, True), repeat=len(FLAGS))):
        content = contents[number] if number < len(contents) else f"<t{number}>"
        yield dict(zip(FLAGS, values), content=content)


def families():
    """(name, tokenizer.json as an object, model type)"""
    for model, kind in (("tiny-gpt2", "gpt2"), ("tiny-pythia", "gpt_neox")):
        yield model, json.loads((ROOT / "examples/models" / model / "tokenizer.json").read_text()), kind
    if (ASSETS / "gpt-neox").is_dir():
        yield "gpt-neox", json.loads((ASSETS / "gpt-neox/20B_tokenizer.json").read_text()), "gpt_neox"
    if (ASSETS / "gpt2").is_dir():
        merges = (ASSETS / "gpt2/vocab.bpe").read_text().split("\n")[1:-1]
        vocabulary = json.loads((ASSETS / "gpt2/encoder.json").read_text())
        yield "gpt2", {
            "version": "1.0", "truncation": None, "padding": None, "normalizer": None, "post_processor": None,
            "added_tokens": [{"id": 50256, "content": END, "single_word": False, "lstrip": False, "rstrip": False,
                              "normalized": False, "special": True}],
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
            "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                      "end_of_word_suffix": None, "fuse_unk": False, "vocab": vocabulary, "merges": merges}}, "gpt2"


def next_id(root):
    return max([len(root["model"]["vocab"])] + [token["id"] + 1 for token in root["added_tokens"]])


def numbered(root):
    """The added tokens with the ids that they get: those of the vocabulary keep theirs."""
    vocabulary = root["model"]["vocab"]
    known = {token["content"]: token["id"] for token in root["added_tokens"]}
    following = next_id(root)
    for token in added_tokens():
        if token["content"] in known:
            continue
        if token["content"] in vocabulary:
            yield dict(token, id=vocabulary[token["content"]])
        else:
            yield dict(token, id=following)
            following += 1


def template(root, after):
    end = {"SpecialToken": {"id": END, "type_id": 0}}
    single = [end, {"Sequence": {"id": "A", "type_id": 0}}] + ([end] if after else [])
    identity = next(token["id"] for token in root["added_tokens"] if token["content"] == END)
    return {"type": "TemplateProcessing", "single": single,
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {END: {"id": END, "ids": [identity], "tokens": [END]}}}


def variants(root):
    """(name, files, whether transformers is the reference)"""
    byte_level = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}
    listed = dict(root, added_tokens=root["added_tokens"] + list(numbered(root)))
    processors = {"none": None, "before": template(root, False), "both": template(root, True),
                  "sequence": {"type": "Sequence", "processors": [byte_level, template(root, False)]}}
    for name, processor in processors.items():
        for prefix in (False, True):
            whole = dict(listed, post_processor=processor,
                         pre_tokenizer=dict(root["pre_tokenizer"], add_prefix_space=prefix))
            yield f"tokenizer.json, template {name}, prefix space {prefix}", {"tokenizer.json": whole}, False

    flags = {token["id"]: {key: token[key] for key in ("content", *FLAGS)} for token in listed["added_tokens"]}
    for split, prefix in itertools.product((False, True), repeat=2):
        config = {"added_tokens_decoder": flags, "split_special_tokens": split, "add_prefix_space": prefix}
        yield (f"added_tokens_decoder, split {split}, prefix space {prefix}",
               {"tokenizer.json": root, "tokenizer_config.json": config}, True)
    named = {"pad_token": "[PAD]", "extra_special_tokens": ["<a>", "<ab>"], "sep_token": "zq"}
    yield "named tokens", {"tokenizer.json": root, "tokenizer_config.json": named}, True
    yield "two more files", {"tokenizer.json": root, "special_tokens_map.json": {"pad_token": "<a>"},
                             "added_tokens.json": {"<a>": next_id(root), "<ab>": next_id(root) + 1}}, True

    model = root["model"]
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    pair = {"vocab.json": model["vocab"], "merges.txt": "#version: 0.2\n" + "\n".join(merges) + "\n"}
    for bos, eos in itertools.product((False, True), repeat=2):
        config = {"add_bos_token": bos, "add_eos_token": eos}
        yield f"vocab.json and merges.txt, BOS {bos}, EOS {eos}", dict(pair, **{"tokenizer_config.json": config}), True


def random_text(rng):
    """Pieces of added tokens, words, white space, and characters of several alphabets."""
    pieces = [token["content"] for token in added_tokens()]
    pieces += [END, "[PAD]", " ", "  ", "   ", "\t", "\n", "\n\n", "\u00a0", "\u3000", "'s", "'ll", "ab", "the", " the",
               " capital", "Mary", "123", "_", "-", ",", "e\u0301", "\u00e9", "\u00df", "\u4e2d", "\u0301", "\U0001f600"]
    return "".join(rng.choice(pieces) if rng.random() < 0.8 else chr(rng.randrange(32, 0x250))
                   for _ in range(rng.randrange(12)))


def compare_ids(program, count):
    from tokenizers import Tokenizer
    from transformers import AutoTokenizer

    failed = 0
    rng = random.Random(1)
    for family, root, kind in families():
        rows = list(variants(root))
        for name, files, is_transformers in rows:
            texts = [random_text(rng) for _ in range(-(-count // len(rows)))]
            with tempfile.TemporaryDirectory() as folder:
                for file, content in dict(files, **{"config.json": {"model_type": kind}}).items():
                    text = content if isinstance(content, str) else json.dumps(content)
                    pathlib.Path(folder, file).write_text(text)
                if is_transformers:
                    tokenizer = AutoTokenizer.from_pretrained(folder)
                    right = [tokenizer.encode(text) for text in texts]
                else:
                    tokenizer = Tokenizer.from_file(folder + "/tokenizer.json")
                    right = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
                run = subprocess.run([program, "tokenize", "--model", folder], text=True, stdout=subprocess.PIPE,
                                     input="".join(json.dumps(text) + "\n" for text in texts), check=True)
                found = [json.loads(line) for line in run.stdout.splitlines()]
            wrong = [i for i in range(len(texts)) if found[i] != right[i]]
            failed += len(wrong)
            print(f"{family}, {name}: {len(texts)} texts, {len(wrong)} differ")
            for i in wrong[:3]:
                print(f"  {json.dumps(texts[i])}: {found[i]}, but Hugging Face {right[i]}")
    return failed


def models():
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel, GPTNeoXConfig, GPTNeoXForCausalLM

    torch.manual_seed(1)
    activations = ("relu", "gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh", "gelu_python", "quick_gelu", "silu")

    def gpt2(**changes):
        return GPT2LMHeadModel(GPT2Config(vocab_size=1003, n_positions=300, n_embd=192, n_layer=4, n_head=3,
                                          initializer_range=0.06, **changes))

    def gpt_neox(**changes):
        return GPTNeoXForCausalLM(GPTNeoXConfig(
            vocab_size=1024, max_position_embeddings=300, hidden_size=192, intermediate_size=768, num_hidden_layers=4,
            num_attention_heads=3, initializer_range=0.1, **changes))

    for name in activations:
        yield f"gpt2, {name}", gpt2(activation_function=name)
        yield f"gpt_neox, {name}", gpt_neox(hidden_act=name)
    for scale, by_layer, upcast in itertools.product((True, False), (False, True), (False, True)):
        yield (f"gpt2, scale {scale}, by layer {by_layer}, upcast {upcast}",
               gpt2(scale_attn_weights=scale, scale_attn_by_inverse_layer_idx=by_layer, reorder_and_upcast_attn=upcast))
    yield "gpt2, n_inner 200", gpt2(n_inner=200)
    yield "gpt2, untied", gpt2(tie_word_embeddings=False)
    for parallel, bias in itertools.product((True, False), repeat=2):
        yield (f"gpt_neox, parallel {parallel}, attention bias {bias}",
               gpt_neox(use_parallel_residual=parallel, attention_bias=bias))
    yield "gpt_neox, tied", gpt_neox(tie_word_embeddings=True)
    yield "gpt_neox, all rotary", gpt_neox(rope_parameters={"rope_type": "default", "rope_theta": 5000.0,
                                                            "partial_rotary_factor": 1.0})


def compare_logits(program, backend):
    import torch

    # Of the largest logit. On CUDA, tensor cores sum in another order.
    tolerance = ({"float": 1e-5, "double": 1e-12} if backend == "eigen" else
                 {"float": 1e-4, "tf32": 2e-2, "bf16": 5e-2})
    failed = 0
    for name, model in models():
        model.eval()
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder)
            for length in (1, 17, 257):
                ids = torch.randint(model.config.vocab_size, (length,)).tolist()
                for precision, limit in tolerance.items():
                    if precision == "double" and ("gpt_neox" in name or "upcast True" in name):
                        limit = 1e-5  # transformers computes rotary tables and upcast scores in float32 all the same
                    model.to(torch.float64 if precision == "double" else torch.float32)
                    with torch.no_grad():
                        right = model(torch.tensor([ids])).logits[0].double()
                    run = subprocess.run(
                        [program, "logits", "--model", folder, "--ids", ",".join(map(str, ids)), "--all", "--json",
                         "--backend", backend, "--precision", precision], stdout=subprocess.PIPE, check=True)
                    found = torch.tensor(json.loads(run.stdout)["logits"], dtype=torch.float64)
                    off = ((found - right).abs().max() / right.abs().max()).item()
                    failed += not off < limit
                    print(f"{name}, {length} tokens, {precision}: {'agrees' if off < limit else 'DIFFERS'}, "
                          f"off by {off:.1e} of the largest logit")
    return failed


def main():
    what, program, *more = sys.argv[1:]
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    if what == "ids":
        failed = compare_ids(program, int(more[0]) if more else 20000)
    else:
        failed = compare_logits(program, more[0] if more else "eigen")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
