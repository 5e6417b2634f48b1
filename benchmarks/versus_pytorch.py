#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times one step of a fit in trimtab and in PyTorch, in turn, in one run; prints medians and ratios.

    cmake --preset release && cmake --build --preset release --target bench_train_step
    python3 benchmarks/versus_pytorch.py                          everything
    python3 benchmarks/versus_pytorch.py --model gpt2 --threads 2 --cases "B=8 T=12" --seconds 30

The model has the shape of GPT-2 small or Pythia-160m and random weights, which are made here and read by both. A step
is forward, objective (hinge of the margin, masked KL from the untouched model, L1 on the parameters), gradient, and
Adam with the proximal step, for activ_scalar at attn_out, mlp_out and resid_post, with each prompt at beta = +1 and -1.
B prompts of T tokens are 2 B T rows. There are three sides:

    trimtab   bench_train_step, which waits while PyTorch runs
    careful   PyTorch written for speed: frozen weights, so no gradient for them; both strengths in one batch; fused
              kernels where PyTorch has them; logits of the last position only; the untouched model is run once
    usual     PyTorch as it is usually written: modules whose weights keep requires_grad, forward hooks, GELU and
              attention from elementary operations, logits at every position, one pass for each strength; the untouched
              model is run once

Before anything is timed, trimtab's peak memory is read, and loss and gradient of all three are compared at random
parameters.

Needs PyTorch 1.13 or newer (Debian: apt-get install python3-torch libopenblas0-pthread). Its speed depends on its BLAS:
the script prints which one it uses, and sets the environment so that OpenBLAS is as fast as possible (see tune_blas;
--blas-as-is does not).
"""

import argparse
import ctypes
import json
import math
import os
import random
import statistics
import struct
import subprocess
import sys
import tempfile
import time

GPT2 = {"model_type": "gpt2", "activation_function": "gelu_new", "n_layer": 12, "n_head": 12, "n_embd": 768,
        "n_inner": None, "n_positions": 1024, "vocab_size": 50257, "layer_norm_epsilon": 1e-5,
        "tie_word_embeddings": True}
PYTHIA = {"model_type": "gpt_neox", "hidden_act": "gelu", "num_hidden_layers": 12, "num_attention_heads": 12,
          "hidden_size": 768, "intermediate_size": 3072, "max_position_embeddings": 2048, "vocab_size": 50304,
          "layer_norm_eps": 1e-5, "rotary_pct": 0.25, "rotary_emb_base": 10000, "use_parallel_residual": True,
          "tie_word_embeddings": False}
CONFIGS = {"gpt2": GPT2, "pythia": PYTHIA}

LENGTHS = [6, 40, 9, 14, 25, 7, 58, 11, 8, 31, 17, 64, 10, 12, 20, 9]  # lengths of 16 mixed prompts, 341 tokens

# name: lengths, first hooked layer, hooked tokens from the end (0: all), a fit for each prompt, goal of the ratio
CASES = {
    "B=1 T=12": ([12], 0, 0, False, 1.5),
    "B=1 T=64": ([64], 0, 0, False, 1.5),
    "B=8 T=12": ([12] * 8, 0, 0, False, 1.5),
    "B=4 T=64": ([64] * 4, 0, 0, False, 1.5),
    "B=8 T=64": ([64] * 8, 0, 0, False, 1.25),
    "mixed lengths": (LENGTHS, 0, 0, False, 2),
    "upper half": ([12] * 8, 6, 0, False, 2),
    "last 4 of 64": ([64] * 8, 0, 4, False, "-"),
    "16 lanes T=12": ([12] * 16, 0, 0, True, 4),
}


# ---- PyTorch -------------------------------------------------------------------------------------------------------
# The weights of both families have one form: linear maps are [in, out]; query, key and value are [q | k | v].


def random_weights(torch, config):
    """The tensors of a Hugging Face folder."""
    generator = torch.Generator().manual_seed(1)

    def normal(*shape, scale):
        return torch.randn(*shape, generator=generator) * scale

    neox = config["model_type"] == "gpt_neox"
    width = config["hidden_size" if neox else "n_embd"]
    layers = config["num_hidden_layers" if neox else "n_layer"]
    vocabulary = config["vocab_size"]
    tensors = {}

    def norm(name):
        tensors[name + ".weight"] = 1 + normal(width, scale=0.2)
        tensors[name + ".bias"] = normal(width, scale=0.1)

    def linear(name, inputs, outputs):
        shape = (outputs, inputs) if neox else (inputs, outputs)
        tensors[name + ".weight"] = normal(*shape, scale=inputs**-0.5)
        tensors[name + ".bias"] = normal(outputs, scale=0.1)

    if neox:
        tensors["gpt_neox.embed_in.weight"] = normal(vocabulary, width, scale=1)
        tensors["embed_out.weight"] = normal(vocabulary, width, scale=2 * width**-0.5)
        norm("gpt_neox.final_layer_norm")
        for l in range(layers):
            block = f"gpt_neox.layers.{l}."
            norm(block + "input_layernorm")
            norm(block + "post_attention_layernorm")
            linear(block + "attention.query_key_value", width, 3 * width)
            linear(block + "attention.dense", width, width)
            linear(block + "mlp.dense_h_to_4h", width, 4 * width)
            linear(block + "mlp.dense_4h_to_h", 4 * width, width)
    else:
        tensors["wte.weight"] = normal(vocabulary, width, scale=2 * width**-0.5)
        tensors["wpe.weight"] = normal(config["n_positions"], width, scale=0.05)
        norm("ln_f")
        for l in range(layers):
            block = f"h.{l}."
            norm(block + "ln_1")
            norm(block + "ln_2")
            linear(block + "attn.c_attn", width, 3 * width)
            linear(block + "attn.c_proj", width, width)
            linear(block + "mlp.c_fc", width, 4 * width)
            linear(block + "mlp.c_proj", 4 * width, width)
    return tensors


def write_folder(folder, config, tensors):
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(config, file)
    header, offset = {}, 0
    for name, tensor in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(tensor.shape),
                        "data_offsets": [offset, offset + 4 * tensor.numel()]}
        offset += 4 * tensor.numel()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(folder, "model.safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            file.write(tensor.contiguous().numpy().tobytes())


class Weights:
    """The tensors as both PyTorch models use them."""

    def __init__(self, torch, config, tensors):
        self.neox = neox = config["model_type"] == "gpt_neox"
        self.width = width = config["hidden_size" if neox else "n_embd"]
        self.heads = config["num_attention_heads" if neox else "n_head"]
        self.layers = config["num_hidden_layers" if neox else "n_layer"]
        self.vocabulary = config["vocab_size"]
        head = width // self.heads

        def pair(name):
            return tensors[name + ".weight"], tensors[name + ".bias"]

        if neox:
            def linear(name, qkv=False):
                weight, bias = pair(name)
                if qkv:  # rows are [head][q, k, v][channel]
                    weight = weight.view(self.heads, 3, head, width).transpose(0, 1).reshape(3 * width, width)
                    bias = bias.view(self.heads, 3, head).transpose(0, 1).reshape(3 * width)
                return weight.t().contiguous(), bias.contiguous()

            self.token, self.position = tensors["gpt_neox.embed_in.weight"], None
            self.unembedding = tensors["embed_out.weight"]
            self.norm_final = pair("gpt_neox.final_layer_norm")
            self.blocks = []
            for l in range(self.layers):
                name = f"gpt_neox.layers.{l}."
                self.blocks.append({"norm_1": pair(name + "input_layernorm"),
                                    "qkv": linear(name + "attention.query_key_value", True),
                                    "attn_out": linear(name + "attention.dense"),
                                    "norm_2": pair(name + "post_attention_layernorm"),
                                    "mlp_in": linear(name + "mlp.dense_h_to_4h"),
                                    "mlp_out": linear(name + "mlp.dense_4h_to_h")})
            turned = int(head * config["rotary_pct"])
            self.turned = turned
            frequency = config["rotary_emb_base"] ** (-torch.arange(0, turned, 2) / turned)
            angle = torch.arange(128)[:, None] * torch.cat([frequency, frequency])[None]
            self.cosine, self.sine = angle.cos(), angle.sin()  # [T, turned]
        else:
            self.token, self.position = tensors["wte.weight"], tensors["wpe.weight"]
            self.unembedding = self.token
            self.norm_final = pair("ln_f")
            names = {"norm_1": "ln_1", "qkv": "attn.c_attn", "attn_out": "attn.c_proj", "norm_2": "ln_2",
                     "mlp_in": "mlp.c_fc", "mlp_out": "mlp.c_proj"}
            self.blocks = [{part: pair(f"h.{l}.{name}") for part, name in names.items()} for l in range(self.layers)]


SITES = ("attn_out", "mlp_out", "resid_post")


class Careful:
    def __init__(self, torch, weights):
        self.torch, self.w = torch, weights

    def rotate(self, x):
        """x [B, H, T, w]"""
        w, torch = self.w, self.torch
        length, turned = x.shape[2], w.turned
        part, rest = x[..., :turned], x[..., turned:]
        half = turned // 2
        swapped = torch.cat([-part[..., half:], part[..., :half]], -1)
        return torch.cat([part * w.cosine[:length] + swapped * w.sine[:length], rest], -1)

    def logits(self, ids, ends, keep, gains):
        """[B, V] at the positions `ends`; gains[site][l] [B, T, 1] is 1 + beta alpha, or None for all."""
        torch, w = self.torch, self.w
        F = torch.nn.functional
        rows, length = ids.shape
        width, heads = w.width, w.heads
        head = width // heads
        x = w.token[ids]
        if w.position is not None:
            x = x + w.position[:length]
        future = torch.full((length, length), -math.inf).triu(1)[None]

        def linear(x, layer, part):
            weight, bias = layer[part]
            return torch.addmm(bias, x.reshape(-1, x.shape[-1]), weight).view(*x.shape[:-1], -1)

        def hook(h, site, l):
            gain = gains[site][l] if gains else None
            return h if gain is None else h * gain

        for l, layer in enumerate(w.blocks):
            a = F.layer_norm(x, (width,), *layer["norm_1"])
            qkv = linear(a, layer, "qkv").view(rows, length, 3, heads, head).permute(2, 0, 3, 1, 4)
            q, k, v = qkv[0], qkv[1], qkv[2]
            if w.neox:
                q, k = self.rotate(q), self.rotate(k)
            q, k, v = (t.reshape(rows * heads, length, head) for t in (q, k, v))
            scores = torch.baddbmm(future, q, k.transpose(1, 2), alpha=head**-0.5)
            z = torch.bmm(scores.softmax(-1), v).view(rows, heads, length, head).transpose(1, 2)
            attn_out = hook(linear(z.reshape(rows, length, width), layer, "attn_out"), "attn_out", l)
            middle = x if w.neox else x + attn_out
            m = F.layer_norm(middle, (width,), *layer["norm_2"])
            m = F.gelu(linear(m, layer, "mlp_in"), approximate="none" if w.neox else "tanh")
            mlp_out = hook(linear(m, layer, "mlp_out"), "mlp_out", l)
            x = x + attn_out + mlp_out if w.neox else middle + mlp_out
            x = hook(x, "resid_post", l)
        last = x[torch.arange(rows), ends]
        return F.layer_norm(last, (width,), *w.norm_final) @ w.unembedding.t()


def usual_model(torch, weights):
    """Modules with elementary operations, as in model libraries for interpretability."""
    nn = torch.nn

    def parameter(tensor):
        return nn.Parameter(tensor)

    class LayerNorm(nn.Module):
        def __init__(self, pair):
            super().__init__()
            self.gain, self.bias = map(parameter, pair)

        def forward(self, x):
            return nn.functional.layer_norm(x, x.shape[-1:], self.gain, self.bias)

    class Linear(nn.Module):
        def __init__(self, pair):
            super().__init__()
            self.weight, self.bias = map(parameter, pair)

        def forward(self, x):
            return torch.matmul(x, self.weight) + self.bias

    class Attention(nn.Module):
        def __init__(self, layer):
            super().__init__()
            self.qkv, self.out = Linear(layer["qkv"]), Linear(layer["attn_out"])

        def forward(self, x):
            rows, length, width = x.shape
            split = [t.view(rows, length, weights.heads, -1).transpose(1, 2) for t in self.qkv(x).split(width, -1)]
            q, k, v = split
            if weights.neox:
                q, k = Careful(torch, weights).rotate(q), Careful(torch, weights).rotate(k)
            scores = torch.matmul(q, k.transpose(-1, -2)) / math.sqrt(q.shape[-1])
            causal = torch.ones(length, length, dtype=torch.bool).tril()
            scores = torch.where(causal, scores, torch.tensor(torch.finfo(scores.dtype).min))
            z = torch.matmul(torch.softmax(scores, -1), v)
            return self.out(z.transpose(1, 2).reshape(rows, length, width))

    class Mlp(nn.Module):
        def __init__(self, layer):
            super().__init__()
            self.into, self.out = Linear(layer["mlp_in"]), Linear(layer["mlp_out"])

        def forward(self, x):
            x = self.into(x)
            if weights.neox:
                return self.out(nn.functional.gelu(x))
            return self.out(0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * torch.pow(x, 3)))))

    class Block(nn.Module):
        def __init__(self, layer):
            super().__init__()
            self.norm_1, self.attention = LayerNorm(layer["norm_1"]), Attention(layer)
            self.norm_2, self.mlp = LayerNorm(layer["norm_2"]), Mlp(layer)

        def forward(self, x):
            if weights.neox:
                return x + self.attention(self.norm_1(x)) + self.mlp(self.norm_2(x))
            x = x + self.attention(self.norm_1(x))
            return x + self.mlp(self.norm_2(x))

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.token, self.unembedding = parameter(weights.token), parameter(weights.unembedding)
            self.position = None if weights.position is None else parameter(weights.position)
            self.blocks = nn.ModuleList([Block(layer) for layer in weights.blocks])
            self.norm_final = LayerNorm(weights.norm_final)

        def forward(self, ids):
            x = self.token[ids]
            if self.position is not None:
                x = x + self.position[: ids.shape[1]]
            for block in self.blocks:
                x = block(x)
            return torch.matmul(self.norm_final(x), self.unembedding.t())

    return Model()


class Fit:
    """What the two PyTorch sides share: prompts padded at the end to one length (with causal attention nothing reads
    the padding), parameters [site][layer][position], objective, optimizer."""

    def __init__(self, torch, weights, case):
        self.torch, self.w, self.case = torch, weights, case
        prompts = case["prompts"]
        self.length = length = max(map(len, prompts))
        self.ids = torch.tensor([p + [0] * (length - len(p)) for p in prompts])
        self.ends = torch.tensor([len(p) - 1 for p in prompts])
        self.correct, self.wrong = torch.tensor(case["correct"]), torch.tensor(case["wrong"])
        self.first = case["layers"][0]
        self.hooked = weights.layers - self.first
        self.alpha = torch.zeros(3, self.hooked, case["count"] or length, requires_grad=True)
        self.moments = torch.zeros(2, *self.alpha.shape)
        self.time = 0
        place = torch.arange(length)[None].repeat(len(prompts), 1)
        if case["positions"] == "from_end":
            place = self.ends[:, None] - place
        count = case["count"] or length
        self.place, self.inside = place.clamp(0, count - 1), ((place >= 0) & (place < count))[..., None].float()
        with torch.no_grad():
            self.reference = self.masked(Careful(torch, weights).logits(self.ids, self.ends, None, None))

    def masked(self, logits):
        rows = self.torch.arange(len(logits))
        n = len(self.correct)
        logits = logits.clone()
        logits[rows, self.correct.repeat(len(logits) // n)] = -math.inf
        logits[rows, self.wrong.repeat(len(logits) // n)] = -math.inf
        return logits.log_softmax(-1)

    def gains(self, beta):
        """By site and layer [B, T, 1]: 1 + beta alpha."""
        alpha = self.alpha[:, :, self.place] * self.inside[..., 0]  # [site, layer, B, T]
        gain = (1 + beta * alpha)[..., None]
        return {site: [None] * self.first + list(gain[s].unbind(0)) for s, site in enumerate(SITES)}

    def objective(self, logits, beta):
        """The mean over the rows, without the penalty; beta [rows]."""
        torch = self.torch
        rows = torch.arange(len(logits))
        copies = len(logits) // len(self.correct)
        difference = logits[rows, self.correct.repeat(copies)] - logits[rows, self.wrong.repeat(copies)]
        hinge = (1 - beta * difference).clamp(min=0)
        q, p = self.masked(logits), self.reference.repeat(copies, 1)
        kept = p > -math.inf
        kl = torch.where(kept, p.exp() * (p - q), torch.zeros(())).sum(-1)
        return hinge.mean() + kl.mean()

    def update(self):
        """Adam, then soft thresholds in its metric."""
        torch, rate, b1, b2, eps, penalty = self.torch, 0.03, 0.9, 0.999, 1e-8, 0.03
        self.time += 1
        with torch.no_grad():
            first, second = self.moments
            first.mul_(b1).add_(self.alpha.grad, alpha=1 - b1)
            second.mul_(b2).addcmul_(self.alpha.grad, self.alpha.grad, value=1 - b2)
            pace = rate / ((second / (1 - b2**self.time)).sqrt() + eps)
            moved = self.alpha - pace * first / (1 - b1**self.time)
            self.alpha.copy_(moved.sign() * (moved.abs() - penalty * pace).clamp(min=0))
            self.alpha.grad = None

    def step(self):
        loss = self.backward()
        self.update()
        return loss


class CarefulFit(Fit):
    def __init__(self, torch, weights, case):
        super().__init__(torch, weights, case)
        self.model = Careful(torch, weights)
        n = len(self.ids)
        self.beta = torch.tensor([1.0] * n + [-1.0] * n)
        self.ids_twice, self.ends_twice = self.ids.repeat(2, 1), self.ends.repeat(2)
        self.place, self.inside = self.place.repeat(2, 1), self.inside.repeat(2, 1, 1)

    def backward(self):
        logits = self.model.logits(self.ids_twice, self.ends_twice, None, self.gains(self.beta[:, None]))
        loss = self.objective(logits, self.beta)
        loss.backward()
        return loss.item()


class UsualFit(Fit):
    def __init__(self, torch, weights, case):
        super().__init__(torch, weights, case)
        self.model = usual_model(torch, weights)
        for l, block in enumerate(self.model.blocks):
            if l < self.first:
                continue
            for site, module in zip(SITES, (block.attention, block.mlp, block)):
                module.register_forward_hook(lambda _, __, out, site=site, l=l: out * self.current[site][l])

    def backward(self):
        total = 0
        for beta in (1.0, -1.0):
            self.current = self.gains(beta)
            logits = self.model(self.ids)[self.torch.arange(len(self.ids)), self.ends]
            loss = self.objective(logits, beta) / 2
            loss.backward()
            total += loss.item()
        self.model.zero_grad(set_to_none=True)
        return total


# ---- the run -------------------------------------------------------------------------------------------------------


class Trimtab:
    def __init__(self, program, folder, threads):
        environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
        self.process = subprocess.Popen([program, folder, str(threads)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, env=environment)
        self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit("bench_train_step ended")
        return json.loads(line)

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self.answer() if request["do"] != "end" else None

    def cpu_seconds(self):
        """The processor time of its one thread."""
        with open(f"/proc/{self.process.pid}/schedstat") as file:
            return int(file.read().split()[0]) / 1e9

    def peak_memory(self):
        """The peak since the program started, in bytes."""
        with open(f"/proc/{self.process.pid}/status") as file:
            return next(1024 * int(line.split()[1]) for line in file if line.startswith("VmHWM"))

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def make_case(config, lengths, first, count=0, seed=1):
    layers = config.get("n_layer") or config["num_hidden_layers"]
    source = random.Random(seed)
    draw = lambda: source.randrange(1, config["vocab_size"])
    return {"prompts": [[draw() for _ in range(n)] for n in lengths], "correct": [draw() for _ in lengths],
            "wrong": [draw() for _ in lengths], "layers": [first, layers - 1], "count": count,
            "positions": "absolute" if len(set(lengths)) == 1 and not count else "from_end"}


def measure_memory(config, tensors, ours):
    """Prints the peak memory from loading the folder to the steps of a fit of 8 prompts of 24 tokens."""
    ours.ask(do="fit", each=False, **make_case(config, [24] * 8, 0))
    ours.ask(do="steps", count=2)
    ours.ask(do="end")
    size = sum(4 * tensor.numel() for tensor in tensors.values())
    peak = ours.peak_memory()
    print(f"peak memory, B=8 T=24: {peak / 1e6:.0f} MB, {peak / size:.2f} times the float32 weights (goal: at most 2.2)")


def check(torch, weights, config, ours):
    """Compares loss and gradient of the three sides at random parameters."""
    for lengths, count in (([7, 7], 0), ([5, 9, 3], 0), ([8, 8], 3)):
        case = make_case(config, lengths, weights.layers - 4, count)
        fits = {"careful": CarefulFit(torch, weights, case), "usual": UsualFit(torch, weights, case)}
        torch.manual_seed(2)
        theta = torch.randn_like(fits["careful"].alpha) * 0.1
        for name, fit in fits.items():
            with torch.no_grad():
                fit.alpha.copy_(theta)
            loss = fit.backward() + 0.03 * theta.abs().sum().item()
            gradient = fit.alpha.grad.flatten()
            reply = ours.ask(do="gradient", theta=theta.flatten().tolist(), **case)
            own = torch.tensor(reply["gradient"])
            off = ((own - gradient).abs().max() / gradient.abs().max()).item()
            if not (abs(reply["loss"] - loss) < 1e-4 * abs(loss) and off < 1e-3 and gradient.abs().max() > 1e-4):
                sys.exit(f"trimtab and {name} PyTorch disagree: loss {reply['loss']} and {loss}, gradients off by {off:.1e}")
    print("loss and gradient agree between trimtab and both PyTorch programs", flush=True)


def blas(torch):
    """The BLAS library that torch uses, if it can be found."""
    torch.mm(torch.ones(2, 2), torch.ones(2, 2))
    with open("/proc/self/maps") as maps:
        files = sorted({line.split()[-1] for line in maps if "blas" in line and "/" in line})
    for file in files:
        library = ctypes.CDLL(file)
        if hasattr(library, "openblas_get_corename"):
            library.openblas_get_corename.restype = ctypes.c_char_p
            return f"{os.path.basename(file)}, kernels for {library.openblas_get_corename().decode()}"
    return ", ".join(files) or "none that could be found"


def processor():
    with open("/proc/cpuinfo") as info:
        lines = dict(line.split(":", 1) for line in info if ":" in line)
    fields = {k.strip(): v.strip() for k, v in lines.items()}
    simd = [f for f in ("avx2", "avx512f") if f in fields.get("flags", "").split()]
    return f"{fields.get('model name')}, family {fields.get('cpu family')}, {' '.join(simd)}"


def tune_blas(environment):
    """Makes OpenBLAS as fast as possible: with AVX-512 also on processors that it does not know yet, and without
    threads of PyTorch's OpenMP that spin while those of OpenBLAS work, which costs up to a factor of 2 with two."""
    with open("/proc/cpuinfo") as info:
        if "avx512f" in info.read():
            environment["OPENBLAS_CORETYPE"] = "SKYLAKEX"
    environment.pop("OPENBLAS_L2_SIZE", None)
    environment["OMP_WAIT_POLICY"] = "passive"


def timed(step, clock):
    start = clock()
    step()
    return 1e3 * (clock() - start)


def measure(torch, weights, config, ours, name, seconds, with_usual, cpu_time):
    lengths, first, count, lanes, goal = CASES[name]
    case = make_case(config, lengths, first, count)
    # With a fit for each prompt, PyTorch's time is that of one fit times the number of fits.
    alone = make_case(config, lengths[:1], first, count) if lanes else case
    times = len(lengths) if lanes else 1
    careful = CarefulFit(torch, weights, alone)
    usual = UsualFit(torch, weights, alone) if with_usual else None
    ours.ask(do="fit", each=lanes, **case)
    found = {"trimtab": [], "careful": [], "usual": []}
    clock = time.process_time if cpu_time else time.perf_counter
    start, rounds = time.perf_counter(), 0
    while rounds < 3 or (rounds < 30 and time.perf_counter() - start < seconds):
        before = ours.cpu_seconds()
        elapsed = ours.ask(do="steps", count=1)["ms"]
        found["trimtab"] += [1e3 * (ours.cpu_seconds() - before)] if cpu_time else elapsed
        time.sleep(0.01)  # lets the threads of the other side fall asleep
        found["careful"].append(times * timed(careful.step, clock))
        if usual and rounds < 3:
            found["usual"].append(times * timed(usual.step, clock))
        time.sleep(0.01)
        rounds += 1
    ours.ask(do="end")
    # The first step of each side is left out: its memory is not in a cache.
    median = {side: statistics.median(ms[1:]) for side, ms in found.items() if ms}
    ratio = median["careful"] / median["trimtab"]
    usual_text = f"{median['usual']:9.1f} | {median['usual'] / median['trimtab']:5.2f}" if usual else "          |      "
    print(f"| {name:13} | {median['trimtab']:8.1f} | {median['careful']:8.1f} | {ratio:5.2f} | {goal:4} | {usual_text} |",
          flush=True)


def run_here(options, threads):
    """Measures with one number of threads, in a process of its own, because BLAS libraries read that number once."""
    import torch

    torch.set_num_threads(threads)
    print(f"{processor()}; PyTorch {torch.__version__} on {blas(torch)}; {threads} thread(s); ms a step, medians")
    for kind in options.model:
        config = CONFIGS[kind]
        torch.manual_seed(1)
        tensors = random_weights(torch, config)
        with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
            write_folder(folder, config, tensors)
            ours = Trimtab(options.program, folder, threads)
        measure_memory(config, tensors, ours)
        weights = Weights(torch, config, tensors)
        check(torch, weights, config, ours)
        print(f"\n| {kind:13} |  trimtab |  careful | ratio | goal |     usual | ratio |")
        print("| ------------- | -------- | -------- | ----- | ---- | --------- | ----- |", flush=True)
        for name in options.cases:
            measure(torch, weights, config, ours, name, options.seconds, name in options.usual, options.cpu_time)
        print(flush=True)
        ours.close()


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--program", default=os.path.join(here, "../build/release/benchmarks/bench_train_step"))
    parser.add_argument("--model", nargs="*", choices=list(CONFIGS), default=list(CONFIGS))
    parser.add_argument("--threads", nargs="*", type=int, default=[1, 2])
    parser.add_argument("--cases", nargs="*", choices=list(CASES), default=list(CASES))
    parser.add_argument("--usual", nargs="*", choices=list(CASES), default=list(CASES), help="cases of the usual side")
    parser.add_argument("--seconds", type=float, default=10, help="for each case, at least three steps of each side")
    parser.add_argument("--cpu-time", action="store_true",
                        help="processor time instead of elapsed time; for one thread on a machine with other load")
    parser.add_argument("--blas-as-is", action="store_true")
    parser.add_argument("--scratch", help="folder for 650 MB of temporary files")
    parser.add_argument("--here", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cpu_time and options.threads != [1]:
        parser.error("--cpu-time needs --threads 1: threads that wait for each other compute, too")
    if options.here:
        return run_here(options, options.here)
    for threads in options.threads:
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads), OPENBLAS_NUM_THREADS=str(threads))
        if not options.blas_as_is:
            tune_blas(environment)
        subprocess.run([sys.executable, os.path.abspath(__file__), *sys.argv[1:], "--here", str(threads)],
                       env=environment, check=True)


if __name__ == "__main__":
    main()
