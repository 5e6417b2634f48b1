// SPDX-License-Identifier: Apache-2.0
#pragma once

// The part of cuBLASLt that the library uses, in plain loops, for the emulated device (see cuda_runtime.h beside this).

#include "cuda_bf16.h"
#include "cuda_runtime.h"

#include <cstdint>

enum cublasStatus_t { CUBLAS_STATUS_SUCCESS, CUBLAS_STATUS_INVALID_VALUE };
enum cudaDataType_t { CUDA_R_32F, CUDA_R_64F, CUDA_R_16BF };
enum cublasComputeType_t { CUBLAS_COMPUTE_32F, CUBLAS_COMPUTE_64F, CUBLAS_COMPUTE_32F_FAST_TF32 };
enum cublasOperation_t { CUBLAS_OP_N, CUBLAS_OP_T };
enum cublasLtEpilogue_t { CUBLASLT_EPILOGUE_DEFAULT, CUBLASLT_EPILOGUE_BIAS };
enum cublasLtMatmulDescAttributes_t {
  CUBLASLT_MATMUL_DESC_TRANSA,
  CUBLASLT_MATMUL_DESC_EPILOGUE,
  CUBLASLT_MATMUL_DESC_BIAS_POINTER,
  CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE
};
enum cublasLtMatmulPreferenceAttributes_t {
  CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
  CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
  CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
  CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
  CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES
};
enum cublasLtReductionScheme_t : unsigned {
  CUBLASLT_REDUCTION_SCHEME_NONE = 0,
  CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE = 2
};

struct emulated_operation {
  cublasComputeType_t compute;
  cublasOperation_t turn_a = CUBLAS_OP_N;
  cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  const void* bias = nullptr;
};
struct emulated_layout {
  cudaDataType_t type;
  std::uint64_t rows, cols;
  std::int64_t stride;
};
struct emulated_nothing {};
struct cublasLtMatmulAlgo_t {
  std::uint32_t alignment_b = 256, alignment_d = 256;  // the alignment that it assumes, in bytes
};
using cublasLtHandle_t = emulated_nothing*;
using cublasLtMatmulDesc_t = emulated_operation*;
using cublasLtMatrixLayout_t = emulated_layout*;
using cublasLtMatmulPreference_t = cublasLtMatmulAlgo_t*;
struct cublasLtMatmulHeuristicResult_t {
  cublasLtMatmulAlgo_t algo;
};

inline const char* cublasLtGetStatusName(cublasStatus_t) { return "CUBLAS_STATUS_INVALID_VALUE"; }
inline const char* cublasLtGetStatusString(cublasStatus_t) { return "an invalid value"; }
inline cublasStatus_t cublasLtCreate(cublasLtHandle_t* h) {
  *h = new emulated_nothing;
  return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t cublasLtDestroy(cublasLtHandle_t h) {
  delete h;
  return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* d, cublasComputeType_t compute, cudaDataType_t) {
  *d = new emulated_operation{compute};
  return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t d) {
  delete d;
  return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t d, cublasLtMatmulDescAttributes_t what,
                                                     const void* value, std::size_t) {
  if (what == CUBLASLT_MATMUL_DESC_TRANSA) std::memcpy(&d->turn_a, value, sizeof d->turn_a);
  if (what == CUBLASLT_MATMUL_DESC_EPILOGUE) std::memcpy(&d->epilogue, value, sizeof d->epilogue);
  if (what == CUBLASLT_MATMUL_DESC_BIAS_POINTER) std::memcpy(&d->bias, value, sizeof d->bias);
  return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* l, cudaDataType_t type, std::uint64_t rows,
                                                 std::uint64_t cols, std::int64_t stride) {
  *l = new emulated_layout{type, rows, cols, stride};
  return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t l) {
  delete l;
  return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* p) {
  *p = new cublasLtMatmulAlgo_t;
  return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t p) {
  delete p;
  return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t p,
                                                           cublasLtMatmulPreferenceAttributes_t what, const void* value,
                                                           std::size_t) {
  if (what == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES) std::memcpy(&p->alignment_b, value, sizeof p->alignment_b);
  if (what == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES) std::memcpy(&p->alignment_d, value, sizeof p->alignment_d);
  return CUBLAS_STATUS_SUCCESS;
}

inline cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t op,
                                                     cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                                     cublasLtMatrixLayout_t, cublasLtMatrixLayout_t d,
                                                     cublasLtMatmulPreference_t preference, int,
                                                     cublasLtMatmulHeuristicResult_t* result, int* found) {
  result->algo = *preference;
  const bool turned = op->turn_a == CUBLAS_OP_T;
  const bool fits = (turned ? a->cols : a->rows) == d->rows and (turned ? a->rows : a->cols) == b->rows and
                    b->cols == d->cols and a->type == b->type;
  *found = fits ? 1 : 0;
  return fits ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

namespace trimtab::cuda::emulated {

inline double read(const void* memory, cudaDataType_t type, std::size_t k, bool tf32) {
  if (type == CUDA_R_64F) return static_cast<const double*>(memory)[k];
  if (type == CUDA_R_16BF) return static_cast<double>(__bfloat162float(static_cast<const __nv_bfloat16*>(memory)[k]));
  const float x = static_cast<const float*>(memory)[k];
  if (not tf32) return static_cast<double>(x);
  return static_cast<double>(std::bit_cast<float>((std::bit_cast<std::uint32_t>(x) + 0x1000) & 0xffffe000));
}

}  // namespace trimtab::cuda::emulated

inline cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t op, const void*, const void* a,
                                     cublasLtMatrixLayout_t a_shape, const void* b, cublasLtMatrixLayout_t b_shape,
                                     const void*, const void*, cublasLtMatrixLayout_t, void* d,
                                     cublasLtMatrixLayout_t d_shape, const cublasLtMatmulAlgo_t* algorithm, void*,
                                     std::size_t, cudaStream_t stream) {
  using namespace trimtab::cuda::emulated;
  const auto starts_at = [](const void* memory, std::uint32_t multiple) {
    return reinterpret_cast<std::uintptr_t>(memory) % multiple == 0;
  };
  if (not starts_at(b, algorithm->alignment_b) or not starts_at(d, algorithm->alignment_d) or not is_here(stream))
    return CUBLAS_STATUS_INVALID_VALUE;
  perform([=, operation = *op, as = *a_shape, bs = *b_shape, ds = *d_shape] {
    const bool tf32 = operation.compute == CUBLAS_COMPUTE_32F_FAST_TF32, turned = operation.turn_a == CUBLAS_OP_T;
    const auto at = [](emulated_layout const& l, std::uint64_t i, std::uint64_t j) {
      return static_cast<std::size_t>(i + j * static_cast<std::uint64_t>(l.stride));
    };
    for (std::uint64_t j = 0; j < ds.cols; ++j)
      for (std::uint64_t i = 0; i < ds.rows; ++i) {
        double sum = operation.epilogue == CUBLASLT_EPILOGUE_BIAS ? read(operation.bias, ds.type, i, false) : 0;
        for (std::uint64_t k = 0; k < bs.rows; ++k)
          sum += read(a, as.type, turned ? at(as, k, i) : at(as, i, k), tf32) * read(b, bs.type, at(bs, k, j), tf32);
        if (ds.type == CUDA_R_64F)
          static_cast<double*>(d)[at(ds, i, j)] = sum;
        else
          static_cast<float*>(d)[at(ds, i, j)] = static_cast<float>(sum);
      }
  });
  return CUBLAS_STATUS_SUCCESS;
}
