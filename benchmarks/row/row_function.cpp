// SPDX-License-Identifier: Apache-2.0

// A row function against the loop that one would write by hand with Eigen: dyn_scalar's forward, and the GELU.

#include <trimtab/backend/eigen.hpp>
#include <trimtab/policy/dyn_scalar.hpp>
#include <trimtab/row/gelu.hpp>

#include <benchmark/benchmark.h>

#include <Eigen/Core>

namespace {

using namespace trimtab;
using array = Eigen::Array<float, Eigen::Dynamic, 1>;
using policy_type = policy::dyn_scalar<policy::gate{.bias = false}>;

void dyn_scalar_row(benchmark::State& state) {
  const index_t width = state.range(0);
  array h = array::Random(width), w = array::Random(width) / static_cast<float>(width), out(width);
  const float beta = 1;
  for (auto _ : state) {
    auto r = eigen::row_of<float>(width, 0, operand<per_channel<"h">, float const>{h.data()},
                                  operand<per_channel<"out">, float>{out.data()},
                                  operand<per_row<"beta">, float const>{&beta},
                                  operand<per_channel<"weight">, float const>{w.data()});
    policy_type{}.forward(r);
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
}

void dyn_scalar_by_hand(benchmark::State& state) {
  const index_t width = state.range(0);
  array h = array::Random(width), w = array::Random(width) / static_cast<float>(width), out(width);
  float beta = 1;
  for (auto _ : state) {
    benchmark::DoNotOptimize(beta);
    out = (1 + beta * (w * h).sum()) * h;
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
}

void gelu_row(benchmark::State& state) {
  const index_t width = state.range(0);
  array h = array::Random(width), out(width);
  for (auto _ : state) {
    auto r = eigen::row_of<float>(width, 0, operand<per_channel<"h">, float const>{h.data()},
                                  operand<per_channel<"out">, float>{out.data()});
    gelu_tanh{}.forward(r);
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
}

void gelu_by_hand(benchmark::State& state) {
  const index_t width = state.range(0);
  array h = array::Random(width), out(width);
  for (auto _ : state) {
    out = 0.5f * h * (1 + (0.7978845608f * (h + 0.044715f * h * h * h)).tanh());
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
}

}  // namespace

BENCHMARK(dyn_scalar_row)->Arg(768)->Arg(1600);
BENCHMARK(dyn_scalar_by_hand)->Arg(768)->Arg(1600);
BENCHMARK(gelu_row)->Arg(3072);
BENCHMARK(gelu_by_hand)->Arg(3072);
