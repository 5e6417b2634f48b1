// SPDX-License-Identifier: Apache-2.0

// One whole step of a fit: forward, objective, gradient, optimizer. The model has the blocks of GPT-2 small and random
// weights; activ_scalar at attn_out, mlp_out and resid_post of every layer, every prompt at β = ±1.

#include "support/random_weights.hpp"

#include <trimtab/backend/eigen.hpp>
#include <trimtab/compose.hpp>

#include <benchmark/benchmark.h>

#include <map>
#include <vector>

namespace {

using namespace trimtab;
using backend = eigen_backend<float>;
using model_type = gpt2<backend>;

/// The model of this depth and number of threads; each is made once.
const model_type& model_of(index_t layers, int threads) {
  static std::map<std::pair<index_t, int>, model_type> known;
  const std::pair key(layers, threads);
  if (not known.contains(key)) {
    const model_config config{.architecture = "gpt2",
                              .layers = layers,
                              .width = 768,
                              .heads = 12,
                              .hidden = 3072,
                              .context = 256,
                              .vocabulary = 50257};
    known.try_emplace(key, test::random_weights(config), backend(threads));
  }
  return known.at(key);
}

struct shape {
  index_t prompts, length;
  index_t layers = 12;
  int threads = 1;
  bool each = false;  ///< a fit for each prompt
  position_key positions = positions::absolute();
  layer_set in = layers::all();
};

std::vector<prompt_pair> prompts_of(const shape& s) {
  random_generator random(1);
  std::vector<prompt_pair> prompts(static_cast<std::size_t>(s.prompts));
  for (prompt_pair& p : prompts) {
    for (index_t i = 0; i < s.length; ++i) p.ids.push_back(static_cast<int>(random.below(50257)));
    p.correct_id = 7;
    p.wrong_id = 8;
  }
  return prompts;
}

/// Times steps only: planning and the pass of the untouched model come before.
void step(benchmark::State& state, const shape& s) {
  const policy::activ_scalar p;
  const auto composition =
      steer(model_of(s.layers, s.threads), at(site::attn_out{}, p, s.in, s.positions),
            at(site::mlp_out{}, p, s.in, s.positions), at(site::resid_post{}, p, s.in, s.positions));
  const trainer learner(composition,
                        objective::effectiveness{} + 1.0 * objective::faithfulness{} + 0.03 * objective::minimality{},
                        adam{});
  const auto prompts = prompts_of(s);
  std::vector<decltype(learner)::replica_type> replicas;
  if (s.each)
    for (const prompt_pair& one : prompts) replicas.push_back(learner.replica_of(std::span(&one, 1)));
  else
    replicas.push_back(learner.replica_of(prompts));
  auto run = learner.start(std::move(replicas));
  while (run.step() < 2) {  // the first steps are slower: their memory is not in a cache
  }
  for (auto _ : state) run.step();
  state.counters["ms/prompt"] =
      benchmark::Counter(static_cast<double>(s.prompts) / 1e3,
                         benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void add(const std::string& name, shape s) {
  benchmark::RegisterBenchmark(name.c_str(), [s](benchmark::State& state) { step(state, s); })
      ->Unit(benchmark::kMillisecond)
      ->UseRealTime();
}

}  // namespace

int main(int count, char** words) {
  using std::to_string;
  for (int threads : {1, 2}) {
    const std::string suffix = "/threads:" + to_string(threads);
    for (index_t prompts : {1, 4, 16, 64})
      add("batch:" + to_string(prompts) + suffix, {.prompts = prompts, .length = 12, .threads = threads});
    for (index_t length : {6, 24, 96, 192})
      add("length:" + to_string(length) + suffix, {.prompts = 2, .length = length, .threads = threads});
    for (index_t lanes : {1, 4, 16})
      add("lanes:" + to_string(lanes) + suffix, {.prompts = lanes, .length = 12, .threads = threads, .each = true});
    add("upper_half" + suffix, {.prompts = 8, .length = 12, .threads = threads, .in = layers::range(6, 11)});
    add("last_layer" + suffix, {.prompts = 8, .length = 12, .threads = threads, .in = layers::list({11})});
    add("last_4_of_64_tokens" + suffix,
        {.prompts = 8, .length = 64, .threads = threads, .positions = positions::from_end(4)});
    add("all_64_tokens" + suffix, {.prompts = 8, .length = 64, .threads = threads});
  }
  for (index_t layers : {3, 6, 12}) add("depth:" + to_string(layers), {.prompts = 8, .length = 12, .layers = layers});
  benchmark::Initialize(&count, words);
  benchmark::RunSpecifiedBenchmarks();
}
