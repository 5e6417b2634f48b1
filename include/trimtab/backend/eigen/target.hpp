// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Eigen/Core>

/// The processor that this source is compiled for, as the name of an inline namespace. The CPU backend packs weights by
/// SIMD width, so sources compiled for different processors must not share its types: with the processor in every name
/// they can be linked into one program, and exchanging these types is a link error. A macro, because nothing else can
/// name a namespace.

#if defined(EIGEN_VECTORIZE_AVX512)
#  define TRIMTAB_TARGET avx512
#elif defined(EIGEN_VECTORIZE_AVX2) && defined(EIGEN_VECTORIZE_FMA)
#  define TRIMTAB_TARGET avx2_fma
#elif defined(EIGEN_VECTORIZE_AVX2)
#  define TRIMTAB_TARGET avx2
#elif defined(EIGEN_VECTORIZE_AVX) && defined(EIGEN_VECTORIZE_FMA)
#  define TRIMTAB_TARGET avx_fma
#elif defined(EIGEN_VECTORIZE_AVX)
#  define TRIMTAB_TARGET avx
#elif defined(EIGEN_VECTORIZE_SSE)
#  define TRIMTAB_TARGET sse
#elif defined(EIGEN_VECTORIZE_SVE)
#  define TRIMTAB_TARGET sve
#elif defined(EIGEN_VECTORIZE_NEON)
#  define TRIMTAB_TARGET neon
#elif defined(EIGEN_VECTORIZE)
#  define TRIMTAB_TARGET other
#else
#  define TRIMTAB_TARGET scalar
#endif

namespace trimtab::eigen {
inline namespace TRIMTAB_TARGET {}
}  // namespace trimtab::eigen
