// SPDX-License-Identifier: Apache-2.0

// Times a step of a fit and a forward pass on a GPU, for the shapes of real models with random weights, and prints one
// JSON object. cuda_versus_pytorch.py runs it. nvcc compiles this file.
//
//     bench_cuda_step SHAPE PRECISION PROMPTS TOKENS
//
// SHAPE is gpt2, gpt2-medium, gpt2-xl or pythia-1.4b; PRECISION is float, tf32 or bf16.
//
// The fit is of activ_scalar at attn_out, mlp_out and resid_post of every layer, with each prompt at β = ±1.

#include <trimtab/cuda.hpp>

#include "support/random_weights.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <string>
#include <vector>

namespace {

using namespace trimtab;
using backend = cuda_backend<float>;

model_config shape(const std::string& name) {
  model_config c{.architecture = "gpt2", .context = 1024, .vocabulary = 50257};
  if (name == "gpt2") c.layers = 12, c.width = 768, c.heads = 12;
  if (name == "gpt2-medium") c.layers = 24, c.width = 1024, c.heads = 16;
  if (name == "gpt2-xl") c.layers = 48, c.width = 1600, c.heads = 25;
  if (name == "pythia-1.4b")
    c = {.architecture = "gpt_neox",
         .layers = 24,
         .width = 2048,
         .heads = 16,
         .context = 2048,
         .vocabulary = 50304,
         .rotary_channels = 32,
         .nonlinearity = activation::gelu_erf,
         .parallel_residual = true};
  if (c.layers == 0) throw error(error_kind::bad_argument, "the shape " + name + " is none of this program's");
  c.hidden = 4 * c.width;
  return c;
}

std::vector<prompt_pair> prompts_of(index_t count, index_t length) {
  std::vector<prompt_pair> prompts(static_cast<std::size_t>(count));
  for (std::size_t n = 0; n < prompts.size(); ++n) {
    for (index_t i = 0; i < length; ++i)
      prompts[n].ids.push_back(static_cast<int>((n * 331 + 7 * static_cast<std::size_t>(i)) % 50000));
    prompts[n].correct_id = 7;
    prompts[n].wrong_id = 8;
  }
  return prompts;
}

/// The median time of f() with all work of the device, in milliseconds.
template <typename F>
double milliseconds(const backend& on, F&& f, int times = 20) {
  std::vector<double> all;
  for (int k = 0; k < times + 3; ++k) {
    on.context().synchronize();
    const auto start = std::chrono::steady_clock::now();
    f();
    on.context().synchronize();
    all.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(all.begin() + 3, all.end());  // the first three warm up
  return all[3 + static_cast<std::size_t>(times) / 2];
}

template <typename Model>
nlohmann::json measure(const Model& model, const std::vector<prompt_pair>& prompts) {
  const backend& on = model.backend();
  const policy::activ_scalar p;
  const auto composition = steer(model, at(site::attn_out{}, p), at(site::mlp_out{}, p), at(site::resid_post{}, p));
  const trainer learner(composition,
                        objective::effectiveness{} + 1.0 * objective::faithfulness{} + 0.03 * objective::minimality{},
                        adam{});
  const auto fit = [&](index_t steps) {
    return milliseconds(
        on, [&] { static_cast<void>(learner.fit(prompts, {.steps = steps})); }, 5);
  };
  nlohmann::json found;
  const double few = fit(20), many = fit(120);
  found["fit_of_100_steps_ms"] = fit(100);
  found["step_ms"] = (many - few) / 100;  // without the planning at the start of a fit

  // Forward passes over the same rows, each recorded and started as one graph.
  const std::vector<double> strengths{+1};
  const auto layout = composition.layout(prompts);
  const auto sequences = every_strength(static_cast<index_t>(prompts.size()), strengths);
  const batch<backend> rows(on, model.config(), ids_of(prompts));
  workspace<backend> memory(on);
  const auto stream = memory.take(rows.rows(), model.config().width),
             logits = memory.take(rows.queries(), model.config().vocabulary);
  model.embed(rows, stream);
  const auto forward = [&](auto& run) {
    run.unembed(run.forward(stream), logits);
    const auto recorded = on.record([&] { run.unembed(run.forward(stream), logits); });
    return milliseconds(
        on, [&] { recorded.replay(); }, 50);
  };
  const binding<backend> bound(on, model.config(), {layout}, prompts, sequences, scored::last);
  pass<Model> plain(model, rows, {0, model.config().layers});
  pass<Model, typename decltype(composition)::hooks_type> steered_pass(model, rows, {0, model.config().layers},
                                                                       composition.hooks(bound));
  found["forward_ms"] = forward(plain);
  found["steered_forward_ms"] = forward(steered_pass);
  return found;
}

}  // namespace

int main(int count, char** words) try {
  if (count != 5) throw error(error_kind::bad_argument, "usage: bench_cuda_step SHAPE PRECISION PROMPTS TOKENS");
  const std::string name = words[1], precision = words[2];
  const backend on(cuda::options{.precision = precision == "tf32"   ? cuda::precision::tf32
                                              : precision == "bf16" ? cuda::precision::bf16
                                                                    : cuda::precision::full});
  const model_config config = shape(name);
  const auto prompts = prompts_of(std::stol(words[3]), std::stol(words[4]));
  const test::random_weights weights(config);
  auto found = config.architecture == "gpt2" ? measure(gpt2<backend>(weights, on), prompts)
                                             : measure(gpt_neox<backend>(weights, on), prompts);
  found["shape"] = name;
  found["precision"] = precision;
  found["prompts"] = prompts.size();
  found["tokens"] = prompts.front().ids.size();
  std::cout << found.dump() << std::endl;
} catch (const std::exception& e) {
  std::cerr << e.what() << '\n';
  return 1;
}
