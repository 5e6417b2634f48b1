// SPDX-License-Identifier: Apache-2.0

// What an intervention costs: a forward pass without hooks, one that is composed with hooks in no layer, one with
// activ_scalar at three sites of every layer; and one step of a fit. Random weights in the shape of a small GPT-2.

#include "support/random_weights.hpp"

#include <trimtab/backend/eigen.hpp>
#include <trimtab/compose.hpp>

#include <benchmark/benchmark.h>

namespace {

using namespace trimtab;

struct setting {
  model_config config{
      .architecture = "gpt2", .layers = 6, .width = 384, .heads = 6, .hidden = 1536, .context = 64, .vocabulary = 5000};
  gpt2<eigen_backend<float>> model{test::random_weights(config), eigen_backend<float>(1)};
  std::vector<prompt_pair> prompts = std::vector<prompt_pair>(16);

  setting() {
    for (std::size_t n = 0; n < prompts.size(); ++n) {
      for (int i = 0; i < 16; ++i) prompts[n].ids.push_back(static_cast<int>(n) * 31 + i * 7);
      prompts[n].correct_id = 7;
      prompts[n].wrong_id = 8;
    }
  }
};

setting const& shared() {
  static const setting s;
  return s;
}

void forward_without_hooks(benchmark::State& state) {
  setting const& s = shared();
  const batch<eigen_backend<float>> rows(s.model.backend(), s.config, ids_of(s.prompts));
  workspace<eigen_backend<float>> memory(s.model.backend());
  const auto stream = memory.take(rows.rows(), s.config.width),
             logits = memory.take(rows.queries(), s.config.vocabulary);
  s.model.embed(rows, stream);
  pass<gpt2<eigen_backend<float>>> run(s.model, rows, {0, s.config.layers});
  for (auto _ : state) run.unembed(run.forward(stream), logits);
}

void forward_with(benchmark::State& state, layer_set layers) {
  setting const& s = shared();
  const policy::activ_scalar p;
  const auto composition = steer(s.model, at(site::attn_out{}, p, layers), at(site::mlp_out{}, p, layers),
                                 at(site::resid_post{}, p, layers));
  const auto layout = composition.layout(s.prompts);
  const batch<eigen_backend<float>> rows(s.model.backend(), s.config, ids_of(s.prompts));
  workspace<eigen_backend<float>> memory(s.model.backend());
  const auto stream = memory.take(rows.rows(), s.config.width),
             logits = memory.take(rows.queries(), s.config.vocabulary);
  s.model.embed(rows, stream);
  const std::vector<double> strength{1.0};
  const auto sequences = every_strength(static_cast<index_t>(s.prompts.size()), strength);
  using bound_type = bound_steering<eigen_backend<float>, intervention<site::attn_out, policy::activ_scalar>,
                                    intervention<site::mlp_out, policy::activ_scalar>,
                                    intervention<site::resid_post, policy::activ_scalar>>;
  const bound_type bound(s.model.backend(), s.config, composition.interventions(), layout, s.prompts, sequences, 1,
                         scored::last);
  pass<gpt2<eigen_backend<float>>, hooks_of<bound_type>> run(s.model, rows, {0, s.config.layers}, {&bound});
  for (auto _ : state) run.unembed(run.forward(stream), logits);
}
void forward_hooked_nowhere(benchmark::State& state) { forward_with(state, layers::none()); }
void forward_steered(benchmark::State& state) { forward_with(state, layers::all()); }

/// Twenty steps at a time, so that what is planned once does not count as a step.
void fit_20_steps(benchmark::State& state) {
  setting const& s = shared();
  const policy::activ_scalar p;
  const auto learner =
      trainer(steer(s.model, at(site::attn_out{}, p), at(site::mlp_out{}, p), at(site::resid_post{}, p)),
              objective::effectiveness{} + 1.0 * objective::faithfulness{} + 0.03 * objective::minimality{}, adam{});
  for (auto _ : state) benchmark::DoNotOptimize(learner.fit(s.prompts, {.steps = 20}));
}

}  // namespace

BENCHMARK(forward_without_hooks)->Unit(benchmark::kMillisecond);
BENCHMARK(forward_hooked_nowhere)->Unit(benchmark::kMillisecond);
BENCHMARK(forward_steered)->Unit(benchmark::kMillisecond);
BENCHMARK(fit_20_steps)->Unit(benchmark::kMillisecond);
