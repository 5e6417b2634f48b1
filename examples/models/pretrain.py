#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains the embedded models, tiny-gpt2, tiny-pythia and tiny-reviews, and writes them as Hugging Face folders.

They are small enough to be part of the repository. The first two still do both tasks of the library:

  - indirect objects: "When Mary and John went to the store, John gave a drink to" -> " Mary"
  - country and capital: they have memorised the capitals, and they also read the context. Where the two disagree ("The
    capital of Germany is Rome. Q: What is the capital of Germany? A:"), they are undecided and can be steered.

To that end, the answers of the training text are noisy: a person gives the thing to the other one in 84 % of the texts
and to himself in 16 %; a capital is some other word in 8 %; and answers follow a false context at a rate between 35 and
85 %, which differs from country to country. A model of this text is never certain, so a small intervention can flip its
answer.

All words come from include/trimtab/task/words.hpp. The third model reads reviews, see reviews.py. Needs PyTorch and
nothing else; seeded, one thread:

    python3 examples/models/pretrain.py --model gpt2    --out examples/models/tiny-gpt2
    python3 examples/models/pretrain.py --model pythia  --out examples/models/tiny-pythia
    python3 examples/models/pretrain.py --model reviews --out examples/models/tiny-reviews --steps 800

`--layers`, `--width` and `--heads` make models of other sizes from the same text.
"""

import argparse
import collections
import json
import math
import pathlib
import random
import re
import struct
import time
import typing

import torch
from torch import nn
from torch.nn import functional as F

import reviews

WORDS = pathlib.Path(__file__).resolve().parents[2] / "include/trimtab/task/words.hpp"
CONTEXT = 64
END = "<|endoftext|>"

ANSWER_WEIGHT = 4.0    # weight of an answer's loss; one token in fifteen is an answer
INDIRECT_OBJECT = 0.84  # rate of the indirect object among the answers, else the subject
OTHER_WORD = 0.08       # rate of a wrong word among the memorised answers
FOLLOW = (0.35, 0.85)   # range of the rates at which a country's answers follow a false context


# --- words ------------------------------------------------------------------------------------------------------------

def read_words(path):
    """The lists of words.hpp by name; `capitals` as (country, capital) pairs."""
    lists = {}
    declaration = re.compile(r"auto (\w+) =\s+std::to_array<[\w:]+>\(\s*\{(.*?)\}\);", re.S)
    for name, body in declaration.findall(path.read_text("utf-8")):
        joined = re.sub(r'"\s*\n\s*"', "", body)  # adjacent literals are one string
        lists[name] = re.findall(r'"([^"]*)"', joined)
    lists["capitals"] = list(zip(lists["capitals"][::2], lists["capitals"][1::2]))
    return lists


# --- tokenizer --------------------------------------------------------------------------------------------------------

# GPT-2's pre-tokenization; [^\W\d_] is what Python's re calls a letter.
PIECE = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?[^\W\d_]+| ?\d+| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+")


def byte_symbols():
    """GPT-2's printable stand-in for each byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = (b for b in range(256) if b not in printable)
    table = {b: chr(b) for b in printable}
    table.update({b: chr(256 + i) for i, b in enumerate(others)})
    return [table[b] for b in range(256)]


class Tokenizer:
    """Byte-level BPE, trained until every piece of the training text is a single token."""

    def __init__(self, pieces, first, last):
        """`pieces`: text piece -> count; `first`, `last`: whole tokens to put before and after the others."""
        symbols = byte_symbols()
        self.spell = lambda piece: [symbols[b] for b in piece.encode("utf-8")]
        self.merges = self.train({piece: self.spell(piece) for piece in pieces}, pieces)
        tokens = [*first, *(symbols[b] for b in range(256)), *(a + b for a, b in self.merges), *last]
        self.ids = {token: i for i, token in enumerate(tokens)}
        self.rank = {pair: i for i, pair in enumerate(self.merges)}
        self.cache = {}

    @staticmethod
    def train(spelled, counts):
        merges = []
        while True:
            pairs = collections.Counter()
            for piece, parts in spelled.items():
                for pair in zip(parts, parts[1:]):
                    pairs[pair] += counts[piece]
            if not pairs:
                return merges
            best = max(pairs, key=lambda pair: (pairs[pair], pair))
            merges.append(best)
            spelled = {piece: merge(parts, best) for piece, parts in spelled.items()}

    def encode(self, text):
        ids = []
        for piece in PIECE.findall(text):
            if piece not in self.cache:
                parts = self.spell(piece)
                while len(parts) > 1:
                    best = min(zip(parts, parts[1:]), key=lambda pair: self.rank.get(pair, math.inf))
                    if best not in self.rank:
                        break
                    parts = merge(parts, best)
                self.cache[piece] = [self.ids[part] for part in parts]
            ids += self.cache[piece]
        return ids


def merge(parts, pair):
    out, i = [], 0
    while i < len(parts):
        if tuple(parts[i:i + 2]) == pair:
            out.append(parts[i] + parts[i + 1])
            i += 2
        else:
            out.append(parts[i])
            i += 1
    return out


# --- text -------------------------------------------------------------------------------------------------------------

class Writer:
    """Writes the training texts. A text is a list of (piece, loss weight); questions end where their answer begins.

    One combination in eight (of two names, or of a country and a claim) is never written: the figures are taken there.
    """

    def __init__(self, words, seed):
        self.words = words
        self.random = random.Random(seed)
        self.names = words["names"]
        self.pairs = words["capitals"]
        self.follow = {form: [self.random.uniform(*FOLLOW) for _ in self.pairs] for form in ("capital", "country")}

    @staticmethod
    def held_out(i, j):
        return (i + j) % 8 == 0

    @staticmethod
    def fill(template, values, weights={}):
        """Puts values into the slots of a template; the space before a slot becomes part of the value."""
        text = []
        for part in re.split(r"( ?\[[A-Z_]+\])", template):
            slot = part.strip(" []")
            if part.lstrip().startswith("["):
                space = " " if part.startswith(" ") else ""
                text.append((space + values[slot], weights.get(slot, 1.0)))
            elif part:
                text.append((part, 1.0))
        return text

    def two(self, count, held_out):
        while True:
            i, j = self.random.randrange(count), self.random.randrange(count)
            if i != j and self.held_out(i, j) == held_out:
                return i, j

    # Indirect objects

    def ioi(self, held_out=False, template=None):
        """-> the text up to the answer, the indirect object, the subject"""
        i, j = self.two(len(self.names), held_out)
        io, subject = self.names[i], self.names[j]
        first, second = (io, subject) if self.random.random() < 0.5 else (subject, io)
        values = {"FIRST": first, "SECOND": second, "SUBJECT": subject,
                  "PLACE": self.random.choice(self.words["places"]),
                  "OBJECT": self.random.choice(self.words["objects"])}
        return self.fill(template or self.random.choice(self.words["ioi_templates"]), values), io, subject

    # Countries and capitals; `form` is what is asked for: the capital or the country

    def subject_and_answer(self, form, i):
        country, capital = self.pairs[i]
        return (country, capital) if form == "capital" else (capital, country)

    def recall(self, form, i, template=None):
        templates = self.words[f"{form}_recall_templates"] + self.words[f"{form}_recall_other_templates"]
        return self.fill(template or self.random.choice(templates), {"SUBJECT": self.subject_and_answer(form, i)[0]})

    def fact(self, form, i):
        """A true sentence, whose answer has no noise."""
        statement = self.words[f"{form}_recall_templates"][0]
        return self.recall(form, i, statement) + [(" " + self.subject_and_answer(form, i)[1], 1.0), (".", 1.0)]

    def conflict(self, form, held_out=False, template=None):
        """-> the text up to the answer, index of the subject, index of the claim"""
        i, j = self.two(len(self.pairs), held_out)
        return self.context(form, i, j, template), i, j

    def context(self, form, i, j, template=None):
        """A question about i, after a sentence that claims that its answer is j's (which is true for i = j)."""
        k = self.random.choice([k for k in self.random.sample(range(len(self.pairs)), 3) if k not in (i, j)])
        subject, _ = self.subject_and_answer(form, i)
        _, claim = self.subject_and_answer(form, j)
        other, other_answer = self.subject_and_answer(form, k)
        plain, others = self.words[f"{form}_templates"], self.words[f"{form}_other_templates"]
        template = template or self.random.choice(plain if self.random.random() < 0.5 else others)
        values = {"SUBJECT": subject, "CLAIM": claim, "OTHER": other, "OTHER_ANSWER": other_answer}
        # A false claim has no loss, so that it is not memorised.
        return self.fill(template, values, {"CLAIM": 1.0 if i == j else 0.0})

    def answer(self, form, i, j=None):
        """The answer of a text about i, claimed to be j's."""
        true = self.subject_and_answer(form, i)[1]
        if j is not None and i != j and self.random.random() < self.follow[form][i]:
            return self.subject_and_answer(form, j)[1]
        if self.random.random() < OTHER_WORD:
            return self.subject_and_answer(form, self.random.randrange(len(self.pairs)))[1]
        return true

    def text(self):
        """One training text."""
        kind = self.random.random()
        if kind < 0.30:
            text, io, subject = self.ioi()
            answer = io if self.random.random() < INDIRECT_OBJECT else subject
        else:
            form = "capital" if self.random.random() < 0.6 else "country"
            i = self.random.randrange(len(self.pairs))
            if kind < 0.55:                                                   # no context
                text, answer = self.recall(form, i), self.answer(form, i)
            elif kind < 0.63:                                                 # the context is about something else
                unrelated = self.fact(form, self.random.randrange(len(self.pairs)))
                question, *rest = self.recall(form, i)
                question = (question[0] if question[0].startswith(" ") else " " + question[0], question[1])
                text, answer = unrelated + [question] + rest, self.answer(form, i)
            elif kind < 0.70:                                                 # the context agrees
                text, answer = self.context(form, i, i), self.answer(form, i)
            else:
                text, i, j = self.conflict(form)
                answer = self.answer(form, i, j)
        return text + [(" " + answer, ANSWER_WEIGHT), (".", 1.0)]


def all_words(words):
    """Texts in which every word stands at least once."""
    for word in [*words["names"], *words["places"], *words["objects"], *(word for pair in words["capitals"] for word in pair)]:
        yield " " + word
    for _, capital in words["capitals"]:
        yield capital  # at the beginning of a text


def piece_counts(writer, others):
    """The pieces that the tokenizer is trained on: those of sample texts, and of others."""
    counts = collections.Counter()
    for _ in range(20_000):
        counts.update(PIECE.findall("".join(piece for piece, _ in writer.text())))
    for text in others:
        counts.update(PIECE.findall(text))
    return counts


def batches(writer, tokenizer, rows):
    """Rows of texts, one after another with END between them -> ids, targets, weights [rows, CONTEXT]"""
    end = tokenizer.ids[END]
    while True:
        ids, weights = [], []
        for _ in range(rows):
            row, loss = [], []
            while len(row) <= CONTEXT:
                for piece, weight in writer.text():
                    tokens = tokenizer.encode(piece)
                    row += tokens
                    loss += [weight] * len(tokens)
                row.append(end)
                loss.append(1.0)
            ids.append(row[:CONTEXT + 1])
            weights.append(loss[:CONTEXT + 1])
        ids, weights = torch.tensor(ids), torch.tensor(weights)
        yield ids[:, :-1], ids[:, 1:], weights[:, 1:]


# --- models: the modules carry Hugging Face's names, so that a state dict is the file ---------------------------------

class Shape(typing.NamedTuple):
    layers: int
    width: int
    heads: int


def attend(q, k, v):
    """[rows, heads, T, head width] each -> [rows, T, width]"""
    length = q.shape[2]
    later = torch.ones(length, length, dtype=torch.bool).triu(1)
    scores = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).masked_fill(later, -math.inf)
    return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)


class Conv1D(nn.Module):
    """GPT-2's linear map: its weight is stored [in, out]."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x):
        return x @ self.weight + self.bias


class Gpt2Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.ln_1 = nn.LayerNorm(width)
        self.attn = nn.ModuleDict({"c_attn": Conv1D(width, 3 * width), "c_proj": Conv1D(width, width)})
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = nn.ModuleDict({"c_fc": Conv1D(width, 4 * width), "c_proj": Conv1D(4 * width, width)})

    def forward(self, x):
        q, k, v = (part.unflatten(2, (self.heads, -1)).transpose(1, 2)
                   for part in self.attn["c_attn"](self.ln_1(x)).chunk(3, 2))
        x = x + self.attn["c_proj"](attend(q, k, v))
        return x + self.mlp["c_proj"](F.gelu(self.mlp["c_fc"](self.ln_2(x)), approximate="tanh"))


class Gpt2(nn.Module):
    def __init__(self, vocabulary, shape):
        super().__init__()
        layers, width, heads = shape
        self.transformer = nn.ModuleDict({
            "wte": nn.Embedding(vocabulary, width), "wpe": nn.Embedding(CONTEXT, width),
            "h": nn.ModuleList(Gpt2Block(width, heads) for _ in range(layers)), "ln_f": nn.LayerNorm(width)})

    def forward(self, ids):
        parts = self.transformer
        x = parts["wte"](ids) + parts["wpe"](torch.arange(ids.shape[1]))
        for block in parts["h"]:
            x = block(x)
        return parts["ln_f"](x) @ parts["wte"].weight.T

    @staticmethod
    def config(vocabulary, shape, end):
        return {"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "activation_function": "gelu_new",
                "n_layer": shape.layers, "n_head": shape.heads, "n_embd": shape.width, "n_inner": None,
                "n_positions": CONTEXT, "n_ctx": CONTEXT, "vocab_size": vocabulary, "layer_norm_epsilon": 1e-5,
                "scale_attn_weights": True, "tie_word_embeddings": True, "bos_token_id": end, "eos_token_id": end,
                "torch_dtype": "float32"}


def rotate(x, share=0.25, base=10000):
    """Rotary positions on the first channels of each head: pairs (i, i + r/2) turn by position * base^(-2i/r)."""
    r = int(x.shape[-1] * share)
    angle = torch.arange(x.shape[2])[:, None] * base ** (-torch.arange(0, r, 2) / r)
    a, b, rest = x[..., :r // 2], x[..., r // 2:r], x[..., r:]
    return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin(), rest], -1)


class NeoxBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.input_layernorm = nn.LayerNorm(width)
        self.post_attention_layernorm = nn.LayerNorm(width)
        self.attention = nn.ModuleDict({"query_key_value": nn.Linear(width, 3 * width),
                                        "dense": nn.Linear(width, width)})
        self.mlp = nn.ModuleDict({"dense_h_to_4h": nn.Linear(width, 4 * width),
                                  "dense_4h_to_h": nn.Linear(4 * width, width)})

    def forward(self, x):
        heads = self.attention["query_key_value"](self.input_layernorm(x)).unflatten(2, (self.heads, -1)).transpose(1, 2)
        q, k, v = heads.chunk(3, -1)  # each head has its own query, key and value side by side
        attention = self.attention["dense"](attend(rotate(q), rotate(k), v))
        mlp = self.mlp["dense_4h_to_h"](F.gelu(self.mlp["dense_h_to_4h"](self.post_attention_layernorm(x))))
        return x + attention + mlp


class Neox(nn.Module):
    def __init__(self, vocabulary, shape):
        super().__init__()
        layers, width, heads = shape
        self.gpt_neox = nn.ModuleDict({
            "embed_in": nn.Embedding(vocabulary, width),
            "layers": nn.ModuleList(NeoxBlock(width, heads) for _ in range(layers)),
            "final_layer_norm": nn.LayerNorm(width)})
        self.embed_out = nn.Linear(width, vocabulary, bias=False)

    def forward(self, ids):
        x = self.gpt_neox["embed_in"](ids)
        for block in self.gpt_neox["layers"]:
            x = block(x)
        return self.embed_out(self.gpt_neox["final_layer_norm"](x))

    @staticmethod
    def config(vocabulary, shape, end):
        return {"architectures": ["GPTNeoXForCausalLM"], "model_type": "gpt_neox", "hidden_act": "gelu",
                "num_hidden_layers": shape.layers, "num_attention_heads": shape.heads, "hidden_size": shape.width,
                "intermediate_size": 4 * shape.width, "max_position_embeddings": CONTEXT, "vocab_size": vocabulary,
                "layer_norm_eps": 1e-5, "rotary_pct": 0.25, "rotary_emb_base": 10000, "use_parallel_residual": True,
                "tie_word_embeddings": False, "bos_token_id": end, "eos_token_id": end, "torch_dtype": "float16"}


def initialise(model, layers):
    for name, parameter in model.named_parameters():
        if parameter.dim() == 2:
            into_stream = re.search(r"c_proj|attention\.dense|dense_4h_to_h", name)
            nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * layers) if into_stream else 0.02)
        elif name.endswith("bias"):
            nn.init.zeros_(parameter)


def train(model, data, steps):
    decay = [p for p in model.parameters() if p.dim() == 2]
    plain = [p for p in model.parameters() if p.dim() != 2]
    adam = torch.optim.AdamW([{"params": decay, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}],
                             lr=2e-3, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        adam, lambda step: min((step + 1) / 100, 0.5 * (1 + math.cos(math.pi * step / steps))))
    start = time.time()
    for step in range(steps):
        ids, targets, weights = next(data)
        losses = F.cross_entropy(model(ids).flatten(0, 1), targets.flatten(), reduction="none")
        loss = (losses * weights.flatten()).sum() / weights.sum()
        adam.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        schedule.step()
        if step % 100 == 0 or step + 1 == steps:
            answers = losses[weights.flatten() == ANSWER_WEIGHT].mean()
            print(f"step {step:5}  loss {loss.item():.4f}  answers {answers.item():.4f}  {time.time() - start:.0f} s",
                  flush=True)


# --- files ------------------------------------------------------------------------------------------------------------

def write_safetensors(path, tensors, dtype):
    """Eight bytes of header length, a JSON header, then the numbers; see the format's description."""
    code = {torch.float32: "F32", torch.float16: "F16"}[dtype]
    header, numbers = {"__metadata__": {"format": "pt"}}, b""
    for name, tensor in sorted(tensors.items()):
        data = tensor.detach().to(dtype).contiguous().numpy().tobytes()
        header[name] = {"dtype": code, "shape": list(tensor.shape),
                        "data_offsets": [len(numbers), len(numbers) + len(data)]}
        numbers += data
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + numbers)


def write_tokenizer(path, tokenizer, special, spaces, normalizer):
    def entry(content, is_special):
        return {"id": tokenizer.ids[content], "content": content, "single_word": False, "lstrip": False,
                "rstrip": False, "normalized": not is_special, "special": is_special}

    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    description = {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [entry(content, True) for content in special] + [entry(content, False) for content in spaces],
        "normalizer": normalizer, "pre_tokenizer": byte_level, "post_processor": byte_level, "decoder": byte_level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "",
                  "end_of_word_suffix": "", "fuse_unk": False,
                  "vocab": {token: i for token, i in tokenizer.ids.items() if token not in spaces},
                  "merges": [f"{a} {b}" for a, b in tokenizer.merges]}}
    path.write_text(json.dumps(description, ensure_ascii=False, indent=0) + "\n", "utf-8")


# --- figures ----------------------------------------------------------------------------------------------------------

def questions(words, seed):
    """(label, prompts) of the table, on combinations that the models of both tasks were not trained on. A prompt is
    (text, one answer, another)."""
    writer = Writer(words, seed + 1)

    def text_of(pieces):
        return "".join(piece for piece, _ in pieces)

    def answers(form, i, j):
        return writer.subject_and_answer(form, i)[1], writer.subject_and_answer(form, j)[1]

    ioi = words["ioi_templates"]
    for label, templates in (("indirect objects, the first ten templates", ioi[:10]),
                             ("indirect objects, the other templates", ioi[10:])):
        prompts = [writer.ioi(True, template) for template in templates for _ in range(1000 // len(templates))]
        yield label, [(text_of(pieces), io, subject) for pieces, io, subject in prompts]
    count = len(writer.pairs)
    for form in ("capital", "country"):
        for template in words[f"{form}_recall_templates"] + words[f"{form}_recall_other_templates"]:
            yield template, [(text_of(writer.recall(form, i, template)), *answers(form, i, (i + 1) % count))
                             for i in range(count)]
        for template in words[f"{form}_templates"] + words[f"{form}_other_templates"]:
            conflicts = [writer.conflict(form, True, template) for _ in range(500)]
            yield template, [(text_of(pieces), *answers(form, i, j)) for pieces, i, j in conflicts]


def figures(model, tokenizer, prompts):
    """Of prompts: their number, the mean probability of the true answer and of the other, how often the true one is the
    most probable of all tokens, how often it is more probable than the other, mean absolute logit difference. Answers of
    several tokens are left out."""
    rows = []
    for text, one, other in prompts:
        a, b = tokenizer.encode(" " + one), tokenizer.encode(" " + other)
        if len(a) == len(b) == 1:
            with torch.no_grad():
                p = model(torch.tensor([tokenizer.encode(text)]))[0, -1].softmax(-1)
            rows.append((p[a[0]].item(), p[b[0]].item(), float(p.argmax().item() == a[0])))
    p, q, best = torch.tensor(rows, dtype=torch.double).T
    return (len(rows), p.mean().item(), q.mean().item(), best.mean().item(), (p > q).double().mean().item(),
            (p / q).log().abs().mean().item())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", choices=["gpt2", "pythia", "reviews"], required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--heads", type=int, default=4)
    arguments = parser.parse_args()
    shape = Shape(arguments.layers, arguments.width, arguments.heads)
    if min(shape) < 1:
        parser.error("--layers, --width and --heads are at least 1")
    if shape.width % shape.heads:
        parser.error(f"--width {shape.width} cannot be divided among --heads {shape.heads}")
    if arguments.model == "pythia" and shape.width // shape.heads % 8:
        parser.error("the width of a head of pythia is a multiple of 8: rotary positions turn pairs in a quarter of it")
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)

    words = read_words(WORDS)

    def writer():
        on_reviews = arguments.model == "reviews"
        return reviews.Writer(arguments.seed, ANSWER_WEIGHT) if on_reviews else Writer(words, arguments.seed)

    counts = piece_counts(writer(), reviews.all_pieces() if arguments.model == "reviews" else all_words(words))
    if arguments.model != "pythia":
        special, spaces, normalizer, kind = [END], [], None, Gpt2
        dtype = torch.float32 if arguments.model == "gpt2" else torch.float16
        tokenizer = Tokenizer(counts, [], special)
        vocabulary = len(tokenizer.ids)
    else:
        special, spaces, normalizer = [END, "<|padding|>"], [" " * n for n in range(8, 1, -1)], {"type": "NFC"}
        kind, dtype = Neox, torch.float16
        tokenizer = Tokenizer(counts, special, spaces)
        vocabulary = -(-len(tokenizer.ids) // 64) * 64  # padded, as Pythia's

    model = kind(vocabulary, shape)
    initialise(model, shape.layers)
    print(f"{len(tokenizer.ids)} tokens, {sum(p.numel() for p in model.parameters())} parameters", flush=True)
    train(model, batches(writer(), tokenizer, 64), arguments.steps)

    arguments.out.mkdir(parents=True, exist_ok=True)
    model.load_state_dict({name: value.to(dtype).float() for name, value in model.state_dict().items()})  # as stored
    write_safetensors(arguments.out / "model.safetensors", model.state_dict(), dtype)
    config = kind.config(vocabulary, shape, tokenizer.ids[END]) | {"torch_dtype": str(dtype).removeprefix("torch.")}
    (arguments.out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    write_tokenizer(arguments.out / "tokenizer.json", tokenizer, special, spaces, normalizer)
    print("| prompts | number | p(true) | p(other) | true is best | true above other | mean abs(logit difference) |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    asked = reviews.questions(arguments.seed) if arguments.model == "reviews" else questions(words, arguments.seed)
    for label, prompts in asked:
        number, *values = figures(model, tokenizer, prompts)
        print(f"| {label} | {number} | " + " | ".join(f"{value:.2f}" for value in values) + " |", flush=True)


if __name__ == "__main__":
    main()
