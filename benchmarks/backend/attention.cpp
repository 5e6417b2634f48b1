// SPDX-License-Identifier: Apache-2.0

// Causal attention of 8 prompts of equal length with the heads of GPT-2 small, forward and adjoint, in % of the
// processor's multiply-add peak. Only the FLOPs of the causal half are counted.

#include "support/machine.hpp"

#include <trimtab/backend/eigen.hpp>

#include <benchmark/benchmark.h>

#include <Eigen/Core>

#include <cmath>
#include <vector>

namespace {

using namespace trimtab;

/// Arguments: length, threads.
void attention(benchmark::State& state, bool adjoint) {
  constexpr index_t prompts = 8, heads = 12, width = 768;
  const index_t length = state.range(0), rows = prompts * length;
  const auto threads = static_cast<int>(state.range(1));
  std::vector<int> offsets, positions;
  for (index_t s = 0; s <= prompts; ++s) offsets.push_back(static_cast<int>(s * length));
  for (index_t i = 0; i < rows; ++i) positions.push_back(static_cast<int>(i % length));
  const ragged_shape shape{prompts, rows, rows, offsets.data(), offsets.data(), positions.data()};
  using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  matrix qkv = matrix::Random(rows, 3 * width), d_qkv(rows, 3 * width), z = matrix::Random(rows, width);
  const float scale = 1 / std::sqrt(static_cast<float>(width / heads));
  const eigen_backend<float> backend(threads);
  measured::limit peak(measured::fma_rate, threads);
  for (auto _ : state) {
    if (adjoint)
      backend.attention_backward(shape, heads, scale, {qkv.data(), rows, 3 * width}, {z.data(), rows, width},
                                 {d_qkv.data(), rows, 3 * width});
    else
      backend.attention(shape, heads, scale, {qkv.data(), rows, 3 * width}, {z.data(), rows, width});
    benchmark::ClobberMemory();
  }
  // Forward: queries times keys, and probabilities times values. Backward: the scores again, and four more products.
  const double products = adjoint ? 5 : 2;
  const double flops = products * 2.0 * static_cast<double>(prompts * length * (length + 1) / 2 * width);
  peak.report(state, "%peak", flops);
}

void lengths(benchmark::internal::Benchmark* b) {
  b->ArgsProduct({{1, 4, 12, 24, 64}, {1, 2}})->UseRealTime()->Unit(benchmark::kMicrosecond);
}

}  // namespace

BENCHMARK_CAPTURE(attention, forward, false)->Apply(lengths);
BENCHMARK_CAPTURE(attention, adjoint, true)->Apply(lengths);
