// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/backend/eigen/attention.hpp>
#include <trimtab/backend/eigen/available_threads.hpp>
#include <trimtab/backend/eigen/cache.hpp>
#include <trimtab/backend/eigen/matmul.hpp>
#include <trimtab/backend/eigen/memory.hpp>
#include <trimtab/backend/eigen/rows.hpp>
#include <trimtab/core/backend.hpp>
#include <trimtab/core/error.hpp>
#include <trimtab/core/shared_weights.hpp>
#include <trimtab/core/stored.hpp>
#include <trimtab/core/stored_matrix.hpp>

#include <algorithm>
#include <concepts>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

/// The CPU backend: Eigen's packets and a team of threads. Results are the same bits for any number of threads.

namespace trimtab {
inline namespace TRIMTAB_TARGET {

/// `Weights` says how frozen matrices are kept: `stored::as_in_file`, `float`, `stored::float16` or `stored::bfloat16`;
/// an argument of the constructor may say otherwise. Products widen what is narrower than T in registers.
template <typename T, typename Weights = stored::as_in_file>
class eigen_backend {
  static_assert(std::same_as<Weights, stored::as_in_file> or std::same_as<Weights, float> or
                    std::same_as<Weights, stored::float16> or std::same_as<Weights, stored::bfloat16>,
                "the weights of an eigen_backend are stored::as_in_file, float, stored::float16 or stored::bfloat16");

 public:
  using scalar = T;
  using memory = eigen::array<T>;
  using indices = std::vector<int>;
  using linear = eigen::linear<T>;
  using table = eigen::table<T>;
  using cache = eigen::cache<T>;
  using one_row = eigen::one_row<T>;

  /// As many threads as `eigen::available_threads()`.
  eigen_backend() : eigen_backend(eigen::available_threads()) {}
  /// Matrices that are packed out of files are put into `shared` memory, if any. Throws `bad_argument` for less than
  /// one thread.
  explicit eigen_backend(int threads, weight_type weights = stored::type_of<Weights>,
                         std::shared_ptr<shared_weights> shared = nullptr)
      : threads_(threads), weights_(weights), shared_(std::move(shared)) {
    if (threads < 1)
      throw error(error_kind::bad_argument,
                  "the number of threads is " + std::to_string(threads) + "; it must be at least 1");
  }

  int threads() const { return threads_; }
  weight_type weights() const { return weights_; }

  memory allocate(index_t count) const { return memory(count); }
  memory upload(matrix_view<const T> host) const {
    memory m(host.size());
    std::copy_n(host.data, host.size(), m.data());
    return m;
  }
  indices upload(std::vector<int> host) const { return host; }
  host_matrix<T> download(matrix_view<const T> m) const {
    host_matrix<T> host(m.rows, m.cols);
    download(m, host.view());
    return host;
  }
  void download(matrix_view<const T> m, matrix_view<T> host) const { copy(m, host); }
  void copy(matrix_view<const T> from, matrix_view<T> to) const { std::copy_n(from.data, from.size(), to.data); }
  void fill(matrix_view<T> m, T value) const { std::fill_n(m.data, m.size(), value); }

  linear prepare(matrix_view<const T> weight, matrix_view<const T> bias, bool transposed = false) const {
    return linear(threads_, weight, bias, transposed, weights_ == weight_type::float32);
  }
  std::optional<linear> prepare(const stored_matrix& weight, matrix_view<const T> bias) const {
    const bool wide = weights_ == weight_type::float32;
    if (weights_ != weight_type::as_in_file and not(wide and std::same_as<T, float>)) return std::nullopt;
    return linear::from_file(threads_, weight, bias, wide, shared_.get());
  }
  void copy_rows(const linear& w, index_t first, matrix_view<T> rows) const {
    w.visit([&](const auto& packed) { packed.copy_rows(threads_, first, rows); });
  }
  void multiply(const linear& w, matrix_view<const T> x, matrix_view<T> y) const { eigen::multiply(threads_, w, x, y); }
  void multiply_backward(const linear& w, matrix_view<const T> d_y, matrix_view<T> d_x) const {
    eigen::multiply_backward(threads_, w, d_y, d_x);
  }

  table make_table(matrix_view<const T> rows, const linear* same) const {
    return same != nullptr ? table(*same) : table(prepare(rows, {}, true));
  }
  void look_up(const table& rows, const int* ids, matrix_view<T> x) const { rows.look_up(threads_, ids, x); }

  void attention(const ragged_shape& shape, index_t heads, T scale, matrix_view<const T> qkv, matrix_view<T> z) const {
    eigen::attention(threads_, shape, heads, scale, qkv, z);
  }
  void attention_backward(const ragged_shape& shape, index_t heads, T scale, matrix_view<const T> qkv,
                          matrix_view<const T> d_z, matrix_view<T> d_qkv) const {
    eigen::attention_backward(threads_, shape, heads, scale, qkv, d_z, d_qkv);
  }

  cache make_cache(index_t slots, index_t heads, index_t width, index_t context) const {
    return cache(slots, heads, width, context);
  }
  void attention(const ragged_shape& shape, index_t heads, T scale, matrix_view<const T> qkv, cache& known,
                 matrix_view<T> z) const {
    eigen::attention(threads_, shape, heads, scale, qkv, known, z);
  }

  template <typename F, typename... Operand>
  void forward(const F& f, index_t rows, index_t width, Operand... operands) const {
    row_by_row(rows, width, [&](const one_row& on) { on.forward(f, rows, width, operands...); });
  }
  template <typename F, typename... Operand>
  void backward(const F& f, index_t rows, index_t width, Operand... operands) const {
    eigen::parallel_for(threads_, rows, rows * width, [&](index_t i) {
      auto r = eigen::row_of<T>(width, i, operands...);
      f.backward(r);
    });
  }

  /// values[i] = term.value(row i).
  template <typename Term, typename... Operand>
  void values(const Term& term, index_t rows, index_t width, T* values, Operand... operands) const {
    eigen::parallel_for(threads_, rows, rows * width, [&](index_t i) {
      auto r = eigen::row_of<T>(width, i, operands...);
      values[i] = term.value(r);
    });
  }
  /// Adds the gradient of term.value(row i), times the row's `d_value`, to `d_h`.
  template <typename Term, typename... Operand>
  void gradients(const Term& term, index_t rows, index_t width, Operand... operands) const {
    eigen::parallel_for(threads_, rows, rows * width, [&](index_t i) {
      auto r = eigen::row_of<T>(width, i, operands...);
      term.gradient(r);
    });
  }

  template <intervention_policy P>
  void intervene(const P& policy, matrix_view<const T> h, matrix_view<T> out, const T* theta,
                 const bound_rows<T>& rows) const {
    row_by_row(h.rows, h.cols, [&](const one_row& on) { on.intervene(policy, h, out, theta, rows); });
  }
  template <intervention_policy P>
  void intervene_backward(const P& policy, matrix_view<const T> h, matrix_view<const T> d_out, matrix_view<T> d_h,
                          const T* theta, T* d_theta, T* partial, const bound_rows<T>& rows) const {
    eigen::intervene_backward(threads_, policy, h, d_out, d_h, theta, d_theta, partial, rows);
  }

  /// f(one_row) for each of `rows` rows.
  template <typename F>
  void row_by_row(index_t rows, index_t width, const F& f) const {
    eigen::parallel_for(threads_, rows, rows * width, [&f](index_t i) { f(one_row{i}); });
  }

 private:
  int threads_;
  weight_type weights_;
  std::shared_ptr<shared_weights> shared_;
};

static_assert(tensor_backend<eigen_backend<float>>);

}  // namespace TRIMTAB_TARGET
}  // namespace trimtab
