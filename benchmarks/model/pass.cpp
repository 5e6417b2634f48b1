// SPDX-License-Identifier: Apache-2.0

// What an intervention costs: a forward pass through four blocks of GPT-2 small's shape (width 768; 8 prompts of 12
// tokens) without hooks, composed with hooks that are in no layer, and with each policy, one of them a user's, at one
// site and at all seven sites of every layer. `ratio` is the median time relative to that of passes without hooks,
// which run in turn. One thread.

#include "support/own.hpp"
#include "support/random_weights.hpp"

#include <trimtab/backend/eigen.hpp>
#include <trimtab/compose.hpp>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <vector>

namespace {

using namespace trimtab;
using test::channel_gain;
using backend = eigen_backend<float>;
using model_type = gpt2<backend>;

struct setting {
  model_config config{.architecture = "gpt2",
                      .layers = 4,
                      .width = 768,
                      .heads = 12,
                      .hidden = 3072,
                      .context = 64,
                      .vocabulary = 1000};
  model_type model{test::random_weights(config), backend(1)};
  std::vector<prompt_pair> prompts = std::vector<prompt_pair>(8);

  setting() {
    for (std::size_t n = 0; n < prompts.size(); ++n) {
      for (int i = 0; i < 12; ++i) prompts[n].ids.push_back(static_cast<int>(n) * 31 + i * 7);
      prompts[n].correct_id = 7;
      prompts[n].wrong_id = 8;
    }
  }
};

const setting& shared() {
  static const setting s;
  return s;
}

/// A pass that is ready to run.
template <typename Hooks>
struct ready {
  batch<backend> rows;
  workspace<backend> memory;
  matrix_view<float> stream;
  pass<model_type, Hooks> run;

  explicit ready(Hooks hooks)
      : rows(shared().model.backend(), shared().config, ids_of(shared().prompts)),
        memory(shared().model.backend()),
        stream(memory.take(rows.rows(), shared().config.width)),
        run(shared().model, rows, {0, shared().config.layers}, hooks) {
    shared().model.embed(rows, stream);
  }

  double seconds() {
    const auto start = std::chrono::steady_clock::now();
    benchmark::DoNotOptimize(run.forward(stream).data);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
};

double median(std::vector<double> v) {
  std::ranges::nth_element(v, v.begin() + static_cast<std::ptrdiff_t>(v.size() / 2));
  return v[v.size() / 2];
}

/// Passes with and without hooks run in turn, each first every other time: the second one may find what the first one
/// left in the caches. The passes are short, because the pace of a machine changes from second to second.
template <typename... Site, typename Policy>
void steered_at(benchmark::State& state, Policy p, layer_set layers) {
  const setting& s = shared();
  const auto composition = steer(s.model, at(Site{}, p, layers, positions::shared())...);
  const auto layout = composition.layout(s.prompts);
  const std::vector<double> strength{1.0};
  const auto sequences = every_strength(static_cast<index_t>(s.prompts.size()), strength);
  const binding<backend> bound(s.model.backend(), s.config, {layout}, s.prompts, sequences, scored::last);
  ready<typename decltype(composition)::hooks_type> steered(composition.hooks(bound));
  ready<no_hooks> untouched(no_hooks{});
  steered.seconds(), untouched.seconds();
  std::vector<double> steered_first, untouched_first;
  for (auto _ : state) {
    const double first = steered.seconds(), without = untouched.seconds();
    const double again = untouched.seconds(), second = steered.seconds();
    steered_first.push_back(first / without);
    untouched_first.push_back(second / again);
    state.SetIterationTime((first + second) / 2);
  }
  state.counters["ratio"] = std::sqrt(median(steered_first) * median(untouched_first));
}

template <typename Policy>
void one_site(benchmark::State& state, Policy p) {
  steered_at<site::attn_out>(state, p, layers::all());
}
template <typename Policy>
void all_sites(benchmark::State& state, Policy p, layer_set layers) {
  steered_at<site::resid_pre, site::attn_z, site::attn_out, site::resid_mid, site::mlp_post, site::mlp_out,
             site::resid_post>(state, p, layers);
}

void without_hooks(benchmark::State& state) {
  ready<no_hooks> untouched(no_hooks{});
  for (auto _ : state) state.SetIterationTime(untouched.seconds());
}

template <typename Policy>
void add(const std::string& name, Policy p) {
  const auto in_turn = [](benchmark::internal::Benchmark* b) {
    b->Unit(benchmark::kMillisecond)->UseManualTime()->Iterations(100);
  };
  in_turn(
      benchmark::RegisterBenchmark((name + "/one_site").c_str(), [p](benchmark::State& state) { one_site(state, p); }));
  in_turn(benchmark::RegisterBenchmark((name + "/all_sites").c_str(),
                                       [p](benchmark::State& state) { all_sites(state, p, layers::all()); }));
}

}  // namespace

int main(int count, char** words) {
  benchmark::RegisterBenchmark("without_hooks", without_hooks)
      ->Unit(benchmark::kMillisecond)
      ->UseManualTime()
      ->Iterations(100);
  benchmark::RegisterBenchmark(
      "hooked_nowhere", [](benchmark::State& state) { all_sites(state, policy::activ_scalar{}, layers::none()); })
      ->Unit(benchmark::kMillisecond)
      ->UseManualTime()
      ->Iterations(100);
  add("activ_scalar", policy::activ_scalar{});
  add("steer_vec", policy::steer_vec{});
  add("affine", policy::affine{});
  add("dyn_scalar", policy::dyn_scalar<>{});
  add("channel_scale", policy::channel_scale{});
  add("project_out", policy::project_out{});
  add("low_rank", policy::low_rank<4>{});
  add("conditional", policy::conditional<gate::linear<>, policy::steer_vec>{});
  add("own_policy", channel_gain{});
  benchmark::Initialize(&count, words);
  benchmark::RunSpecifiedBenchmarks();
}
