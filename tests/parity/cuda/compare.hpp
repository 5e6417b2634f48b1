// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/cuda.hpp>

#include "support/gradients.hpp"

#include <cstdlib>
#include <string>
#include <vector>

/// The CUDA backend beside the CPU's in double. The same sources are compiled twice: by nvcc for a device, where the
/// tests say "skipped: no CUDA device" if there is none, and by the host's compiler for the emulated device of
/// tests/support/emulated, which checks the kernels' arithmetic and barriers and nothing about a GPU.

namespace trimtab::test {

/// Every piece of memory is an allocation of its own, so that whoever watches memory sees where it ends.
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

/// f() gives the same bits every time: on a device many times, or TRIMTAB_REPEATS times for tools that make a device
/// slow; emulated for several orders of the threads.
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

/// The largest difference over the largest number of `right`, or over 1 if that is larger.
template <typename T>
double relative_difference(const std::vector<T>& found, const std::vector<double>& right) {
  return largest_difference(std::vector<double>(found.begin(), found.end()), right) / std::max(1.0, largest(right));
}

/// A matrix in a backend's memory and back in double.
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

}  // namespace trimtab::test
