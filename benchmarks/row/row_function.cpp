// SPDX-License-Identifier: Apache-2.0

// Row functions over more rows than any cache holds, in % of the bandwidth of a copy on the same machine: 100 means
// that all the time goes into reading and writing. The forward of one policy and GELU are also compared with loops
// written by hand with Eigen.

#include "support/machine.hpp"

#include <trimtab/backend/eigen.hpp>
#include <trimtab/objective/faithfulness.hpp>
#include <trimtab/policy/dyn_scalar.hpp>
#include <trimtab/row/gelu.hpp>
#include <trimtab/row/layer_norm.hpp>
#include <trimtab/row/residual.hpp>
#include <trimtab/row/rotary.hpp>
#include <trimtab/row/softmax.hpp>

#include <benchmark/benchmark.h>

#include <Eigen/Core>

namespace {

using namespace trimtab;
using array = Eigen::Array<float, Eigen::Dynamic, 1>;

constexpr index_t numbers = index_t{1} << 24;

/// The matrices [rows, width] that a row function reads and writes, and one row of parameters.
struct matrices {
  index_t width, rows = numbers / width;
  array a = array::Random(numbers), b = array::Random(numbers), out = array(numbers), one = array::Random(width);

  explicit matrices(index_t w) : width(w) { out.setZero(); }

  matrix_view<const float> view(const array& m) const { return {m.data(), m.size() / width, width}; }
  matrix_view<float> view(array& m) const { return {m.data(), m.size() / width, width}; }
};

/// Times run(backend, matrices), which reads and writes `touched` matrices in all. Arguments: threads.
template <typename Run>
void stream(benchmark::State& state, index_t width, int touched, Run run) {
  const auto threads = static_cast<int>(state.range(0));
  const eigen_backend<float> backend(threads);
  matrices m(width);
  measured::limit copying(measured::copy_rate, threads);
  for (auto _ : state) {
    run(backend, m);
    benchmark::ClobberMemory();
  }
  const double bytes = static_cast<double>(m.rows * width * touched) * sizeof(float);
  state.counters["B/s"] = benchmark::Counter(bytes, benchmark::Counter::kIsIterationInvariantRate);
  copying.report(state, "%copy", bytes);
}

template <typename F>
void forward(benchmark::State& state, F f, index_t width) {
  stream(state, width, 2, [&](const auto& backend, matrices& m) {
    backend.forward(
        f, m.rows, width, each_row(name::h, m.view(m.a)), each_row(name::out, m.view(m.out)),
        all_rows(layer_norm::gain, m.view(m.one).as_const()), all_rows(layer_norm::bias, m.view(m.one).as_const()),
        all_rows(rotary::cosine, m.view(m.one).as_const()), all_rows(rotary::sine, m.view(m.one).as_const()),
        all_rows(residual::branch, m.view(m.one).as_const()));
  });
}
/// Runs in place, as in a pass.
template <typename F>
void backward(benchmark::State& state, F f, index_t width) {
  stream(state, width, 3, [&](const auto& backend, matrices& m) {
    backend.backward(f, m.rows, width, each_row(name::h, m.view(m.a).as_const()),
                     each_row(name::out, m.view(m.a).as_const()), each_row(grad(name::out), m.view(m.out)),
                     each_row(grad(name::h), m.view(m.out)), all_rows(layer_norm::gain, m.view(m.one).as_const()));
  });
}

void sum_of_two(benchmark::State& state) {
  stream(state, 768, 3, [](const auto& backend, matrices& m) {
    backend.forward(residual{}, m.rows, m.width, each_row(name::h, m.view(m.a)),
                    each_row(residual::branch, m.view(m.b)), each_row(name::out, m.view(m.out)));
  });
}

constexpr index_t words = 50257;
constexpr int answers[] = {7, 8};

void kl_value(benchmark::State& state) {
  std::vector<float> values(static_cast<std::size_t>(numbers / words));
  stream(state, words, 2, [&](const auto& backend, matrices& m) {
    backend.values(objective::faithfulness{}, m.rows, words, values.data(), each_row(name::h, m.view(m.a)),
                   each_row(name::reference, m.view(m.b)), operand<per_row<"correct">, const int>{&answers[0], 0},
                   operand<per_row<"wrong">, const int>{&answers[1], 0});
  });
}
void kl_gradient(benchmark::State& state) {
  const float weight = 1;
  stream(state, words, 4, [&](const auto& backend, matrices& m) {
    backend.gradients(objective::faithfulness{}, m.rows, words, each_row(name::h, m.view(m.a)),
                      each_row(name::reference, m.view(m.b)), each_row(grad(name::h), m.view(m.out)),
                      operand<per_row<"correct">, const int>{&answers[0], 0},
                      operand<per_row<"wrong">, const int>{&answers[1], 0},
                      operand<gradient_of<per_row<"value">>, const float>{&weight, 0});
  });
}

using policy_type = policy::dyn_scalar<gate::linear<gate::bias::none>>;

void dyn_scalar_row(benchmark::State& state) {
  const index_t width = state.range(0);
  array h = array::Random(width), w = array::Random(width) / static_cast<float>(width), out(width);
  const float beta = 1;
  for (auto _ : state) {
    auto r = eigen::row_of<float>(
        width, 0, operand<per_channel<"h">, const float>{h.data()}, operand<per_channel<"out">, float>{out.data()},
        operand<per_row<"beta">, const float>{&beta}, operand<per_channel<"weight">, const float>{w.data()});
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
    auto r = eigen::row_of<float>(width, 0, operand<per_channel<"h">, const float>{h.data()},
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

void on_threads(benchmark::internal::Benchmark* b) { b->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMillisecond); }

}  // namespace

BENCHMARK_CAPTURE(forward, copy, copy_row{}, 768)->Apply(on_threads);
BENCHMARK(sum_of_two)->Apply(on_threads);
BENCHMARK_CAPTURE(forward, layer_norm, layer_norm{}, 768)->Apply(on_threads);
BENCHMARK_CAPTURE(backward, layer_norm, layer_norm{}, 768)->Apply(on_threads);
BENCHMARK_CAPTURE(forward, rotary, rotary{64}, 64)->Apply(on_threads);
BENCHMARK_CAPTURE(forward, gelu_tanh, gelu_tanh{}, 3072)->Apply(on_threads);
BENCHMARK_CAPTURE(backward, gelu_tanh, gelu_tanh{}, 3072)->Apply(on_threads);
BENCHMARK_CAPTURE(forward, gelu_erf, gelu_erf{}, 3072)->Apply(on_threads);
BENCHMARK_CAPTURE(backward, gelu_erf, gelu_erf{}, 3072)->Apply(on_threads);
BENCHMARK_CAPTURE(forward, softmax, softmax{}, words)->Apply(on_threads);
BENCHMARK(kl_value)->Apply(on_threads);
BENCHMARK(kl_gradient)->Apply(on_threads);
BENCHMARK(dyn_scalar_row)->Arg(768)->Arg(1600);
BENCHMARK(dyn_scalar_by_hand)->Arg(768)->Arg(1600);
BENCHMARK(gelu_row)->Arg(3072);
BENCHMARK(gelu_by_hand)->Arg(3072);
