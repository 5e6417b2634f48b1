// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/cuda.hpp>

#include "support/gradients.hpp"

#include <cstdlib>
#include <vector>

/// Compares the CUDA backend with the CPU's in double. The same sources are compiled twice: by nvcc for a device
/// (without one, the tests print "skipped: no CUDA device"), and by the host's compiler for the emulated device of
/// tests/support/emulated, which checks the arithmetic and the barriers of the kernels and says nothing about a GPU.

namespace trimtab::test {

/// Every piece of memory is an allocation of its own, so that tools that check memory see where it ends.
template <typename T = float>
cuda_backend<T> watched_backend(cuda::precision precision = cuda::precision::full) {
  return cuda_backend<T>(cuda::options{.precision = precision, .slab_bytes = 0});
}

inline bool lacks_device() {
  if (cuda::device_count() > 0) return false;
  if (std::getenv("TRIMTAB_REQUIRE_DEVICE")) FAIL("no CUDA device, but TRIMTAB_REQUIRE_DEVICE asks for one");
  WARN("skipped: no CUDA device");
  return true;
}

/// Checks that f() gives the same bits every time. On a device it runs `times` times, or TRIMTAB_REPEATS times, for
/// tools that make a device slow; on the emulated device it runs once in each of several orders of the threads.
template <typename F>
void check_repeats(F&& f, [[maybe_unused]] int times = 100) {
  const auto first = f();
  int different = 0;
#if defined(TRIMTAB_CUDA_EMULATED)
  using cuda::emulated::order;
  for (order threads : {order::falling, order::shuffled, order::warp_by_warp}) {
    cuda::emulated::now.threads = threads;
    if (not same_bits(f(), first)) ++different;
  }
  cuda::emulated::now.threads = order::rising;
#else
  if (const char* const fewer = std::getenv("TRIMTAB_REPEATS")) times = std::min(times, std::atoi(fewer));
  for (int k = 0; k < times; ++k)
    if (not same_bits(f(), first)) ++different;
#endif
  CHECK(different == 0);
}

/// The largest difference, relative to the largest number of `right` or to 1, whichever is larger.
template <typename T>
double relative_difference(const std::vector<T>& found, const std::vector<double>& right) {
  return largest_difference(std::vector<double>(found.begin(), found.end()), right) / std::max(1.0, largest(right));
}

/// A matrix in a backend's memory, which can be read back in double.
template <typename B>
class on_device {
 public:
  using T = typename B::scalar;

  on_device(const B& backend, const host_matrix<double>& numbers)
      : backend_(&backend),
        rows_(numbers.rows),
        cols_(numbers.cols),
        memory_(backend.upload(std::as_const(cast(numbers)).view())) {}

  matrix_view<T> view() { return memory_.view(rows_, cols_); }
  T* data() { return memory_.data(); }
  std::vector<double> numbers() {
    const auto host = backend_->download(view());
    return {host.values.begin(), host.values.end()};
  }

 private:
  static const host_matrix<T>& cast(const host_matrix<double>& numbers) {
    thread_local host_matrix<T> kept;
    kept = converted<T>(numbers);
    return kept;
  }

  const B* backend_;
  index_t rows_, cols_;
  typename B::memory memory_;
};

inline host_matrix<double> not_numbers(index_t rows, index_t cols) {
  host_matrix<double> m(rows, cols);
  std::ranges::fill(m.values, std::numeric_limits<double>::quiet_NaN());
  return m;
}

/// A policy with parameters of every shape: out = h + β Σ_k lift_k (probe_k·h + offset_k).
struct two_responses {
  static constexpr per_channel<"probe", 2> probe{};
  static constexpr per_row<"offset", 2> offset{};
  static constexpr per_channel<"lift", 2> lift{};
  static constexpr parameter_list parameters{probe, offset, lift};

  static double start(decltype(offset), random_generator& random, index_t) { return random.normal(); }

  constexpr void forward(row auto& r) const {
    const auto a = response(r, 0), b = response(r, 1);
    r.each([&](auto j) { r.out(j) = r.h(j) + r.beta() * (a * r(lift, 0, j) + b * r(lift, 1, j)); });
  }
  constexpr void backward(row auto& r) const {
    r.each([&](auto j) { r.d_h(j) = r.d_out(j); });
    for (index_t k = 0; k < 2; ++k) {
      const auto u = response(r, k);
      const auto d_u = r.beta() * r.sum([&](auto j) { return r.d_out(j) * r(lift, k, j); });
      r.d(offset, k) += d_u;
      r.each([&](auto j) {
        r.d_h(j) += d_u * r(probe, k, j);
        r.d(probe, k, j) += d_u * r.h(j);
        r.d(lift, k, j) += r.beta() * u * r.d_out(j);
      });
    }
  }

 private:
  static constexpr auto response(row auto& r, index_t k) {
    return r(offset, k) + r.sum([&](auto j) { return r(probe, k, j) * r.h(j); });
  }
};

/// A term that reads every kind of prompt data: a number times one token's logit, plus half the square of the logit of
/// each token in a list.
struct listed_answers {
  static constexpr prompt_token<"third"> third{};
  static constexpr prompt_tokens<"others"> others{};
  static constexpr prompt_number<"by"> by{};
  static constexpr prompt_data data{third, others, by};

  constexpr auto value(row auto& r) const {
    auto sum = r(by) * r.h(r(third));
    for (index_t k = 0; k < r(others.size); ++k) sum += r.h(r(others, k)) * r.h(r(others, k)) / 2;
    return sum;
  }
  constexpr void gradient(row auto& r) const {
    r.at(r(third), [&](auto j) { r.d_h(j) += r.d_value() * r(by); });
    for (index_t k = 0; k < r(others.size); ++k) r.at(r(others, k), [&](auto j) { r.d_h(j) += r.d_value() * r.h(j); });
  }
};

/// The prompts with the data that `listed_answers` reads; each has a list of another length, with ids below
/// `vocabulary`.
inline std::vector<prompt_pair> with_listed_answers(std::vector<prompt_pair> prompts, int vocabulary) {
  for (std::size_t n = 0; n < prompts.size(); ++n) {
    const int k = static_cast<int>(n);
    prompts[n].tokens["third"] = {k % vocabulary};
    for (int i = 0; i <= k; ++i) prompts[n].tokens["others"].push_back((vocabulary - 1 + 2 * i) % vocabulary);
    prompts[n].numbers["by"] = 0.5 - k;
  }
  return prompts;
}

}  // namespace trimtab::test

template <>
inline constexpr bool trimtab::enable_objective_term<trimtab::test::listed_answers> = true;
