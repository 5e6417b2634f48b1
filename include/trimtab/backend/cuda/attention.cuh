// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/backend/cuda/attention_tiles.cuh>
#include <trimtab/backend/cuda/cache.hpp>
#include <trimtab/backend/cuda/context.hpp>

#include <string>
#include <type_traits>

/// Causal softmax attention over a ragged batch: z_i = Σ_j≤i p_ij v_j with p_i = softmax_j(scale · q_i·k_j). Nothing of
/// size T² is kept: a block takes some queries of one head of one sequence, one warp each, and loops over the keys in
/// tiles of 32 in shared memory, one lane per key, with a running maximum and sum of the exponentials (Milakov and
/// Gimelshein 2018). The adjoint recomputes the probabilities,
///
///     dv_j = Σ_i p_ij dz_i,  ds_ij = p_ij (dz_i·v_j − Σ_m p_im dz_i·v_m),  dq_i = scale Σ_j ds_ij k_j,  dk_j likewise
///
/// once per query for dq and once per key for dk and dv. One thread sums each number, tile after tile, so every sum is
/// in the order of positions.

namespace trimtab::cuda {

template <typename T, int PerLane>
__global__ void __launch_bounds__(attention_warps* warp_size, 1) attention_kernel(attention_view<T> a, T* z) {
  const query_block<T> block(a, 1);
  if (block.empty) return;
  running_softmax<T> softmax;
  lane_channels<T, PerLane> out;
  block.each_tile([&](index_t j0, bool seen, T score) {
    const auto [p, shrink] = softmax.add(seen, score);
    out.scale(shrink);
    block.add(out, j0, p, block.values);
  });
  if (block.busy) out.store(1 / softmax.sum, z + block.in_rows_of_queries(), a.width);
}

/// Copies the keys and values of the batch's rows into the cache; a block copies one row.
template <typename T>
__global__ void store_keys_kernel(attention_view<T> a, T* cached) {
  const index_t longest = gridDim.x / a.shape.sequences, s = blockIdx.x / longest;
  const index_t row = a.shape.offsets[s] + blockIdx.x % longest;
  if (row >= a.shape.offsets[s + 1]) return;
  const T* const from = a.qkv + row * 3 * a.model_width + a.model_width;
  T* const to = cached + (a.first_key(s) + row - a.first_row(s)) * a.key_stride;
  for (index_t c = threadIdx.x; c < a.key_stride; c += blockDim.x) to[c] = from[c];
}

/// Sets dq, and `statistics` [queries, heads, 2]: log Σ exp of the scores, and Σ_j p_ij dz_i·v_j.
template <typename T, int PerLane>
__global__ void __launch_bounds__(attention_warps* warp_size, 1)
    attention_query_adjoint_kernel(attention_view<T> a, const T* d_z, T* d_qkv, T* statistics) {
  using math::exp, math::log;
  const query_block<T> block(a, 2);
  if (block.empty) return;
  T* const d_out = block.q + a.width;
  for (int c = warp_team::rank(); c < a.width; c += warp_size) d_out[c] = d_z[block.in_rows_of_queries() + c];
  const auto d_p_of = [&](bool seen) { return seen ? dot(d_out, block.my_value(), a.width) : T(0); };

  running_softmax<T> softmax;
  T weighted = 0;
  block.each_tile([&](index_t, bool seen, T score) {
    const auto [p, shrink] = softmax.add(seen, score);
    weighted = weighted * shrink + lane_sum(p * d_p_of(seen));
  });
  if (not block.busy) softmax.sum = 1;  // goes on, because the block's loads need every warp
  const T log_sum = softmax.top + log(softmax.sum), mean = weighted / softmax.sum;

  lane_channels<T, PerLane> d_query;
  block.each_tile([&](index_t j0, bool seen, T score) {
    const T d_score = seen ? exp(score - log_sum) * (d_p_of(seen) - mean) : T(0);
    block.add(d_query, j0, d_score, block.keys);
  });
  if (not block.busy) return;
  d_query.store(a.scale, d_qkv + (block.row + block.i) * 3 * a.model_width + block.head * a.width, a.width);
  if (warp_team::rank() == 0) {
    statistics[2 * (block.query * a.heads + block.head)] = log_sum;
    statistics[2 * (block.query * a.heads + block.head) + 1] = mean;
  }
}

/// Sets dk and dv: one warp per key, looping over the queries that see it.
template <typename T, int PerLane>
__global__ void __launch_bounds__(attention_warps* warp_size, 1)
    attention_key_adjoint_kernel(attention_view<T> a, const T* d_z, const T* statistics, T* d_qkv) {
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
    load_tile(d_outs, a.width, count, [&](int n) { return d_z + (query + n0 + n) * a.model_width + head * a.width; });
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

/// f(channels of a head per lane); throws `device` for a head wider than 256.
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
attention_view<T> view_of(const ragged_shape& shape, index_t heads, T scale, matrix_view<const T> qkv) {
  const index_t model_width = qkv.cols / 3, width = model_width / heads;
  const index_t longest = shape.longest > 0 ? shape.longest : shape.keys;
  return {.shape = shape,
          .heads = heads,
          .model_width = model_width,
          .width = static_cast<int>(width),
          .tiles = (longest + attention_warps - 1) / attention_warps,
          .scale = scale,
          .qkv = qkv.data,
          .keys = qkv.data + model_width,
          .key_stride = qkv.cols};
}

template <typename T>
grid_shape grid_of(const attention_view<T>& a, int vectors_per_warp) {
  const std::size_t numbers =
      static_cast<std::size_t>(2 * tile_positions * (a.width + 1) + attention_warps * vectors_per_warp * a.width);
  return {dim3(static_cast<unsigned>(a.tiles * a.heads * a.shape.sequences)), dim3(attention_warps * warp_size),
          numbers * sizeof(T)};
}

/// z [queries, D] from qkv [rows, 3D].
template <typename T>
void attention(const context& on, const ragged_shape& shape, index_t heads, T scale, matrix_view<const T> qkv,
               matrix_view<T> z) {
  if (shape.queries == 0) return;
  const attention_view<T> a = view_of(shape, heads, scale, qkv);
  with_head_width(a.width, [&](auto per_lane) {
    launch("attention", attention_kernel<T, per_lane()>, grid_of(a, 1), on.stream(), a, z.data);
  });
}

/// The same for rows that follow the tokens of a cache, where their keys and values are stored too.
template <typename T>
void attention(const context& on, const ragged_shape& shape, index_t heads, T scale, matrix_view<const T> qkv,
               cache<T>& known, matrix_view<T> z) {
  if (shape.keys == 0) return;
  attention_view<T> a = view_of(shape, heads, scale, qkv);
  a.keys = known.data();
  a.key_stride = 2 * a.model_width;
  a.room = known.room();
  const auto rows = static_cast<unsigned>(shape.sequences * (shape.longest > 0 ? shape.longest : shape.keys));
  launch("store_keys", store_keys_kernel<T>, {dim3(rows), dim3(attention_warps * warp_size), 0}, on.stream(), a,
         known.data());
  if (shape.queries == 0) return;
  with_head_width(a.width, [&](auto per_lane) {
    launch("attention", attention_kernel<T, per_lane()>, grid_of(a, 1), on.stream(), a, z.data);
  });
}

/// Sets d_qkv [rows, 3D] from d_z [queries, D].
template <typename T>
void attention_backward(context& on, const ragged_shape& shape, index_t heads, T scale, matrix_view<const T> qkv,
                        matrix_view<const T> d_z, matrix_view<T> d_qkv) {
  if (shape.queries < shape.keys)  // positions that are no queries have no gradient in their q
    check(cudaMemsetAsync(d_qkv.data, 0, static_cast<std::size_t>(d_qkv.size()) * sizeof(T), on.stream()),
          "cudaMemsetAsync");
  if (shape.queries == 0) return;
  const attention_view<T> a = view_of(shape, heads, scale, qkv);
  T* const statistics = on.scratch<T>(scratch_use::attention, static_cast<std::size_t>(2 * shape.queries * heads));
  with_head_width(a.width, [&](auto per_lane) {
    launch("attention_query_adjoint", attention_query_adjoint_kernel<T, per_lane()>, grid_of(a, 2), on.stream(), a,
           d_z.data, d_qkv.data, statistics);
    launch("attention_key_adjoint", attention_key_adjoint_kernel<T, per_lane()>, grid_of(a, 2), on.stream(), a,
           d_z.data, statistics, d_qkv.data);
  });
}

}  // namespace trimtab::cuda
