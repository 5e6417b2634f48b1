// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/backend/cuda/device.hpp>

/// The threads that share one row: a warp, or a whole block. A reduction adds in a fixed tree, first the lanes of a
/// warp by butterfly, then the warps in order, so every thread gets the same bits in every run.

namespace trimtab::cuda {

template <typename T, typename Combine>
__device__ T reduce_warp(T x, Combine combine) {
#pragma unroll
  for (int distance = warp_size / 2; distance > 0; distance /= 2)
    x = combine(x, __shfl_xor_sync(all_lanes, x, distance));
  return x;
}

/// One row per warp.
struct warp_team {
  static constexpr int rows_per_block = 4;
  static constexpr int most_threads = rows_per_block * warp_size;

  __device__ static int rank() { return static_cast<int>(threadIdx.x) % warp_size; }
  __device__ static int size() { return warp_size; }
  __device__ static int row_in_block() { return static_cast<int>(threadIdx.x) / warp_size; }
  __device__ static void synchronize() { __syncwarp(); }

  template <typename T, typename Combine>
  __device__ static T reduce(T x, Combine combine) {
    return reduce_warp(x, combine);
  }
};

/// One row per block, with as many threads as it was started with.
struct block_team {
  static constexpr int rows_per_block = 1;
  static constexpr int most_threads = 512;

  __device__ static int rank() { return static_cast<int>(threadIdx.x); }
  __device__ static int size() { return static_cast<int>(blockDim.x); }
  __device__ static int row_in_block() { return 0; }
  __device__ static void synchronize() { __syncthreads(); }

  template <typename T, typename Combine>
  __device__ static T reduce(T x, Combine combine) {
    __shared__ T of_warp[warp_size];
    x = reduce_warp(x, combine);
    if (rank() % warp_size == 0) of_warp[rank() / warp_size] = x;
    __syncthreads();
    T all = of_warp[0];
    for (int warp = 1; warp < size() / warp_size; ++warp) all = combine(all, of_warp[warp]);
    __syncthreads();  // before the next reduction writes there
    return all;
  }
};

}  // namespace trimtab::cuda
