// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/backend/eigen/panels.hpp>
#include <trimtab/backend/eigen/team.hpp>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <vector>

/// The limits of this machine: multiply-adds in registers, and copying from memory to memory. Clock rates and the load
/// of the machine change within seconds, so each limit is measured just before and just after what is compared with it:
///
///     measured::limit peak(measured::fma_rate, threads);
///     for (auto _ : state) ...
///     peak.report(state, "%peak", flops);

namespace trimtab::measured {

inline double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Float operations per second of multiply-adds that touch no memory; a dozen independent chains keep two units busy.
inline double fma_rate(int threads) {
  using packet = eigen::packet<float>;
  constexpr int chains = 12, rounds = 2'000'000;
  const auto start = std::chrono::steady_clock::now();
  eigen::parallel_claims(threads, threads, [&](eigen::claim) {
    packet sums[chains];
    for (packet& s : sums) s = Eigen::internal::pset1<packet>(1.0f);
    packet a = Eigen::internal::pset1<packet>(0.999f), b = Eigen::internal::pset1<packet>(0.001f);
    benchmark::DoNotOptimize(a);
    benchmark::DoNotOptimize(b);
    for (int k = 0; k < rounds; ++k)
#pragma GCC unroll 16
      for (packet& s : sums) s = Eigen::internal::pmadd(s, a, b);
    for (packet& s : sums) benchmark::DoNotOptimize(s);
  });
  return 2.0 * eigen::tile<float>::lanes * chains * rounds * threads / seconds_since(start);
}

/// Bytes per second, read and written, of a copy between arrays that are far larger than the caches.
inline double copy_rate(int threads) {
  constexpr index_t count = index_t{1} << 25, pieces = 64;
  static const std::vector<float> from(count, 1.0f);
  static std::vector<float> to(count);
  const auto start = std::chrono::steady_clock::now();
  eigen::parallel_claims(threads, pieces, [&](eigen::claim some) {
    const index_t begin = some.begin * (count / pieces), end = some.end * (count / pieces);
    std::copy_n(from.data() + begin, end - begin, to.data() + begin);
  });
  benchmark::DoNotOptimize(to.data());
  return 2.0 * sizeof(float) * count / seconds_since(start);
}

class limit {
 public:
  limit(double (*measure)(int), int threads) : measure_(measure), threads_(threads) {
    measure_(threads_);  // warms up
    before_ = measure_(threads_);
  }

  /// Reports how much of the limit was reached; `amount` is that of one iteration.
  void report(benchmark::State& state, const char* name, double amount) {
    const double mean = (before_ + measure_(threads_)) / 2;
    state.counters[name] = benchmark::Counter(100 * amount / mean, benchmark::Counter::kIsIterationInvariantRate);
  }

 private:
  double (*measure_)(int);
  int threads_;
  double before_ = 0;
};

}  // namespace trimtab::measured
