// SPDX-License-Identifier: Apache-2.0
#pragma once

#if !defined(__CUDACC__) && !defined(TRIMTAB_CUDA_EMULATED)
#  error "the CUDA backend is for sources that nvcc compiles (.cu); a .cpp file includes <trimtab/trimtab.hpp> instead"
#endif

#include <cuda_runtime.h>

#include <cstddef>
#include <utility>

/// What tests emulate of CUDA: everything in a kernel that is not plain C++, except `__global__`, `threadIdx`,
/// `__shared__` and the shuffles, is here. Kernels start only through `launch`, so that tests can run them without a
/// device, one fiber per thread (tests/support/emulated).

namespace trimtab::cuda {

inline constexpr int warp_size = 32;
inline constexpr unsigned all_lanes = 0xffffffffu;

/// The number of threads, and the shared memory beyond what the kernel declares.
struct grid_shape {
  dim3 blocks;
  dim3 threads;
  std::size_t shared_bytes = 0;
};

#if defined(__CUDACC__)

/// The dynamic shared memory of the block.
template <typename T>
__device__ T* shared_memory() {
  extern __shared__ __align__(16) unsigned char trimtab_shared_bytes[];
  return reinterpret_cast<T*>(trimtab_shared_bytes);
}

template <typename... P, typename... A>
void start(void (*kernel)(P...), const grid_shape& grid, cudaStream_t stream, A&&... arguments) {
  kernel<<<grid.blocks, grid.threads, grid.shared_bytes, stream>>>(std::forward<A>(arguments)...);
}

#else

using emulated::shared_memory;
using emulated::start;

#endif

}  // namespace trimtab::cuda
