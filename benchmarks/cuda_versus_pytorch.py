#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times a step of a fit on a GPU in trimtab and in PyTorch, on one machine; writes medians and ratios as Markdown.

    cmake --preset cuda && cmake --build --preset cuda --target bench_cuda_step
    python3 benchmarks/cuda_versus_pytorch.py build/cuda/benchmarks/bench_cuda_step RESULT.md
    python3 benchmarks/cuda_versus_pytorch.py --alone PROGRAM RESULT.md       without PyTorch

The models have the shapes of GPT-2 small, medium and XL and of Pythia-1.4B, and random weights. The PyTorch sides are
those of versus_pytorch.py on the device: `hooks` (its usual side: modules and forward hooks, eager), `careful` (eager),
and the careful step as a CUDA graph, with torch.compile, and with both.
"""

import argparse
import json
import statistics
import subprocess
import time

import versus_pytorch as cpu

SHAPES = {
    "gpt2": dict(cpu.GPT2),
    "gpt2-medium": dict(cpu.GPT2, n_layer=24, n_head=16, n_embd=1024),
    "gpt2-xl": dict(cpu.GPT2, n_layer=48, n_head=25, n_embd=1600),
    "pythia-1.4b": dict(cpu.PYTHIA, num_hidden_layers=24, num_attention_heads=16, hidden_size=2048,
                        intermediate_size=8192),
}
BATCHES = [(32, 16), (1, 16)]  # prompts, tokens


def ours(program, shape, precision, prompts, tokens):
    run = subprocess.run([program, shape, precision, str(prompts), str(tokens)], stdout=subprocess.PIPE, check=True)
    return json.loads(run.stdout)


def median_ms(torch, step, times=20):
    for _ in range(5):
        step()
    found = []
    for _ in range(times):
        torch.cuda.synchronize()
        start = time.perf_counter()
        step()
        torch.cuda.synchronize()
        found.append(1000 * (time.perf_counter() - start))
    return statistics.median(found)


def whole_step(torch, fit, logits_of):
    """A step that never waits for a number from the device: the count of steps is on the device too."""
    count = torch.zeros(())
    rate, b1, b2, eps, penalty = 0.03, 0.9, 0.999, 1e-8, 0.03

    def step():
        loss = fit.objective(logits_of(fit.ids_twice, fit.ends_twice, None, fit.gains(fit.beta[:, None])), fit.beta)
        gradient, = torch.autograd.grad(loss, fit.alpha)
        with torch.no_grad():
            count.add_(1)
            first, second = fit.moments
            first.mul_(b1).add_(gradient, alpha=1 - b1)
            second.mul_(b2).addcmul_(gradient, gradient, value=1 - b2)
            pace = rate / ((second / (1 - b2**count)).sqrt() + eps)
            moved = fit.alpha - pace * first / (1 - b1**count)
            fit.alpha.copy_(moved.sign() * (moved.abs() - penalty * pace).clamp(min=0))

    return step


def captured(torch, step):
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def theirs(torch, shape, prompts, tokens):
    config = SHAPES[shape]
    tensors = {name: tensor.cuda() for name, tensor in cpu.random_weights(torch, config).items()}
    torch.set_default_device("cuda")
    try:
        weights = cpu.Weights(torch, config, tensors)
        case = cpu.make_case(config, [tokens] * prompts, 0)
        found = {"hooks": median_ms(torch, cpu.UsualFit(torch, weights, case).step)}
        found["careful"] = median_ms(torch, cpu.CarefulFit(torch, weights, case).step)
        fit = cpu.CarefulFit(torch, weights, case)
        found["careful, CUDA graph"] = median_ms(torch, captured(torch, whole_step(torch, fit, fit.model.logits)))
        try:
            fit = cpu.CarefulFit(torch, weights, case)
            compiled = torch.compile(fit.model.logits, fullgraph=True)
            step = whole_step(torch, fit, compiled)
            found["torch.compile"] = median_ms(torch, step)
            found["torch.compile, CUDA graph"] = median_ms(torch, captured(torch, step))
        except Exception as problem:  # a missing compiler must not lose the other results
            print(f"torch.compile failed for {shape}: {problem}")
        return found
    finally:
        torch.set_default_device("cpu")
        torch.cuda.empty_cache()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("program")
    parser.add_argument("result")
    parser.add_argument("--alone", action="store_true", help="without PyTorch")
    parser.add_argument("--shapes", nargs="*", choices=list(SHAPES), default=list(SHAPES))
    options = parser.parse_args()
    lines = []
    torch = None
    if not options.alone:
        import torch
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        lines.append(f"PyTorch {torch.__version__}, CUDA {torch.version.cuda}, float without TF32.\n")
    lines += ["| shape | prompts x tokens | side | ms a step | trimtab's float is faster by |",
              "| --- | --- | --- | --- | --- |"]
    details = []
    for shape in options.shapes:
        for prompts, tokens in BATCHES:
            mine = {precision: ours(options.program, shape, precision, prompts, tokens)
                    for precision in ("float", "tf32", "bf16")}
            sides = {f"trimtab {precision}": found["step_ms"] for precision, found in mine.items()}
            if torch:
                sides.update(theirs(torch, shape, prompts, tokens))
            base = mine["float"]["step_ms"]
            for side, ms in sides.items():
                lines.append(f"| {shape} | {prompts} x {tokens} | {side} | {ms:.3f} | {ms / base:.2f} |")
                print(lines[-1], flush=True)
            for precision, found in mine.items():
                more = 100 * (found["steered_forward_ms"] / found["forward_ms"] - 1)
                details.append(f"| {shape} | {prompts} x {tokens} | {precision} | {found['fit_of_100_steps_ms']:.1f} | "
                               f"{found['forward_ms']:.3f} | {found['steered_forward_ms']:.3f} | {more:+.1f} % |")
    lines += ["", "| shape | prompts x tokens | precision | fit of 100 steps, ms | forward, ms | steered, ms | more |",
              "| --- | --- | --- | --- | --- | --- | --- |", *details]
    with open(options.result, "a") as file:
        file.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
