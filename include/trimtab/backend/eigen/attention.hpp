// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/backend/eigen/rows.hpp>
#include <trimtab/core/ragged.hpp>
#include <trimtab/row/math.hpp>
#include <trimtab/row/softmax.hpp>

#include <algorithm>

/// Causal softmax attention over a ragged batch: z_i = Σ_j≤i p_ij v_j with p_i = softmax_j(q_i·k_j / √w), w the head's
/// width. One task is one head of one sequence, so batch mates cannot meet. Keys (and in the adjoint values) of the
/// head are transposed first: then every inner loop runs along positions or channels and none is a short dot product.
/// The adjoint computes the probabilities again instead of keeping T² numbers a head.

namespace trimtab::eigen {

/// One head of one sequence, and the working memory of the thread that has it.
template <typename T>
class attention_head {
 public:
  /// qkv [rows, 3D] = [q | k | v], heads in order inside each.
  attention_head(ragged_shape const& shape, index_t heads, matrix_view<T const> qkv, index_t sequence, index_t head)
      : first_row(shape.offsets[sequence]),
        length(shape.offsets[sequence + 1] - first_row),
        first_query(shape.query_offsets[sequence]),
        queries(shape.query_offsets[sequence + 1] - first_query),
        model_width(qkv.cols / 3),
        width(model_width / heads),
        column(head * width),
        scale(T(1) / math_sqrt(static_cast<T>(static_cast<double>(width)))),
        qkv_(qkv) {}

  T const* query(index_t j) const { return qkv_.row(first_row + j) + column; }
  T const* key(index_t j) const { return query(j) + model_width; }
  T const* value(index_t j) const { return query(j) + 2 * model_width; }

  /// out[c][j] = vectors(j)[c], [width, length].
  template <typename Vectors>
  void transpose(Vectors vectors, T* out) const {
    for (index_t j = 0; j < length; ++j)
      for (index_t c = 0; c < width; ++c) out[c * length + j] = vectors(j)[c];
  }

  /// out[j] = Σ_c a[c] b[c][j] for j below n.
  void against_all(T const* a, T const* b, index_t n, T* out) const {
    std::fill_n(out, n, T(0));
    for (index_t c = 0; c < width; ++c) add_scaled(n, a[c], b + c * length, out);
  }

  /// Probabilities of the query at position i over the positions up to i.
  void probabilities(index_t i, T const* keys_transposed, T* p) const {
    against_all(query(i), keys_transposed, i + 1, p);
    for (index_t j = 0; j <= i; ++j) p[j] *= scale;
    auto scores = row_of<T>(i + 1, 0, operand<per_channel<"h">, T>{p}, operand<per_channel<"out">, T>{p});
    softmax{}.forward(scores);
  }

  static void add_scaled(index_t n, T a, T const* x, T* y) {
#pragma omp simd
    for (index_t j = 0; j < n; ++j) y[j] += a * x[j];
  }

  index_t first_row, length, first_query, queries, model_width, width, column;
  T scale;

 private:
  static T math_sqrt(T x) {
    using math::sqrt;
    return sqrt(x);
  }

  matrix_view<T const> qkv_;
};

/// z [queries, D] from qkv [rows, 3D].
template <typename T>
void attention(int threads, ragged_shape const& shape, index_t heads, matrix_view<T const> qkv, matrix_view<T> z) {
  parallel_for(threads, shape.sequences * heads, qkv.size() * 8, [&](index_t task) {
    const attention_head<T> head(shape, heads, qkv, task / heads, task % heads);
    T* const keys = scratch<struct attention_rows, T>((head.width + 1) * head.length);
    T* const p = keys + head.width * head.length;
    head.transpose([&](index_t j) { return head.key(j); }, keys);
    for (index_t k = 0; k < head.queries; ++k) {
      const index_t i = shape.query_positions[head.first_query + k];
      head.probabilities(i, keys, p);
      T* const out = z.row(head.first_query + k) + head.column;
      std::fill_n(out, head.width, T(0));
      for (index_t j = 0; j <= i; ++j) head.add_scaled(head.width, p[j], head.value(j), out);
    }
  });
}

/// Sets d_qkv [rows, 3D] from d_z [queries, D].
template <typename T>
void attention_adjoint(int threads, ragged_shape const& shape, index_t heads, matrix_view<T const> qkv,
                       matrix_view<T const> d_z, matrix_view<T> d_qkv) {
  parallel_for(threads, shape.sequences * heads, qkv.size() * 16, [&](index_t task) {
    const attention_head<T> head(shape, heads, qkv, task / heads, task % heads);
    const index_t length = head.length, width = head.width;
    T* const keys = scratch<struct attention_rows, T>(2 * (width + 1) * length);
    T* const values = keys + width * length;
    T* const p = values + width * length;
    T* const d_p = p + length;
    head.transpose([&](index_t j) { return head.key(j); }, keys);
    head.transpose([&](index_t j) { return head.value(j); }, values);

    const auto d_query = [&](index_t j) { return d_qkv.row(head.first_row + j) + head.column; };
    const auto d_key = [&](index_t j) { return d_query(j) + head.model_width; };
    const auto d_value = [&](index_t j) { return d_query(j) + 2 * head.model_width; };
    for (index_t j = 0; j < length; ++j)
      for (T* gradient : {d_query(j), d_key(j), d_value(j)}) std::fill_n(gradient, width, T(0));

    for (index_t k = 0; k < head.queries; ++k) {
      const index_t i = shape.query_positions[head.first_query + k];
      T const* const d_out = d_z.row(head.first_query + k) + head.column;
      head.probabilities(i, keys, p);
      head.against_all(d_out, values, i + 1, d_p);
      auto scores =
          row_of<T>(i + 1, 0, operand<per_channel<"out">, T>{p}, operand<gradient_of<per_channel<"out">>, T>{d_p},
                    operand<gradient_of<per_channel<"h">>, T>{d_p});
      softmax{}.backward(scores);
      for (index_t j = 0; j <= i; ++j) {
        const T d_score = d_p[j] * head.scale;
        head.add_scaled(width, d_score, head.key(j), d_query(i));
        head.add_scaled(width, d_score, head.query(i), d_key(j));
        head.add_scaled(width, p[j], d_out, d_value(j));
      }
    }
  });
}

}  // namespace trimtab::eigen
