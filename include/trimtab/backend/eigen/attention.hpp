// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/backend/eigen/cache.hpp>
#include <trimtab/backend/eigen/memory.hpp>
#include <trimtab/backend/eigen/packed.hpp>
#include <trimtab/backend/eigen/rows.hpp>
#include <trimtab/backend/eigen/target.hpp>
#include <trimtab/core/ragged.hpp>
#include <trimtab/row/softmax.hpp>

#include <algorithm>
#include <limits>
#include <utility>

/// Causal softmax attention over a ragged batch: z_i = Σ_j≤i p_ij v_j with p_i = softmax_j(scale · q_i·k_j). One task
/// is one head of one sequence: sequences do not affect each other, and its data stays in its core's cache. Queries go
/// in blocks through the kernels of the frozen products, with keys and values packed like weights; a block sees the
/// keys up to its last query. The adjoint recomputes the probabilities instead of keeping T² numbers.

namespace trimtab::eigen {
inline namespace TRIMTAB_TARGET {

/// One head of one sequence, with scratch memory of its thread.
template <typename T>
class attention_head {
 public:
  static constexpr index_t block = tile<T>::rows;

  /// qkv [rows, 3D] = [q | k | v], heads in order inside each.
  attention_head(const ragged_shape& shape, index_t heads, T score_scale, matrix_view<const T> qkv, index_t sequence,
                 index_t head)
      : past(shape.past ? shape.past[sequence] : 0),
        first_row(shape.offsets[sequence] - past),
        length(shape.offsets[sequence + 1] - first_row),
        first_query(shape.query_offsets[sequence]),
        queries(shape.query_offsets[sequence + 1] - first_query),
        model_width(qkv.cols / 3),
        width(model_width / heads),
        column(head * width),
        padded_length(packed<T>::padded(length)),
        padded_width(packed<T>::padded(width)),
        scale(score_scale),
        qkv_(qkv),
        positions_(shape.query_positions + first_query) {
    const index_t of_keys = shape.past ? 0 : 4 * length * padded_width + 4 * width * padded_length;
    room_ = scratch<struct attention_room, T>(of_keys + block * (4 * padded_length + 4 * padded_width));
    p = take(block * padded_length);
    q = take(block * padded_width);
    out = take(block * padded_width);
  }

  T* take(index_t count) { return std::exchange(room_, room_ + count); }

  const T* query(index_t j) const { return qkv_.row(first_row + j) + column; }
  const T* key(index_t j) const { return query(j) + model_width; }
  const T* value(index_t j) const { return query(j) + 2 * model_width; }
  index_t position(index_t k) const { return positions_[k]; }

  /// Sets `keys` to those of the rows, where no cache has them.
  void pack_keys() {
    keys = {take(width * padded_length), width};
    keys.pack_columns(width, length, [&](index_t j) { return key(j); });
  }

  /// f(k, count, seen) for each block of queries k, ..., k + count - 1, the last of which sees `seen` keys. By then `q`
  /// holds the scaled queries and `p` their probabilities, zero for keys that a query does not see.
  template <typename F>
  void for_each_block(F f) const {
    for (index_t k = 0; k < queries; k += block) {
      const index_t count = std::min(block, queries - k), seen = position(k + count - 1) + 1;
      for (index_t i = 0; i < count; ++i)
        for (index_t c = 0; c < width; ++c) q[i * padded_width + c] = query(position(k + i))[c] * scale;
      multiply_packed<T>(count, width, seen, keys, {q, padded_width}, nothing_yet(), {p, padded_length});
      for (index_t i = 0; i < count; ++i) {
        const index_t all = packed<T>::padded(seen), visible = position(k + i) + 1;
        T* const scores = p + i * padded_length;
        std::fill(scores + visible, scores + all, T(-std::numeric_limits<double>::infinity()));
        auto r = row_of<T>(all, 0, operand<per_channel<"h">, T>{scores}, operand<per_channel<"out">, T>{scores});
        softmax{}.forward(r);
      }
      f(k, count, seen);
    }
  }

  static strided<const T> nothing_yet() {
    static constexpr T zeros[tile<T>::columns] = {};
    return {zeros, 0};
  }

  /// z [queries, D] from the values, one row per key, packed.
  void write(packed<T> values, matrix_view<T> z) const {
    for_each_block([&](index_t k, index_t count, index_t seen) {
      multiply_packed<T>(count, seen, width, values, {p, padded_length}, nothing_yet(), {out, padded_width});
      for (index_t i = 0; i < count; ++i)
        std::copy_n(out + i * padded_width, width, z.row(first_query + k + i) + column);
    });
  }

  index_t past;       ///< tokens that only the cache has
  index_t first_row;  ///< that of position 0, if it had one
  index_t length, first_query, queries, model_width, width, column, padded_length, padded_width;
  T scale;
  packed<T> keys = {};
  T *p = nullptr, *q = nullptr, *out = nullptr;

 private:
  matrix_view<const T> qkv_;
  const int* positions_;
  T* room_ = nullptr;
};

/// z [queries, D] from qkv [rows, 3D].
template <typename T>
void attention(int threads, const ragged_shape& shape, index_t heads, T scale, matrix_view<const T> qkv,
               matrix_view<T> z) {
  parallel_for(threads, shape.sequences * heads, qkv.size() * 8, [&](index_t task) {
    attention_head<T> head(shape, heads, scale, qkv, task / heads, task % heads);
    head.pack_keys();
    const packed<T> values{head.take(head.length * head.padded_width), head.length};
    values.pack_rows(head.length, head.width, [&](index_t j) { return head.value(j); });
    head.write(values, z);
  });
}

/// The same for rows that follow the tokens of a cache, where their keys and values are stored too.
template <typename T>
void attention(int threads, const ragged_shape& shape, index_t heads, T scale, matrix_view<const T> qkv,
               cache<T>& known, matrix_view<T> z) {
  index_t keys = 0;
  for (index_t s = 0; s < shape.sequences; ++s) keys += shape.past[s] + shape.offsets[s + 1] - shape.offsets[s];
  parallel_for(threads, shape.sequences * heads, keys * qkv.cols * 2, [&](index_t task) {
    const index_t sequence = task / heads, number = task % heads;
    attention_head<T> head(shape, heads, scale, qkv, sequence, number);
    const auto [all_keys, all_values] = known.at(shape.slots[sequence], number);
    for (index_t j = head.past; j < head.length; ++j) {
      all_keys.set_column(j, head.width, head.key(j));
      all_values.set_row(j, head.width, head.value(j));
    }
    head.keys = all_keys;
    head.write(all_values, z);
  });
}

/// Sets d_qkv [rows, 3D] from d_z [queries, D].
template <typename T>
void attention_backward(int threads, const ragged_shape& shape, index_t heads, T scale, matrix_view<const T> qkv,
                        matrix_view<const T> d_z, matrix_view<T> d_qkv) {
  parallel_for(threads, shape.sequences * heads, qkv.size() * 16, [&](index_t task) {
    attention_head<T> head(shape, heads, scale, qkv, task / heads, task % heads);
    head.pack_keys();
    const index_t length = head.length, width = head.width, p_stride = head.padded_length, stride = head.padded_width;
    constexpr index_t block = attention_head<T>::block;
    const packed<T> values_across{head.take(width * p_stride), width}, key_rows{head.take(length * stride), length};
    values_across.pack_columns(width, length, [&](index_t j) { return head.value(j); });
    key_rows.pack_rows(length, width, [&](index_t j) { return head.key(j); });
    T* const d_keys = head.take(length * stride);
    T* const d_values = head.take(length * stride);
    std::fill_n(d_keys, 2 * length * stride, T(0));
    T* const d_p = head.take(block * p_stride);
    T* const turned = head.take(block * p_stride);

    const auto d_query = [&](index_t j) { return d_qkv.row(head.first_row + j) + head.column; };
    for (index_t j = 0; j < length; ++j) std::fill_n(d_query(j), width, T(0));
    head.for_each_block([&](index_t k, index_t count, index_t seen) {
      const strided<const T> d_out{d_z.row(head.first_query + k) + head.column, d_z.cols};
      multiply_packed<T>(count, width, seen, values_across, d_out, head.nothing_yet(), {d_p, p_stride});
      // sums[j] += Σ_i weights_ij rows_i: the block's part of the gradient of the keys, or of the values.
      const auto add_weighted = [&](const T* weights, strided<const T> rows, T* sums) {
        const packed<T> by_query{head.out, count};
        by_query.pack_rows(count, width, [&](index_t i) { return rows.row(i); });
        for (index_t i = 0; i < count; ++i)
          for (index_t j = 0; j < seen; ++j) turned[j * block + i] = weights[i * p_stride + j];
        for (index_t j = 0; j < seen; j += block) {
          const strided<T> some{sums + j * stride, stride};
          multiply_packed<T>(std::min(block, seen - j), count, width, by_query, {turned + j * block, block},
                             {some.data, stride}, some);
        }
      };
      add_weighted(head.p, d_out, d_values);
      for (index_t i = 0; i < count; ++i) {
        T* const d_scores = d_p + i * p_stride;
        const index_t visible = head.position(k + i) + 1;
        std::fill(d_scores + visible, d_scores + packed<T>::padded(seen), T(0));
        auto r = row_of<T>(packed<T>::padded(seen), 0, operand<per_channel<"out">, T>{head.p + i * p_stride},
                           operand<gradient_of<per_channel<"out">>, T>{d_scores},
                           operand<gradient_of<per_channel<"h">>, T>{d_scores});
        softmax{}.backward(r);
      }
      add_weighted(d_p, {head.q, stride}, d_keys);
      multiply_packed<T>(count, seen, width, key_rows, {d_p, p_stride}, head.nothing_yet(), {head.out, stride});
      for (index_t i = 0; i < count; ++i)
        for (index_t c = 0; c < width; ++c) d_query(head.position(k + i))[c] = head.out[i * stride + c] * head.scale;
    });
    for (index_t j = 0; j < length; ++j) {
      std::copy_n(d_keys + j * stride, width, d_query(j) + head.model_width);
      std::copy_n(d_values + j * stride, width, d_query(j) + 2 * head.model_width);
    }
  });
}

}  // namespace TRIMTAB_TARGET
}  // namespace trimtab::eigen
