#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares what the program writes for other programs with what those make of it, where they are installed.

    python3 tests/parity/elsewhere.py WHAT PROGRAM

WHAT: transformers, transformer_lens (the examples in examples/python), baked (folders of `trimtab bake`), gguf (control
vectors, read by the package gguf), llama_cpp (applied by llama.cpp).
"""

import importlib
import itertools
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
IDS = [5, 100, 7, 42, 9, 300, 11]
TOLERANCE = 1e-4


def require(*modules):
    for name in modules:
        try:
            importlib.import_module(name)
        except Exception as problem:  # a package may be there and not load
            print(f"skipped: {sys.executable} lacks {name} ({problem})")
            sys.exit(0)


def facts(folder):
    config = json.loads(pathlib.Path(folder, "config.json").read_text())
    neox = config["model_type"] == "gpt_neox"
    return {"layers": config["num_hidden_layers" if neox else "n_layer"],
            "width": config["hidden_size" if neox else "n_embd"],
            "heads": config["num_attention_heads" if neox else "n_head"],
            "hidden": config["intermediate_size"] if neox else 4 * config["n_embd"],
            "parallel": neox and config.get("use_parallel_residual", True), "family": config["model_type"]}


def write_intervention(path, folder, chosen, seed=1):
    """chosen: [(site, policy, layers, position key, positions)], with random numbers."""
    import torch
    from safetensors.torch import save_file

    model = facts(folder)
    random = torch.Generator().manual_seed(seed)
    tensors, entries = {}, []
    for site, policy, layers, key, positions in chosen:
        channels = {"attn_z": model["width"] // model["heads"], "mlp_post": model["hidden"]}.get(site, model["width"])
        shares = policy.startswith("dyn-scalar") and key == "shared"
        names = {"activ-scalar": ["alpha"], "steer-vec": ["vector"], "affine": ["alpha", "vector"]}.get(
            policy, ["weight", "bias"])
        entry = {"site": site, "policy": policy, "settings": {}, "layers": layers, "position_key": key,
                 "positions": positions, "parameters": []}
        for name in names:
            axes = ["layer"] + ([] if shares else ["position"]) + (["head"] if site == "attn_z" else [])
            axes += ["channel"] if name in ("vector", "weight") else []
            extents = {"layer": model["layers"], "position": positions, "head": model["heads"], "channel": channels}
            numbers = torch.randn([extents[axis] for axis in axes], generator=random) * (0.02 if name == "weight" else 0.3)
            mask = torch.zeros(model["layers"])
            mask[layers] = 1
            tensors[f"{site}.{name}"] = numbers * mask.view([-1] + [1] * (numbers.dim() - 1))
            entry["parameters"].append({"name": name, "tensor": f"{site}.{name}", "axes": axes})
        entries.append(entry)
    save_file(tensors, path, {"format": "trimtab-intervention-2", "interventions": json.dumps(entries)})


def trimtab(program, *arguments):
    run = subprocess.run([program, *map(str, arguments), "--json"], stdout=subprocess.PIPE, check=True)
    return json.loads(run.stdout)


def logits_of(program, folder, *more):
    found = trimtab(program, "logits", "--model", folder, "--ids", ",".join(map(str, IDS)), *more)
    return found["logits"]


def likeliest(logits, count=10):
    return sorted(((logit, token) for token, logit in enumerate(logits)), reverse=True)[:count]


def largest(a, b):
    return max(abs(x - y) for x, y in zip(a, b))


def models():
    return [ROOT / "examples" / "models" / name for name in ("tiny-gpt2", "tiny-pythia")]


def cases(folder):
    """Names and interventions: each policy, position key and site."""
    model = facts(folder)
    some, last = [0, model["layers"] - 1], [model["layers"] - 1]
    yield "absolute scalars", [("attn_out", "activ-scalar", some, "absolute", len(IDS)),
                               ("mlp_out", "activ-scalar", some, "absolute", len(IDS))]
    yield "vectors from the end", [("resid_post", "steer-vec", some, "from_end", 3)]
    yield "heads and neurons", [("attn_z", "affine", some, "shared", 1), ("mlp_post", "steer-vec", last, "from_end", 2)]
    yield "gates", [("mlp_out", "dyn-scalar", some, "shared", 1), ("resid_pre", "dyn-scalar-tanh-rms", last, "shared", 1)]
    if not model["parallel"]:
        yield "between the halves", [("resid_mid", "affine", some, "from_end", 4)]


def compare_example(program, script):
    failed = 0
    for folder in models():
        for (name, chosen), strength in zip(cases(folder), itertools.cycle((1.0, -0.5))):
            with tempfile.TemporaryDirectory() as scratch:
                path = pathlib.Path(scratch, "i.safetensors")
                write_intervention(path, folder, chosen)
                run = subprocess.run([sys.executable, ROOT / "examples" / "python" / script, folder, path, str(strength),
                                      ",".join(map(str, IDS))], stdout=subprocess.PIPE, text=True, check=True)
                theirs = [line.split("\t") for line in run.stdout.splitlines() if line.count("\t") == 2]
                theirs = [(float(logit), int(token)) for token, logit, _ in theirs]
                ours = likeliest(logits_of(program, folder, "--intervention", path, "--strength", strength))
                plain = likeliest(logits_of(program, folder))
            off = max(abs(a[0] - b[0]) for a, b in zip(ours, theirs, strict=True))
            fits = [a[1] for a in ours] == [b[1] for b in theirs] and off < TOLERANCE
            moved = max(abs(a[0] - b[0]) for a, b in zip(ours, plain))
            failed += not fits or moved < 100 * TOLERANCE
            print(f"{folder.name}, {name}, strength {strength}: {'agrees' if fits else 'DIFFERS'}, off by {off:.1e}; the "
                  f"intervention moved logits by {moved:.1e}")
    return failed


def compare_baked(program):
    import torch
    from transformers import AutoModelForCausalLM

    failed = 0
    for folder in models():
        model = facts(folder)
        everywhere = list(range(model["layers"]))
        chosen = [("attn_z", "affine", everywhere, "shared", 1), ("attn_out", "activ-scalar", everywhere, "shared", 1),
                  ("mlp_post", "steer-vec", everywhere, "shared", 1), ("mlp_out", "affine", everywhere, "shared", 1),
                  ("resid_pre", "steer-vec", everywhere, "shared", 1), ("resid_post", "steer-vec", everywhere, "shared", 1)]
        for strength, stored in ((1.0, "stored"), (-0.5, "F64"), (1.0, "F32")):
            with tempfile.TemporaryDirectory() as scratch:
                path, out = pathlib.Path(scratch, "i.safetensors"), pathlib.Path(scratch, "out")
                write_intervention(path, folder, chosen)
                trimtab(program, "bake", "--model", folder, "--intervention", path, "--strength", strength, "--out", out,
                        "--dtype", stored)
                wide = torch.float64 if stored == "F64" else torch.float32
                baked = AutoModelForCausalLM.from_pretrained(out, dtype=wide).eval()
                with torch.no_grad():
                    theirs = baked(torch.tensor([IDS])).logits[0, -1].double().tolist()
                steered = logits_of(program, folder, "--intervention", path, "--strength", strength, "--precision", "double")
                # What is stored may be float16, so that its rounding is part of it.
                ours = logits_of(program, out, "--precision", "double") if stored == "stored" else steered
                off, moved = largest(ours, theirs), largest(steered, logits_of(program, folder))
            failed += not off < TOLERANCE or moved < 100 * TOLERANCE
            print(f"{folder.name}, {stored}, strength {strength}: off by {off:.1e}; folding moved logits by {moved:.1e}")
    return failed


def vector_at(folder, layer, scratch):
    path = pathlib.Path(scratch, "v.safetensors")
    write_intervention(path, folder, [("resid_post", "steer-vec", [layer], "shared", 1)])
    return path


def compare_gguf(program):
    """Written: read by the package gguf. Read: a file as repeng writes it, with that package."""
    import gguf
    import numpy
    from safetensors.numpy import load_file

    failed = 0
    for folder in models():
        layers = facts(folder)["layers"]
        for layer in range(1, layers):
            with tempfile.TemporaryDirectory() as scratch:
                path, out = vector_at(folder, layer, scratch), pathlib.Path(scratch, "v.gguf")
                trimtab(program, "export", "--intervention", path, "--format", "gguf", "--out", out)
                tensors = gguf.GGUFReader(out).tensors
                wanted = load_file(path)["resid_post.vector"][layer, 0]
                right = [t.name for t in tensors] == [f"direction.{layer}"] and numpy.array_equal(tensors[0].data, wanted)

                theirs, back = pathlib.Path(scratch, "repeng.gguf"), pathlib.Path(scratch, "back.safetensors")
                writer = gguf.GGUFWriter(theirs, "controlvector")
                writer.add_string("controlvector.model_hint", facts(folder)["family"])
                writer.add_uint32("controlvector.layer_count", 1)
                writer.add_tensor(f"direction.{layer}", wanted)
                writer.write_header_to_file()
                writer.write_kv_data_to_file()
                writer.write_tensors_to_file()
                writer.close()
                trimtab(program, "import", "--format", "gguf", "--producer", "repeng", "--from", theirs, "--model", folder,
                        "--out", back)
                same = logits_of(program, folder, "--intervention", path) == logits_of(program, folder, "--intervention", back)
                trimtab(program, "import", "--format", "gguf", "--producer", "llama.cpp", "--from", theirs, "--model", folder,
                        "--out", back)
                late = logits_of(program, folder, "--intervention", path) != logits_of(program, folder, "--intervention", back)
            failed += not (right and same and late)
            print(f"{folder.name}, layer {layer}: {'as written' if right else 'DIFFERS'}; repeng's file gives "
                  f"{'the same' if same else 'OTHER'} logits; one layer late they are {'others' if late else 'THE SAME'}")
    return failed


def write_model_gguf(folder, path, matrices="float32"):
    """A GGUF model for llama.cpp from a folder's tensors: the names, orders and keys of its converter, which stores
    vectors as float32 and matrices in a type of choice."""
    import gguf
    import numpy
    from safetensors.numpy import load_file

    config = json.loads(pathlib.Path(folder, "config.json").read_text())
    weights = load_file(pathlib.Path(folder, "model.safetensors"))
    weights = {name.removeprefix("transformer.").removeprefix("gpt_neox."): w.astype(numpy.float32)
               for name, w in weights.items()}
    neox = config["model_type"] == "gpt_neox"
    model = facts(folder)
    writer = gguf.GGUFWriter(path, "gptneox" if neox else "gpt2")
    writer.add_context_length(config["max_position_embeddings" if neox else "n_positions"])
    writer.add_embedding_length(model["width"])
    writer.add_block_count(model["layers"])
    writer.add_feed_forward_length(model["hidden"])
    writer.add_head_count(model["heads"])
    writer.add_layer_norm_eps(config.get("layer_norm_eps", config.get("layer_norm_epsilon", 1e-5)))
    if neox:
        writer.add_rope_dimension_count(int(config.get("rotary_pct", 0.25) * (model["width"] // model["heads"])))
        writer.add_parallel_residual(model["parallel"])
    count = config["vocab_size"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([f"t{i}".encode() for i in range(count)])
    writer.add_token_types([1] * count)
    writer.add_token_merges(["t 0"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)

    def put(name, numbers):
        dtype = matrices if numbers.ndim == 2 and name != "position_embd.weight" else numpy.float32
        writer.add_tensor(name, numpy.ascontiguousarray(numbers, dtype=dtype))

    def norm(name, of):
        put(name + ".weight", weights[of + ".weight"])
        put(name + ".bias", weights[of + ".bias"])

    def linear(name, of):
        w = weights[of + ".weight"]
        put(name + ".weight", w if neox else w.T)  # GPT-2 stores [in, out]
        put(name + ".bias", weights[of + ".bias"])

    put("token_embd.weight", weights["embed_in.weight" if neox else "wte.weight"])
    put("output.weight", weights.get("embed_out.weight", weights.get("lm_head.weight", weights.get("wte.weight"))))
    if not neox:
        put("position_embd.weight", weights["wpe.weight"])
    norm("output_norm", "final_layer_norm" if neox else "ln_f")
    heads, width = model["heads"], model["width"]
    for layer in range(model["layers"]):
        to, of = f"blk.{layer}.", f"{'layers' if neox else 'h'}.{layer}."
        norm(to + "attn_norm", of + ("input_layernorm" if neox else "ln_1"))
        norm(to + "ffn_norm", of + ("post_attention_layernorm" if neox else "ln_2"))
        linear(to + "attn_output", of + ("attention.dense" if neox else "attn.c_proj"))
        linear(to + "ffn_up", of + ("mlp.dense_h_to_4h" if neox else "mlp.c_fc"))
        linear(to + "ffn_down", of + ("mlp.dense_4h_to_h" if neox else "mlp.c_proj"))
        if neox:  # query, key and value of each head beside each other -> all queries, all keys, all values
            w, b = weights[of + "attention.query_key_value.weight"], weights[of + "attention.query_key_value.bias"]
            put(to + "attn_qkv.weight", w.reshape(heads, 3, width // heads, width).transpose(1, 0, 2, 3).reshape(3 * width, width))
            put(to + "attn_qkv.bias", b.reshape(heads, 3, width // heads).transpose(1, 0, 2).reshape(3 * width))
        else:
            linear(to + "attn_qkv", of + "attn.c_attn")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def compare_llama_cpp(program):
    import ctypes

    import gguf
    import llama_cpp
    import numpy

    def llama_logits(model_file, vector_file, folder):
        """Logits after the last token; a control vector is laid out as llama.cpp's own loader does it."""
        params = llama_cpp.llama_model_default_params()
        params.n_gpu_layers = 0
        model = llama_cpp.llama_model_load_from_file(str(model_file).encode(), params)
        context_params = llama_cpp.llama_context_default_params()
        context_params.n_ctx, context_params.n_batch = 64, 64
        context_params.type_k = context_params.type_v = 0  # keys and values in float32, and no fused attention
        if hasattr(context_params, "flash_attn_type"):
            context_params.flash_attn_type = 0
        context = llama_cpp.llama_init_from_model(model, context_params)
        width, layers = facts(folder)["width"], facts(folder)["layers"]
        if vector_file:
            data = numpy.zeros((layers, width), dtype=numpy.float32)
            for tensor in gguf.GGUFReader(vector_file).tensors:
                data[int(tensor.name.removeprefix("direction.")) - 1] = tensor.data
            apply = getattr(llama_cpp, "llama_set_adapter_cvec", None) or llama_cpp.llama_apply_adapter_cvec
            assert apply(context, data.ctypes.data_as(ctypes.POINTER(ctypes.c_float)), data.size, width, 1, layers) == 0
        tokens = (llama_cpp.llama_token * len(IDS))(*IDS)  # the batch only refers to them
        assert llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(tokens, len(IDS))) == 0
        count = json.loads(pathlib.Path(folder, "config.json").read_text())["vocab_size"]
        logits = numpy.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(context, -1), (count,)).astype(float).tolist()
        llama_cpp.llama_free(context)
        llama_cpp.llama_model_free(model)
        return logits

    llama_cpp.llama_backend_init()
    failed = 0
    for folder in models():
        with tempfile.TemporaryDirectory() as scratch:
            model_file = pathlib.Path(scratch, "model.gguf")
            write_model_gguf(folder, model_file)
            untouched = logits_of(program, folder)
            plain = largest(llama_logits(model_file, None, folder), untouched)
            share = plain / max(map(abs, untouched))
            print(f"{folder.name}: without a vector off by {plain:.1e}, {share:.1e} of the largest logit")
            failed += not share < 1e-3  # llama.cpp's table of GELU is float16, and GPT-NeoX's is the tanh form
            for layer in range(1, facts(folder)["layers"]):
                path, out = vector_at(folder, layer, scratch), pathlib.Path(scratch, "v.gguf")
                trimtab(program, "export", "--intervention", path, "--format", "gguf", "--out", out)
                theirs = llama_logits(model_file, out, folder)
                right = largest(theirs, logits_of(program, folder, "--intervention", path))
                others = [largest(theirs, logits_of(program, folder, "--intervention", vector_as(folder, path, layer, other,
                                                                                                  scratch)))
                          for other in range(facts(folder)["layers"]) if other != layer]
                failed += not (right < 2 * plain and min(others) > 10 * right)
                print(f"{folder.name}, layer {layer}: off by {right:.1e}; the same vector in another layer by "
                      f"{min(others):.1e} at least")
    return failed


def vector_as(folder, path, layer, other, scratch):
    """The vector of one layer in another one."""
    from safetensors.torch import load_file, save_file

    vector = load_file(path)["resid_post.vector"]
    moved = vector * 0
    moved[other] = vector[layer]
    out = pathlib.Path(scratch, f"moved-{other}.safetensors")
    entry = {"site": "resid_post", "policy": "steer-vec", "settings": {}, "layers": [other], "position_key": "shared",
             "positions": 1, "parameters": [{"name": "vector", "tensor": "resid_post.vector",
                                             "axes": ["layer", "position", "channel"]}]}
    save_file({"resid_post.vector": moved}, out,
              {"format": "trimtab-intervention-2", "interventions": json.dumps([entry])})
    return out


def main():
    what, program = sys.argv[1:]
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    require("numpy", "torch", "safetensors")
    if what == "transformers":
        require("transformers")
        failed = compare_example(program, "apply_in_transformers.py")
    elif what == "transformer_lens":
        require("transformers", "transformer_lens.model_bridge")
        failed = compare_example(program, "apply_in_transformer_lens.py")
    elif what == "baked":
        require("transformers")
        failed = compare_baked(program)
    elif what == "gguf":
        require("gguf")
        failed = compare_gguf(program)
    else:
        require("gguf", "llama_cpp")
        failed = compare_llama_cpp(program)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
