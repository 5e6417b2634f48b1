// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/backend/cuda/team.cuh>
#include <trimtab/core/ragged.hpp>
#include <trimtab/core/view.hpp>
#include <trimtab/row/math.hpp>

/// Parts of the kernels in attention.cuh: a block's place in the batch, tiles of vectors in shared memory, and the
/// running softmax.

namespace trimtab::cuda {

inline constexpr int attention_warps = 8;  // queries, or keys, of a block
inline constexpr int tile_positions = warp_size;

/// The batch as an attention kernel sees it.
template <typename T>
struct attention_view {
  ragged_shape shape;
  index_t heads;
  index_t model_width;
  int width;      ///< of a head
  index_t tiles;  ///< blocks of attention_warps positions of the longest sequence
  T scale;        ///< of the scores
  const T* qkv;
  const T* keys;       ///< of head 0 at row 0, and the values model_width numbers further on
  index_t key_stride;  ///< between the keys of two rows
  index_t room = 0;    ///< rows of a slot of the cache

  /// Sequence, head and first position of this block.
  struct task {
    index_t sequence, head, first;
  };
  __device__ task mine() const {
    const index_t b = blockIdx.x;
    return {b / tiles / heads, b / tiles % heads, b % tiles * attention_warps};
  }

  /// The rows, of queries and of keys, that position 0 of a sequence has, or would have if it were not past.
  __device__ index_t first_row(index_t s) const { return shape.offsets[s] - (shape.past ? shape.past[s] : 0); }
  __device__ index_t first_key(index_t s) const { return shape.past ? shape.slots[s] * room : shape.offsets[s]; }

  const __device__ T* query(index_t row, index_t head) const { return qkv + row * 3 * model_width + head * width; }
  const __device__ T* key(index_t row, index_t head) const { return keys + row * key_stride + head * width; }
  const __device__ T* value(index_t row, index_t head) const { return key(row, head) + model_width; }
};

/// Copies `count` vectors to shared memory, padded by one number so that the lanes of a warp read from different banks;
/// vector(j) points to the j-th. The whole block takes part.
template <typename T, typename Vector>
__device__ void load_tile(T* tile, int width, index_t count, Vector vector) {
  for (int k = static_cast<int>(threadIdx.x); k < static_cast<int>(count) * width; k += static_cast<int>(blockDim.x)) {
    const int j = k / width, c = k % width;
    tile[j * (width + 1) + c] = vector(j)[c];
  }
}

template <typename T>
__device__ T dot(const T* a, const T* b, int width) {
  T sum = 0;
  for (int c = 0; c < width; ++c) sum += a[c] * b[c];
  return sum;
}

/// The numbers of a head's vector that one lane sums: channels lane, lane + 32, ...
template <typename T, int PerLane>
struct lane_channels {
  T sum[PerLane] = {};

  __device__ void scale(T by) {
#pragma unroll
    for (int k = 0; k < PerLane; ++k) sum[k] *= by;
  }
  __device__ void add(T weight, const T* vector, int width) {
#pragma unroll
    for (int k = 0; k < PerLane; ++k) {
      const int c = warp_team::rank() + k * warp_size;
      if (c < width) sum[k] += weight * vector[c];
    }
  }
  __device__ void store(T by, T* vector, int width) const {
#pragma unroll
    for (int k = 0; k < PerLane; ++k) {
      const int c = warp_team::rank() + k * warp_size;
      if (c < width) vector[c] = by * sum[k];
    }
  }
};

template <typename T>
__device__ T lane_max(T x) {
  return reduce_warp(x, [](T a, T b) { return a < b ? b : a; });
}
template <typename T>
__device__ T lane_sum(T x) {
  return reduce_warp(x, [](T a, T b) { return a + b; });
}
template <typename T>
inline constexpr T no_score = T(-1e30);

/// A block's queries, one warp each, and the keys that they see. A warp without a query only helps to load.
template <typename T>
struct query_block {
  const attention_view<T>& a;
  index_t row, key_row;  ///< of the sequence's first position
  index_t head;
  index_t query;         ///< of this warp
  index_t i, last;       ///< positions of this warp's query and of the block's last
  bool empty, busy;      ///< the block has no query; the warp has one
  T *keys, *values, *q;  ///< in shared memory; q is the first of the warp's own vectors

  __device__ query_block(const attention_view<T>& view, int vectors_per_warp) : a(view) {
    const auto [s, of_head, first] = a.mine();
    const int warp = warp_team::row_in_block();
    row = a.first_row(s);
    key_row = a.first_key(s);
    head = of_head;
    const index_t begin = a.shape.query_offsets[s] + first, queries = a.shape.query_offsets[s + 1] - begin;
    empty = queries <= 0;
    busy = warp < queries;
    if (empty) return;
    query = begin + (busy ? warp : 0);
    i = a.shape.query_positions[query];
    last = a.shape.query_positions[begin + (queries < attention_warps ? queries : attention_warps) - 1];
    keys = shared_memory<T>();
    values = keys + tile_positions * stride();
    q = values + tile_positions * stride() + warp * vectors_per_warp * a.width;
    for (int c = warp_team::rank(); c < a.width; c += warp_size) q[c] = a.query(row + i, head)[c];
  }

  __device__ int stride() const { return a.width + 1; }
  const __device__ T* my_key() const { return keys + warp_team::rank() * stride(); }
  const __device__ T* my_value() const { return values + warp_team::rank() * stride(); }
  /// The offset of this query and head in a matrix [queries, D].
  __device__ index_t in_rows_of_queries() const { return query * a.model_width + head * a.width; }

  /// use(j0, seen, score) for every tile of keys that the query sees: whether it sees key j0 + lane, and the score.
  template <typename Use>
  __device__ void each_tile(Use use) const {
    for (index_t j0 = 0; j0 <= last; j0 += tile_positions) {
      const index_t count = last + 1 - j0 < tile_positions ? last + 1 - j0 : tile_positions;
      __syncthreads();
      load_tile(keys, a.width, count, [&](int j) { return a.key(key_row + j0 + j, head); });
      load_tile(values, a.width, count, [&](int j) { return a.value(key_row + j0 + j, head); });
      __syncthreads();
      if (not busy or j0 > i) continue;
      const bool seen = j0 + warp_team::rank() <= i;
      use(j0, seen, seen ? a.scale * dot(q, my_key(), a.width) : no_score<T>);
    }
  }

  /// sum += Σ_j weight_j vector_j over the seen keys of a tile; lane j has the weight of key j0 + j.
  template <int PerLane>
  __device__ void add(lane_channels<T, PerLane>& sum, index_t j0, T weight, const T* vectors) const {
    for (int j = 0; j < warp_size and j0 + j <= i; ++j)
      sum.add(__shfl_sync(all_lanes, weight, j), vectors + j * stride(), a.width);
  }
};

/// Σ exp(score) over tile after tile, held as exp(top) · sum.
template <typename T>
struct running_softmax {
  T top = no_score<T>, sum = 0;

  /// exp(score - top) of the lane's key, and the factor for all sums so far.
  struct step {
    T p, shrink;
  };
  __device__ step add(bool seen, T score) {
    using math::exp;
    const T new_top = lane_max(top < score ? score : top);
    const T p = seen ? exp(score - new_top) : T(0), shrink = exp(top - new_top);
    sum = sum * shrink + lane_sum(p);
    top = new_top;
    return {p, shrink};
  }
};

}  // namespace trimtab::cuda
