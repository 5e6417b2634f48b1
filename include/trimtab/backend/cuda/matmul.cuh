// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/backend/cuda/memory.hpp>

#include <cuda_bf16.h>

#include <algorithm>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

/// Products with frozen matrices by cuBLASLt, the bias added in the product's epilogue. To cuBLAS a row-major [n, out]
/// is a column-major [out, n], and y = x W + b is yᵀ = Wᵀ xᵀ + b: one copy of W, in its original layout, serves the
/// product and its adjoint. The algorithm is chosen once per number of rows and kept, and its order of sums is fixed:
/// one stream, a workspace of our own, no reduction with atomics. GELU stays a row function: the epilogue has only the
/// tanh form, in an undocumented precision.

namespace trimtab::cuda {

template <typename T>
struct blas_type;
template <>
struct blas_type<float> {
  static constexpr cudaDataType_t data = CUDA_R_32F;
  static constexpr cublasComputeType_t compute = CUBLAS_COMPUTE_32F;
};
template <>
struct blas_type<double> {
  static constexpr cudaDataType_t data = CUDA_R_64F;
  static constexpr cublasComputeType_t compute = CUBLAS_COMPUTE_64F;
};

/// The rows of a product and the alignment of x and y in bytes, which decides how much kernels read at once.
struct product_key {
  index_t rows;
  std::uint32_t alignment;

  friend auto operator<=>(const product_key&, const product_key&) = default;
};

/// One product of given shapes, ready to run: y [n, out] = x [n, in] W (+ b).
template <typename T>
class product {
 public:
  /// `stored_rows` and `stored_cols` are W's as cuBLAS sees it, column-major.
  product(const context& on, cudaDataType_t factors, index_t stored_rows, index_t stored_cols, bool turned,
          const T* bias, const product_key& key) {
    const index_t n = key.rows;
    const index_t out = turned ? stored_cols : stored_rows, in = turned ? stored_rows : stored_cols;
    const cublasComputeType_t compute = factors == CUDA_R_32F and on.with().precision == precision::tf32
                                            ? CUBLAS_COMPUTE_32F_FAST_TF32
                                            : blas_type<T>::compute;
    check(cublasLtMatmulDescCreate(operation_.put(), compute, blas_type<T>::data), "cublasLtMatmulDescCreate");
    set(CUBLASLT_MATMUL_DESC_TRANSA, turned ? CUBLAS_OP_T : CUBLAS_OP_N);
    if (bias) {
      set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
      set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
      set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, blas_type<T>::data);
    }
    layout(weight_, factors, stored_rows, stored_cols);
    layout(x_, factors, in, n);
    layout(y_, blas_type<T>::data, out, n);

    handle<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy> preference;
    check(cublasLtMatmulPreferenceCreate(preference.put()), "cublasLtMatmulPreferenceCreate");
    prefer(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, context::blas_workspace_bytes);
    prefer(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
           static_cast<std::uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
    for (auto where : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
                       CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
      prefer(preference, where, key.alignment);
    int found = 0;
    cublasLtMatmulHeuristicResult_t result{};
    check(cublasLtMatmulAlgoGetHeuristic(on.blas(), operation_.get(), weight_.get(), x_.get(), y_.get(), y_.get(),
                                         preference.get(), 1, &result, &found),
          "cublasLtMatmulAlgoGetHeuristic");
    if (found == 0)
      throw error(error_kind::device, "cuBLAS has no algorithm for the product [" + std::to_string(n) + ", " +
                                          std::to_string(in) + "] x [" + std::to_string(in) + ", " +
                                          std::to_string(out) +
                                          "] in this precision on this device; use another precision");
    algorithm_ = result.algo;
  }

  void run(const context& on, const void* weight, const void* x, T* y) const {
    const T one = 1, none = 0;
    check(cublasLtMatmul(on.blas(), operation_.get(), &one, weight, weight_.get(), x, x_.get(), &none, y, y_.get(), y,
                         y_.get(), &algorithm_, on.blas_workspace(), context::blas_workspace_bytes, on.stream()),
          "cublasLtMatmul");
  }

 private:
  template <typename V>
  void set(cublasLtMatmulDescAttributes_t what, V value) {
    check(cublasLtMatmulDescSetAttribute(operation_.get(), what, &value, sizeof value),
          "cublasLtMatmulDescSetAttribute");
  }
  template <typename Preference, typename V>
  static void prefer(const Preference& preference, cublasLtMatmulPreferenceAttributes_t what, V value) {
    check(cublasLtMatmulPreferenceSetAttribute(preference.get(), what, &value, sizeof value),
          "cublasLtMatmulPreferenceSetAttribute");
  }
  using blas_layout = handle<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;

  static void layout(blas_layout& l, cudaDataType_t type, index_t rows, index_t cols) {
    check(cublasLtMatrixLayoutCreate(l.put(), type, static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(cols),
                                     rows),
          "cublasLtMatrixLayoutCreate");
  }

  handle<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy> operation_;
  blas_layout weight_, x_, y_;
  cublasLtMatmulAlgo_t algorithm_ = {};
};

/// Rounds to bfloat16, for products in that precision.
template <typename T>
__global__ void round_kernel(const T* from, index_t count, __nv_bfloat16* to) {
  const index_t i = static_cast<index_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < count) to[i] = __float2bfloat16(static_cast<float>(from[i]));
}

template <typename T>
void round_to_bf16(const context& on, const T* from, index_t count, __nv_bfloat16* to) {
  constexpr index_t threads = 256;
  if (count > 0)
    launch("round_to_bf16", round_kernel<T>,
           {dim3(static_cast<unsigned>((count + threads - 1) / threads)), dim3(threads)}, on.stream(), from, count, to);
}

/// y = x W + b, frozen.
template <typename T>
class linear {
 public:
  linear() = default;

  linear(const std::shared_ptr<context>& on, matrix_view<const T> weight, matrix_view<const T> bias, bool transposed)
      : stored_rows_(weight.cols), stored_cols_(weight.rows), turned_(transposed), bias_(on, bias.data, bias.size()) {
    if (on->with().precision == precision::bf16) {
      const array<T> exact(on, weight.data, weight.size());
      rounded_ = array<__nv_bfloat16>(on, weight.size());
      round_to_bf16(*on, exact.data(), weight.size(), rounded_.data());
    } else {
      weight_ = array<T>(on, weight.data, weight.size());
    }
  }

  index_t inputs() const { return turned_ ? stored_rows_ : stored_cols_; }
  index_t outputs() const { return turned_ ? stored_cols_ : stored_rows_; }

  void multiply(context& on, matrix_view<const T> x, matrix_view<T> y) const {
    run(on, forward_, turned_, bias_.size() > 0 ? bias_.data() : nullptr, x, y);
  }
  void multiply_backward(context& on, matrix_view<const T> d_y, matrix_view<T> d_x) const {
    run(on, adjoint_, not turned_, nullptr, d_y, d_x);
  }

 private:
  using products = std::map<product_key, product<T>>;

  static std::uint32_t alignment_of(std::uintptr_t address) {
    return static_cast<std::uint32_t>(std::min(address & -address, static_cast<std::uintptr_t>(arena::alignment)));
  }

  void run(context& on, products& known, bool turned, const T* bias, matrix_view<const T> x, matrix_view<T> y) const {
    if (x.rows == 0) return;
    const bool exact = weight_.size() > 0;
    const auto read = exact ? reinterpret_cast<std::uintptr_t>(x.data) : 0;  // rounded factors are aligned scratch
    const product_key key{x.rows, alignment_of(read | reinterpret_cast<std::uintptr_t>(y.data))};
    auto ready = known.find(key);
    if (ready == known.end())
      ready = known
                  .try_emplace(key, on, exact ? blas_type<T>::data : CUDA_R_16BF, stored_rows_, stored_cols_, turned,
                               bias, key)
                  .first;
    if (exact) {
      ready->second.run(on, weight_.data(), x.data, y.data);
    } else {
      auto* const factors = on.scratch<__nv_bfloat16>(scratch_use::factors, static_cast<std::size_t>(x.size()));
      round_to_bf16(on, x.data, x.size(), factors);
      ready->second.run(on, rounded_.data(), factors, y.data);
    }
  }

  index_t stored_rows_ = 0, stored_cols_ = 0;
  bool turned_ = false;
  array<T> weight_, bias_;
  array<__nv_bfloat16> rounded_;
  mutable products forward_ = {}, adjoint_ = {};
};

}  // namespace trimtab::cuda
