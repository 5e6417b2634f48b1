// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/backend/eigen/target.hpp>
#include <trimtab/core/stored.hpp>

#include <Eigen/Core>

#include <concepts>
#include <cstdint>
#include <cstring>

#if defined(__F16C__)
#  include <immintrin.h>
#endif

/// Loads of packets from memory that holds narrower numbers, which are widened in registers. They are exact, so a
/// product has the same bits whichever type its weights are stored in.

namespace trimtab::eigen {
inline namespace TRIMTAB_TARGET {

template <typename T>
using packet = typename Eigen::internal::packet_traits<T>::type;

namespace bits_of {

// Vectors as long as a packet of float. They are no template's, because g++ drops such attributes of dependent types.
typedef std::uint16_t narrow_bits __attribute__((vector_size(sizeof(packet<float>) / 2)));
typedef std::uint32_t wide_bits __attribute__((vector_size(sizeof(packet<float>))));
typedef float wide_floats __attribute__((vector_size(sizeof(packet<float>))));

template <typename Stored>
narrow_bits bits_at(const Stored* from) {
  narrow_bits bits;
  std::memcpy(&bits, from, sizeof bits);
  return bits;
}

inline wide_bits widened(const stored::bfloat16* from) {
  return __builtin_convertvector(bits_at(from), wide_bits) << 16;
}
/// By shifts and selections, which every instruction set has.
inline wide_bits widened(const stored::float16* from) {
  const wide_bits bits = __builtin_convertvector(bits_at(from), wide_bits);
  const wide_bits magnitude = (bits & 0x7fffu) << 13;
  // A subnormal binary16 is 2^-14 times its fraction: 2^-14 (1 + fraction) - 2^-14.
  const auto one_more = reinterpret_cast<wide_floats>(magnitude + (113u << 23));
  const auto subnormal = reinterpret_cast<wide_bits>(one_more - 0x1p-14f), normal = magnitude + (112u << 23);
  return ((bits & 0x7c00u) == 0 ? subnormal : normal) | (bits & 0x8000u) << 16;
}

}  // namespace bits_of

/// A packet of T from as many numbers at `from`. Numbers that are not finite are not meant to be there.
template <typename T, typename Stored>
packet<T> load(const Stored* from) {
  if constexpr (std::same_as<T, Stored>) {
    return Eigen::internal::ploadu<packet<T>>(from);
  } else if constexpr (sizeof(packet<T>) == sizeof(T)) {
    return static_cast<T>(*from);
  } else {
#if defined(__F16C__)  // Eigen's own packets of 16-bit numbers differ from version to version
    if constexpr (std::same_as<Stored, stored::float16> and sizeof(packet<T>) == 32)
      return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
#  if defined(__AVX512F__)
    if constexpr (std::same_as<Stored, stored::float16> and sizeof(packet<T>) == 64)
      return _mm512_maskz_cvtph_ps(0xffff, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
#  endif
#endif
    return reinterpret_cast<packet<T>>(bits_of::widened(from));
  }
}

}  // namespace TRIMTAB_TARGET
}  // namespace trimtab::eigen
