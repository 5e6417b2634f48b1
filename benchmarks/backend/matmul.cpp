// SPDX-License-Identifier: Apache-2.0

// The product with frozen panels against Eigen's own, one thread, at the shapes of GPT-2 small: [rows, 768] x [768,
// 3072].

#include <trimtab/backend/eigen.hpp>

#include <benchmark/benchmark.h>

#include <Eigen/Core>

namespace {

using namespace trimtab;
using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

constexpr index_t depth = 768, columns = 3072;

void count_flops(benchmark::State& state) {
  state.counters["FLOP/s"] = benchmark::Counter(2.0 * static_cast<double>(state.range(0) * depth * columns),
                                                benchmark::Counter::kIsIterationInvariantRate);
}

void panels(benchmark::State& state) {
  const index_t rows = state.range(0);
  matrix w = matrix::Random(depth, columns), x = matrix::Random(rows, depth), y(rows, columns);
  const eigen_backend<float> backend(1);
  const auto linear = backend.prepare({w.data(), depth, columns}, {});
  for (auto _ : state) {
    backend.multiply(linear, {x.data(), rows, depth}, {y.data(), rows, columns});
    benchmark::DoNotOptimize(y.data());
  }
  count_flops(state);
}

void eigen_product(benchmark::State& state) {
  const index_t rows = state.range(0);
  Eigen::setNbThreads(1);
  matrix w = matrix::Random(depth, columns), x = matrix::Random(rows, depth), y(rows, columns);
  for (auto _ : state) {
    y.noalias() = x * w;
    benchmark::DoNotOptimize(y.data());
  }
  count_flops(state);
}

}  // namespace

BENCHMARK(panels)->Arg(1)->Arg(16)->Arg(64)->Arg(1024)->Unit(benchmark::kMicrosecond);
BENCHMARK(eigen_product)->Arg(1)->Arg(16)->Arg(64)->Arg(1024)->Unit(benchmark::kMicrosecond);
