// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/backend/eigen/target.hpp>

#include <Eigen/Core>

#include <algorithm>
#include <utility>

/// A square of numbers is transposed in registers.

namespace trimtab::eigen {
inline namespace TRIMTAB_TARGET {

/// Transposes n vectors of n numbers. Squares as wide as 16 bytes first, inside the 16-byte parts of the vectors, then
/// whole parts: instructions that move single numbers from part to part take two to three times as long.
template <typename Packet, int... I>
[[gnu::always_inline]] inline void transpose(Packet (&v)[sizeof...(I)], std::integer_sequence<int, I...>) {
  constexpr int n = sizeof...(I);
#if defined(__CUDACC__)  // nvcc 13 loses the packs below on their way to the host compiler
  if constexpr (n > 1) {
    Eigen::internal::PacketBlock<Packet, n> block;
    std::copy_n(v, n, block.packet);
    Eigen::internal::ptranspose(block);
    std::copy_n(block.packet, n, v);
  }
#else
  if constexpr (n > 1) {
    constexpr int parts = std::max(1, static_cast<int>(sizeof(Packet)) / 16), part = n / parts;
    // Squares of numbers: interleaves the first half of the vectors with the second, part by part.
#  pragma GCC unroll 16
    for (int from = 0; from < n; from += part)
#  pragma GCC unroll 4
      for (int round = 1; round < part; round *= 2) {
        Packet mixed[part];
#  pragma GCC unroll 16
        for (int i = 0; i < part; i += 2) {
          const Packet &a = v[from + i / 2], &b = v[from + (i + part) / 2];
          mixed[i] = __builtin_shufflevector(a, b, (I % 2 * n + I / part * part + I % part / 2)...);
          mixed[i + 1] = __builtin_shufflevector(a, b, (I % 2 * n + I / part * part + (I % part + part) / 2)...);
        }
#  pragma GCC unroll 16
        for (int i = 0; i < part; ++i) v[from + i] = mixed[i];
      }
      // Squares of parts: takes the even parts of two neighbours, and the odd ones.
#  pragma GCC unroll 16
    for (int from = 0; from < part; ++from)
#  pragma GCC unroll 4
      for (int round = 1; round < parts; round *= 2) {
        Packet mixed[parts];
#  pragma GCC unroll 16
        for (int i = 0; i < parts; i += 2) {
          const Packet &a = v[from + i * part], &b = v[from + (i + 1) * part];
          mixed[i / 2] = __builtin_shufflevector(a, b, (I / part * 2 * part + I % part)...);
          mixed[(i + parts) / 2] = __builtin_shufflevector(a, b, ((I / part * 2 + 1) * part + I % part)...);
        }
#  pragma GCC unroll 16
        for (int i = 0; i < parts; ++i) v[from + i * part] = mixed[i];
      }
  }
#endif
}

}  // namespace TRIMTAB_TARGET
}  // namespace trimtab::eigen
