// SPDX-License-Identifier: Apache-2.0

// Products with frozen panels at the shapes of GPT-2 small, in % of the processor's multiply-add peak. As in a model,
// the weights of a product are not in a cache: the products take turns with copies of the weights that fill 256 MB.

#include "support/machine.hpp"

#include <trimtab/backend/eigen.hpp>
#include <trimtab/core/random.hpp>
#include <trimtab/core/stored.hpp>

#include <benchmark/benchmark.h>

#include <Eigen/Core>

#include <map>
#include <utility>
#include <vector>

namespace {

using namespace trimtab;

host_matrix<float> random_matrix(index_t rows, index_t cols) {
  random_generator random(1);
  host_matrix<float> m(rows, cols);
  for (float& x : m.values) x = static_cast<float>(random.uniform() - 0.5);
  return m;
}

struct shape {
  index_t inputs, outputs;
  auto operator<=>(const shape&) const = default;
};
constexpr shape qkv{768, 2304}, attn_out{768, 768}, mlp_in{768, 3072}, mlp_out{3072, 768}, unembedding{768, 50257};

index_t bytes_of(weight_type type) { return type == weight_type::float32 ? 4 : 2; }

const std::vector<eigen::linear<float>>& frozen(shape s, weight_type type) {
  static std::map<std::pair<shape, weight_type>, std::vector<eigen::linear<float>>> all;
  auto& copies = all[{s, type}];
  if (copies.empty()) {
    auto weight = random_matrix(s.inputs, s.outputs);
    for (float& x : weight.values) {
      if (type == weight_type::float16) x = static_cast<float>(stored::nearest<stored::float16>(x));
      if (type == weight_type::bfloat16) x = static_cast<float>(stored::nearest<stored::bfloat16>(x));
    }
    for (index_t bytes = 0; bytes < 256'000'000; bytes += weight.view().size() * bytes_of(type))
      copies.push_back(eigen_backend<float>(1).prepare(weight.view(), {}));
  }
  return copies;
}

/// Arguments: rows, threads.
void product(benchmark::State& state, shape s, bool adjoint, weight_type type = weight_type::float32) {
  const index_t rows = state.range(0);
  const auto threads = static_cast<int>(state.range(1));
  const eigen_backend<float> backend(threads);
  const auto& weights = frozen(s, type);
  const auto x = random_matrix(rows, adjoint ? s.outputs : s.inputs);
  host_matrix<float> y(rows, adjoint ? s.inputs : s.outputs);
  std::size_t next = 0;
  measured::limit peak(measured::fma_rate, threads);
  for (auto _ : state) {
    const auto& w = weights[next++ % weights.size()];
    adjoint ? backend.multiply_backward(w, x.view(), y.view()) : backend.multiply(w, x.view(), y.view());
    benchmark::DoNotOptimize(y.values.data());
  }
  const double weight_numbers = static_cast<double>(s.inputs * s.outputs);
  const auto rate = [&](double amount) {
    return benchmark::Counter(amount, benchmark::Counter::kIsIterationInvariantRate);
  };
  state.counters["FLOP/s"] = rate(2.0 * static_cast<double>(rows) * weight_numbers);
  state.counters["weights_B/s"] = rate(static_cast<double>(bytes_of(type)) * weight_numbers);
  peak.report(state, "%peak", 2.0 * static_cast<double>(rows) * weight_numbers);
}

/// Eigen's own product, for comparison.
void eigen_product(benchmark::State& state) {
  using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const index_t rows = state.range(0);
  Eigen::setNbThreads(1);
  const matrix w = matrix::Random(mlp_in.inputs, mlp_in.outputs), x = matrix::Random(rows, mlp_in.inputs);
  matrix y(rows, mlp_in.outputs);
  measured::limit peak(measured::fma_rate, 1);
  for (auto _ : state) {
    y.noalias() = x * w;
    benchmark::DoNotOptimize(y.data());
  }
  peak.report(state, "%peak", 2.0 * static_cast<double>(rows * w.size()));
}

void fma_peak(benchmark::State& state) {
  double rate = 0;
  for (auto _ : state) rate = measured::fma_rate(static_cast<int>(state.range(0)));
  state.counters["FLOP/s"] = rate;
}

void model_shapes(benchmark::internal::Benchmark* b) {
  b->ArgsProduct({{1, 16, 64, 192, 512}, {1, 2}})->UseRealTime()->Unit(benchmark::kMicrosecond);
}
void few_rows(benchmark::internal::Benchmark* b) {
  b->ArgsProduct({{1, 8, 16, 32}, {1, 2}})->UseRealTime()->Unit(benchmark::kMicrosecond);
}

}  // namespace

BENCHMARK(fma_peak)->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(product, qkv, qkv, false)->Apply(model_shapes);
BENCHMARK_CAPTURE(product, attn_out, attn_out, false)->Apply(model_shapes);
BENCHMARK_CAPTURE(product, mlp_in, mlp_in, false)->Apply(model_shapes);
BENCHMARK_CAPTURE(product, mlp_out, mlp_out, false)->Apply(model_shapes);
BENCHMARK_CAPTURE(product, qkv_adjoint, qkv, true)->Apply(model_shapes);
BENCHMARK_CAPTURE(product, attn_out_adjoint, attn_out, true)->Apply(model_shapes);
BENCHMARK_CAPTURE(product, mlp_in_adjoint, mlp_in, true)->Apply(model_shapes);
BENCHMARK_CAPTURE(product, mlp_out_adjoint, mlp_out, true)->Apply(model_shapes);
BENCHMARK_CAPTURE(product, mlp_in_float16, mlp_in, false, weight_type::float16)->Apply(model_shapes);
BENCHMARK_CAPTURE(product, mlp_in_float16_adjoint, mlp_in, true, weight_type::float16)->Apply(model_shapes);
BENCHMARK_CAPTURE(product, mlp_in_bfloat16, mlp_in, false, weight_type::bfloat16)->Apply(model_shapes);
BENCHMARK_CAPTURE(product, unembedding, unembedding, false)->Apply(few_rows);
BENCHMARK_CAPTURE(product, unembedding_adjoint, unembedding, true)->Apply(few_rows);
BENCHMARK(eigen_product)->Arg(1)->Arg(16)->Arg(64)->Arg(512)->Unit(benchmark::kMicrosecond);
