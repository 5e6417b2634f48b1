// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/backend/cuda/arena.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>

/// One device: its memory, one stream for all work, and cuBLAS. Copies of a backend share it. CUDA sends every call to
/// the calling thread's current device, so `stream` sets it: a program may use several devices and threads.

namespace trimtab::cuda {

/// The precision of matrix products; sums are at least float in any case.
enum class precision {
  full,  ///< the scalar's own
  tf32,  ///< float with the mantissas of factors cut to 10 bits
  bf16,  ///< weights stored and factors rounded as bfloat16
};

struct options {
  int device = 0;
  cuda::precision precision = cuda::precision::full;
  std::size_t slab_bytes = std::size_t{64} << 20;  ///< the smallest device allocation
};

/// How many devices there are; 0 also where there is no driver.
inline int device_count() {
  int count = 0;
  if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
  static_cast<void>(cudaGetLastError());
  return 0;
}

/// The purposes of scratch memory, which is kept from call to call.
enum class scratch_use { rows, gradients, attention, factors, count };

class context {
 public:
  /// Throws `device` if there is no such device.
  explicit context(const options& with) : options_(with), arena_(with.device, with.slab_bytes) {
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    if (status != cudaSuccess or count == 0) {
      static_cast<void>(cudaGetLastError());
      throw error(error_kind::device,
                  "there is no CUDA device here (" +
                      std::string(status == cudaSuccess ? "none is visible" : cudaGetErrorString(status)) +
                      "); use the eigen backend, or a machine with a device and its driver");
    }
    if (with.device < 0 or with.device >= count)
      throw error(error_kind::device, "CUDA device " + std::to_string(with.device) +
                                          " was asked for, but the devices here are 0 to " + std::to_string(count - 1));
    check(cudaSetDevice(with.device), "cudaSetDevice");
    check(cudaStreamCreateWithFlags(stream_.put(), cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    check(cublasLtCreate(blas_.put()), "cublasLtCreate");
    blas_workspace_ = arena_.take(blas_workspace_bytes);
  }

  context(const context&) = delete;
  context& operator=(const context&) = delete;
  ~context() {
    let_go(cudaSetDevice(options_.device));
    let_go(cudaStreamSynchronize(stream_.get()));
  }

  static constexpr std::size_t blas_workspace_bytes = std::size_t{32} << 20;  // what cuBLAS recommends for Hopper

  const options& with() const { return options_; }
  cudaStream_t stream() const {
    check(cudaSetDevice(options_.device), "cudaSetDevice");
    return stream_.get();
  }
  cublasLtHandle_t blas() const { return blas_.get(); }
  void* blas_workspace() const { return blas_workspace_; }
  arena& memory() { return arena_; }
  void synchronize() const { check(cudaStreamSynchronize(stream()), "cudaStreamSynchronize"); }

  /// Room for at least `count` numbers, valid as long as the context: memory that was handed out before a larger call
  /// may be part of a recorded graph and is kept.
  template <typename T>
  T* scratch(scratch_use use, std::size_t count) {
    piece& kept = scratch_[static_cast<std::size_t>(use)];
    if (const std::size_t bytes = count * sizeof(T); kept.size < bytes) {
      const std::size_t size = std::max(bytes, 2 * kept.size);
      kept = {arena_.take(size), size};  // only once there is memory: `take` throws where there is none
    }
    return static_cast<T*>(kept.memory);
  }

 private:
  struct piece {
    void* memory = nullptr;
    std::size_t size = 0;
  };

  options options_;
  arena arena_;
  handle<cudaStream_t, cudaStreamDestroy> stream_;
  handle<cublasLtHandle_t, cublasLtDestroy> blas_;
  void* blas_workspace_ = nullptr;
  std::array<piece, static_cast<std::size_t>(scratch_use::count)> scratch_ = {};
};

}  // namespace trimtab::cuda
