// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/backend/cuda/attention.cuh>
#include <trimtab/backend/cuda/cache.hpp>
#include <trimtab/backend/cuda/intervene.cuh>
#include <trimtab/backend/cuda/matmul.cuh>
#include <trimtab/backend/cuda/memory.hpp>
#include <trimtab/backend/cuda/recording.hpp>
#include <trimtab/backend/cuda/rows.cuh>
#include <trimtab/core/backend.hpp>
#include <trimtab/core/error.hpp>
#include <trimtab/row/residual.hpp>

#include <memory>
#include <type_traits>
#include <vector>

/// The GPU backend, for sources that nvcc compiles. Copies share one device, one stream and one arena; calls return
/// before the device is done, and `download` waits. Every result has the same bits in every run. One host thread at a
/// time may use a backend and its copies.

namespace trimtab {

template <typename T>
class cuda_backend {
 public:
  using scalar = T;
  using memory = cuda::array<T>;
  using indices = cuda::array<int>;
  using linear = cuda::linear<T>;
  struct table {
    memory rows;
    index_t count;
  };
  using cache = cuda::cache<T>;

  /// Throws `device` where there is no device, `bad_argument` for a precision that the scalar does not have.
  cuda_backend() : cuda_backend(cuda::options{}) {}
  explicit cuda_backend(const cuda::options& options) : context_(std::make_shared<cuda::context>(options)) {
    if (std::is_same_v<T, double> and options.precision != cuda::precision::full)
      throw error(error_kind::bad_argument, "tf32 and bf16 are precisions of float, not of double");
  }

  cuda::context& context() const { return *context_; }
  cudaStream_t stream() const { return context_->stream(); }

  memory allocate(index_t count) const { return memory(context_, count); }
  memory upload(matrix_view<const T> host) const { return memory(context_, host.data, host.size()); }
  indices upload(const std::vector<int>& host) const {
    return indices(context_, host.data(), static_cast<index_t>(host.size()));
  }
  host_matrix<T> download(matrix_view<const T> m) const {
    host_matrix<T> host(m.rows, m.cols);
    download(m, host.view());
    return host;
  }
  void download(matrix_view<const T> m, matrix_view<T> host) const {
    if (not m.empty())
      cuda::check(cudaMemcpyAsync(host.data, m.data, bytes(m), cudaMemcpyDeviceToHost, context_->stream()),
                  "cudaMemcpyAsync");
    context_->synchronize();
  }
  void copy(matrix_view<const T> from, matrix_view<T> to) const {
    if (not from.empty())
      cuda::check(cudaMemcpyAsync(to.data, from.data, bytes(from), cudaMemcpyDeviceToDevice, context_->stream()),
                  "cudaMemcpyAsync");
  }
  void fill(matrix_view<T> m, T value) const {
    if (m.empty()) return;
    if (value == T(0))
      cuda::check(cudaMemsetAsync(m.data, 0, bytes(m), context_->stream()), "cudaMemsetAsync");
    else
      cuda::fill(*context_, m.data, m.size(), value);
  }

  /// Records the work of f() as a graph; f must not wait for a result or allocate memory.
  template <typename F>
  cuda::recording record(F&& f) const {
    return cuda::recording(context_, f);
  }

  /// Weights are kept in the precision of products, which are rounded there if at all.
  weight_type weights() const { return weight_type::as_in_file; }
  linear prepare(matrix_view<const T> weight, matrix_view<const T> bias, bool transposed = false) const {
    return linear(context_, weight, bias, transposed);
  }
  void multiply(const linear& w, matrix_view<const T> x, matrix_view<T> y) const { w.multiply(*context_, x, y); }
  void multiply_backward(const linear& w, matrix_view<const T> d_y, matrix_view<T> d_x) const {
    w.multiply_backward(*context_, d_y, d_x);
  }

  table make_table(matrix_view<const T> rows, const linear*) const { return {upload(rows), rows.rows}; }
  void look_up(const table& from, const int* ids, matrix_view<T> x) const {
    forward(copy_row{}, x.rows, x.cols, selected_row(name::h, from.rows.view(from.count, x.cols), ids),
            each_row(name::out, x));
  }

  void attention(const ragged_shape& shape, index_t heads, T scale, matrix_view<const T> qkv, matrix_view<T> z) const {
    cuda::attention(*context_, shape, heads, scale, qkv, z);
  }
  void attention_backward(const ragged_shape& shape, index_t heads, T scale, matrix_view<const T> qkv,
                          matrix_view<const T> d_z, matrix_view<T> d_qkv) const {
    cuda::attention_backward(*context_, shape, heads, scale, qkv, d_z, d_qkv);
  }

  cache make_cache(index_t slots, index_t heads, index_t width, index_t context) const {
    return cache(context_, slots, heads * width, context);
  }
  void attention(const ragged_shape& shape, index_t heads, T scale, matrix_view<const T> qkv, cache& known,
                 matrix_view<T> z) const {
    cuda::attention(*context_, shape, heads, scale, qkv, known, z);
  }

  template <typename F, typename... Operand>
  void forward(const F& f, index_t rows, index_t width, Operand... operands) const {
    cuda::run_rows<T, crosses_channels_of<F>()>(*context_, "forward", cuda::forward_task<F>{f}, rows, width,
                                                cuda::read_only<cuda::inputs_of_forward>(operands)...);
  }
  template <typename F, typename... Operand>
  void backward(const F& f, index_t rows, index_t width, Operand... operands) const {
    cuda::run_rows<T, crosses_channels_of<F>()>(*context_, "backward", cuda::backward_task<F>{f}, rows, width,
                                                cuda::read_only<cuda::inputs_of_backward>(operands)...);
  }

  /// values[i] = term.value(row i).
  template <typename Term, typename... Operand>
  void values(const Term& term, index_t rows, index_t width, T* values, Operand... operands) const {
    cuda::run_rows<T, crosses_channels_of<Term>()>(*context_, "values", cuda::value_task<Term, T>{term, values}, rows,
                                                   width, cuda::read_only<cuda::inputs_of_forward>(operands)...);
  }
  /// Adds the gradient of term.value(row i), times the row's `d_value`, to `d_h`.
  template <typename Term, typename... Operand>
  void gradients(const Term& term, index_t rows, index_t width, Operand... operands) const {
    cuda::run_rows<T, crosses_channels_of<Term>()>(*context_, "gradients", cuda::gradient_task<Term>{term}, rows, width,
                                                   cuda::read_only<cuda::inputs_of_gradients>(operands)...);
  }

  template <intervention_policy P>
  void intervene(const P& policy, matrix_view<const T> h, matrix_view<T> out, const T* theta,
                 const bound_rows<T>& rows) const {
    cuda::intervene(*context_, policy, h, out, theta, rows);
  }
  template <intervention_policy P>
  void intervene_backward(const P& policy, matrix_view<const T> h, matrix_view<const T> d_out, matrix_view<T> d_h,
                          const T* theta, T* d_theta, T* partial, const bound_rows<T>& rows) const {
    cuda::intervene_backward(*context_, policy, h, d_out, d_h, theta, d_theta, partial, rows);
  }

 private:
  static std::size_t bytes(matrix_view<const T> m) { return static_cast<std::size_t>(m.size()) * sizeof(T); }

  std::shared_ptr<cuda::context> context_;
};

static_assert(tensor_backend<cuda_backend<float>>);

}  // namespace trimtab
