// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/backend/cuda/context.hpp>
#include <trimtab/backend/cuda/team.cuh>
#include <trimtab/core/ragged.hpp>
#include <trimtab/core/view.hpp>
#include <trimtab/row/math.hpp>

#include <algorithm>
#include <cmath>
#include <string>

/// Causal softmax attention over a ragged batch: z_i = Σ_j≤i p_ij v_j with p_i = softmax_j(q_i·k_j / √w), w the head's
/// width. Nothing of size T² is kept: a block takes some queries of one head of one sequence, a warp each, and walks over
/// the keys in tiles of 32 in shared memory, a lane a key, with the running maximum and sum of the exponentials (Milakov
/// and Gimelshein 2018). The adjoint makes the probabilities again,
///
///     dv_j = Σ_i p_ij dz_i,   ds_ij = p_ij (dz_i·v_j − Σ_m p_im dz_i·v_m),   dq_i = Σ_j ds_ij k_j / √w,   dk_j likewise
///
/// once a query for dq and once a key for dk and dv. Each number has one thread that adds it up, tile after tile, so the
/// order of every sum is the positions' own.

namespace trimtab::cuda {

inline constexpr int attention_warps = 8;  // queries, or keys, of a block
inline constexpr int tile_positions = warp_size;

/// What a kernel of the attention sees of the batch.
template <typename T>
struct attention_view {
  ragged_shape shape;
  index_t heads;
  index_t model_width;
  int width;           ///< of a head
  index_t tiles;       ///< blocks of attention_warps positions of the longest sequence
  T scale;
  T const* qkv;

  /// Sequence, head and first position of this block.
  struct task {
    index_t sequence, head, first;
  };
  __device__ task mine() const {
    const index_t b = blockIdx.x;
    return {b / tiles / heads, b / tiles % heads, b % tiles * attention_warps};
  }

  __device__ T const* query(index_t row, index_t head) const { return qkv + row * 3 * model_width + head * width; }
  __device__ T const* key(index_t row, index_t head) const { return query(row, head) + model_width; }
  __device__ T const* value(index_t row, index_t head) const { return query(row, head) + 2 * model_width; }
};

/// `count` vectors into shared memory, one number between two of them so that the lanes of a warp read from different
/// banks; vector(j) is where the j-th lies. The whole block takes part.
template <typename T, typename Vector>
__device__ void load_tile(T* tile, int width, index_t count, Vector vector) {
  for (int k = static_cast<int>(threadIdx.x); k < static_cast<int>(count) * width; k += static_cast<int>(blockDim.x)) {
    const int j = k / width, c = k % width;
    tile[j * (width + 1) + c] = vector(j)[c];
  }
}

template <typename T>
__device__ T dot(T const* a, T const* b, int width) {
  T sum = 0;
  for (int c = 0; c < width; ++c) sum += a[c] * b[c];
  return sum;
}

/// The numbers of a head's vector that one lane adds up: channels lane, lane + 32, ...
template <typename T, int PerLane>
struct lane_channels {
  T sum[PerLane] = {};

  __device__ void scale(T by) {
#pragma unroll
    for (int k = 0; k < PerLane; ++k) sum[k] *= by;
  }
  __device__ void add(T weight, T const* vector, int width) {
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

template <typename T, int PerLane>
__global__ void __launch_bounds__(attention_warps* warp_size) attention_kernel(attention_view<T> a, T* z) {
  using math::exp;
  const auto [s, head, first] = a.mine();
  const index_t row = a.shape.offsets[s], query = a.shape.query_offsets[s] + first;
  const index_t queries = a.shape.query_offsets[s + 1] - query;  // from here on
  if (queries <= 0) return;
  const int warp = warp_team::row_in_block(), lane = warp_team::rank(), stride = a.width + 1;
  const bool busy = warp < queries;
  const index_t i = a.shape.query_positions[query + (busy ? warp : 0)];
  const index_t last = a.shape.query_positions[query + (queries < attention_warps ? queries : attention_warps) - 1];

  T* const keys = shared_memory<T>();
  T* const values = keys + tile_positions * stride;
  T* const q = values + tile_positions * stride + warp * a.width;
  for (int c = lane; c < a.width; c += warp_size) q[c] = a.query(row + i, head)[c];

  T top = no_score<T>, sum = 0;
  lane_channels<T, PerLane> out;
  for (index_t j0 = 0; j0 <= last; j0 += tile_positions) {
    const index_t count = last + 1 - j0 < tile_positions ? last + 1 - j0 : tile_positions;
    __syncthreads();
    load_tile(keys, a.width, count, [&](int j) { return a.key(row + j0 + j, head); });
    load_tile(values, a.width, count, [&](int j) { return a.value(row + j0 + j, head); });
    __syncthreads();
    if (not busy or j0 > i) continue;
    const bool seen = j0 + lane <= i;
    const T score = seen ? a.scale * dot(q, keys + lane * stride, a.width) : no_score<T>;
    const T new_top = lane_max(top < score ? score : top);
    const T p = seen ? exp(score - new_top) : T(0), shrink = exp(top - new_top);
    sum = sum * shrink + lane_sum(p);
    out.scale(shrink);
    top = new_top;
    for (int j = 0; j < warp_size and j0 + j <= i; ++j)
      out.add(__shfl_sync(all_lanes, p, j), values + j * stride, a.width);
  }
  if (busy) out.store(1 / sum, z + (query + warp) * a.model_width + head * a.width, a.width);
}

/// For each query and head: log Σ exp of its scores, and Σ_j p_ij dz_i·v_j. Sets dq of the queries.
template <typename T, int PerLane>
__global__ void __launch_bounds__(attention_warps* warp_size)
    attention_query_adjoint_kernel(attention_view<T> a, T const* d_z, T* d_qkv, T* statistics) {
  using math::exp, math::log;
  const auto [s, head, first] = a.mine();
  const index_t row = a.shape.offsets[s], query = a.shape.query_offsets[s] + first;
  const index_t queries = a.shape.query_offsets[s + 1] - query;
  if (queries <= 0) return;
  const int warp = warp_team::row_in_block(), lane = warp_team::rank(), stride = a.width + 1;
  const bool busy = warp < queries;
  const index_t i = a.shape.query_positions[query + (busy ? warp : 0)];
  const index_t last = a.shape.query_positions[query + (queries < attention_warps ? queries : attention_warps) - 1];

  T* const keys = shared_memory<T>();
  T* const values = keys + tile_positions * stride;
  T* const q = values + tile_positions * stride + warp * 2 * a.width;
  T* const d_out = q + a.width;
  for (int c = lane; c < a.width; c += warp_size) {
    q[c] = a.query(row + i, head)[c];
    d_out[c] = d_z[(query + (busy ? warp : 0)) * a.model_width + head * a.width + c];
  }

  const auto each_tile = [&](auto use) {
    for (index_t j0 = 0; j0 <= last; j0 += tile_positions) {
      const index_t count = last + 1 - j0 < tile_positions ? last + 1 - j0 : tile_positions;
      __syncthreads();
      load_tile(keys, a.width, count, [&](int j) { return a.key(row + j0 + j, head); });
      load_tile(values, a.width, count, [&](int j) { return a.value(row + j0 + j, head); });
      __syncthreads();
      if (not busy or j0 > i) continue;
      const bool seen = j0 + lane <= i;
      const T score = seen ? a.scale * dot(q, keys + lane * stride, a.width) : no_score<T>;
      const T d_p = seen ? dot(d_out, values + lane * stride, a.width) : T(0);
      use(j0, seen, score, d_p);
    }
  };

  T top = no_score<T>, sum = 0, weighted = 0;
  each_tile([&](index_t, bool seen, T score, T d_p) {
    const T new_top = lane_max(top < score ? score : top);
    const T p = seen ? exp(score - new_top) : T(0), shrink = exp(top - new_top);
    sum = sum * shrink + lane_sum(p);
    weighted = weighted * shrink + lane_sum(p * d_p);
    top = new_top;
  });
  const T log_sum = busy ? top + log(sum) : T(0), mean = busy ? weighted / sum : T(0);

  lane_channels<T, PerLane> d_query;
  each_tile([&](index_t j0, bool seen, T score, T d_p) {
    const T d_score = seen ? exp(score - log_sum) * (d_p - mean) : T(0);
    for (int j = 0; j < warp_size and j0 + j <= i; ++j)
      d_query.add(__shfl_sync(all_lanes, d_score, j), keys + j * stride, a.width);
  });
  if (not busy) return;
  d_query.store(a.scale, d_qkv + (row + i) * 3 * a.model_width + head * a.width, a.width);
  if (lane == 0) {
    statistics[2 * ((query + warp) * a.heads + head)] = log_sum;
    statistics[2 * ((query + warp) * a.heads + head) + 1] = mean;
  }
}

/// dk and dv: a warp has a key and walks over the queries that see it.
template <typename T, int PerLane>
__global__ void __launch_bounds__(attention_warps* warp_size)
    attention_key_adjoint_kernel(attention_view<T> a, T const* d_z, T const* statistics, T* d_qkv) {
  using math::exp;
  const auto [s, head, first] = a.mine();
  const index_t row = a.shape.offsets[s], length = a.shape.offsets[s + 1] - row;
  if (first >= length) return;
  const index_t query = a.shape.query_offsets[s], queries = a.shape.query_offsets[s + 1] - query;
  const int warp = warp_team::row_in_block(), lane = warp_team::rank(), stride = a.width + 1;
  const index_t j = first + warp;
  const bool busy = j < length;

  T* const tile = shared_memory<T>();
  T* const d_outs = tile + tile_positions * stride;
  T* const k = d_outs + tile_positions * stride + warp * 2 * a.width;
  T* const v = k + a.width;
  for (int c = lane; c < a.width; c += warp_size) {
    k[c] = a.key(row + (busy ? j : first), head)[c];
    v[c] = a.value(row + (busy ? j : first), head)[c];
  }

  lane_channels<T, PerLane> d_key, d_value;
  for (index_t n0 = 0; n0 < queries; n0 += tile_positions) {
    const index_t count = queries - n0 < tile_positions ? queries - n0 : tile_positions;
    if (a.shape.query_positions[query + n0 + count - 1] < first) continue;  // none of them sees a key of this block
    __syncthreads();
    load_tile(tile, a.width, count,
              [&](int n) { return a.query(row + a.shape.query_positions[query + n0 + n], head); });
    load_tile(d_outs, a.width, count,
              [&](int n) { return d_z + (query + n0 + n) * a.model_width + head * a.width; });
    __syncthreads();
    if (not busy) continue;
    const index_t n = query + n0 + (lane < count ? lane : 0);
    const bool seen = lane < count and a.shape.query_positions[n] >= j;
    T p = 0, d_score = 0;
    if (seen) {
      p = exp(a.scale * dot(k, tile + lane * stride, a.width) - statistics[2 * (n * a.heads + head)]);
      d_score = p * (dot(v, d_outs + lane * stride, a.width) - statistics[2 * (n * a.heads + head) + 1]);
    }
    for (int m = 0; m < count; ++m) {
      d_key.add(__shfl_sync(all_lanes, d_score, m), tile + m * stride, a.width);
      d_value.add(__shfl_sync(all_lanes, p, m), d_outs + m * stride, a.width);
    }
  }
  if (not busy) return;
  T* const d_row = d_qkv + (row + j) * 3 * a.model_width + head * a.width;
  d_key.store(a.scale, d_row + a.model_width, a.width);
  d_value.store(1, d_row + 2 * a.model_width, a.width);
}

/// f(numbers of a head's vector a lane has); throws `device` for a head that is wider than the kernels.
template <typename F>
void with_head_width(index_t width, F&& f) {
  if (width <= 32) return f(std::integral_constant<int, 1>{});
  if (width <= 64) return f(std::integral_constant<int, 2>{});
  if (width <= 128) return f(std::integral_constant<int, 4>{});
  if (width <= 256) return f(std::integral_constant<int, 8>{});
  throw error(error_kind::device, "the model's attention heads have " + std::to_string(width) +
                                      " channels; the CUDA backend takes up to 256, the eigen backend any number");
}

template <typename T>
attention_view<T> view_of(ragged_shape const& shape, index_t heads, matrix_view<T const> qkv) {
  const index_t model_width = qkv.cols / 3, width = model_width / heads;
  const index_t longest = shape.longest > 0 ? shape.longest : shape.rows;
  return {shape,
          heads,
          model_width,
          static_cast<int>(width),
          (longest + attention_warps - 1) / attention_warps,
          T(1) / std::sqrt(static_cast<T>(width)),
          qkv.data};
}

template <typename T>
grid_shape grid_of(attention_view<T> const& a, int vectors_per_warp) {
  const std::size_t numbers = static_cast<std::size_t>(2 * tile_positions * (a.width + 1) +
                                                       attention_warps * vectors_per_warp * a.width);
  return {dim3(static_cast<unsigned>(a.tiles * a.heads * a.shape.sequences)), dim3(attention_warps * warp_size),
          numbers * sizeof(T)};
}

/// z [queries, D] from qkv [rows, 3D].
template <typename T>
void attention(context const& on, ragged_shape const& shape, index_t heads, matrix_view<T const> qkv,
               matrix_view<T> z) {
  if (shape.queries == 0) return;
  const attention_view<T> a = view_of(shape, heads, qkv);
  with_head_width(a.width, [&](auto per_lane) {
    launch("attention", attention_kernel<T, per_lane()>, grid_of(a, 1), on.stream(), a, z.data);
  });
}

/// Sets d_qkv [rows, 3D] from d_z [queries, D].
template <typename T>
void attention_adjoint(context& on, ragged_shape const& shape, index_t heads, matrix_view<T const> qkv,
                       matrix_view<T const> d_z, matrix_view<T> d_qkv) {
  // Positions that are no queries have no gradient in their q.
  check(cudaMemsetAsync(d_qkv.data, 0, static_cast<std::size_t>(d_qkv.size()) * sizeof(T), on.stream()),
        "cudaMemsetAsync");
  if (shape.queries == 0) return;
  const attention_view<T> a = view_of(shape, heads, qkv);
  T* const statistics =
      on.scratch<T>(scratch_use::attention, static_cast<std::size_t>(2 * shape.queries * heads));
  with_head_width(a.width, [&](auto per_lane) {
    launch("attention_query_adjoint", attention_query_adjoint_kernel<T, per_lane()>, grid_of(a, 2), on.stream(), a,
           d_z.data, d_qkv.data, statistics);
    launch("attention_key_adjoint", attention_key_adjoint_kernel<T, per_lane()>, grid_of(a, 2), on.stream(), a,
           d_z.data, statistics, d_qkv.data);
  });
}

}  // namespace trimtab::cuda
