// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Eigen/Core>

/// For which processor this source is compiled, as the name of an inline namespace. The CPU backend packs weights as wide
/// as a SIMD register, so sources of one program that are compiled for different processors must not share its types:
/// with the processor in every name they link side by side, and what one hands to the other does not link at all. A
/// macro, because a namespace takes its name from nothing else.

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
