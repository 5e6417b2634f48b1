// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/backend/eigen/target.hpp>
#include <trimtab/backend/eigen/widen.hpp>
#include <trimtab/core/view.hpp>

#include <concepts>
#include <utility>

/// One number from many, the upper half combined with the lower one again and again. The order is the same for every
/// SIMD width.

namespace trimtab::eigen {
inline namespace TRIMTAB_TARGET {

#if !defined(__CUDACC__)  // nvcc 13 loses these packs on their way to the host compiler
/// Lane 0 of v, once the lanes `Half`, `Half` / 2, ... further on are combined with each lane.
template <int Half, typename Packet, typename Combine, int... I>
auto fold_lanes(const Packet& v, Combine combine, std::integer_sequence<int, I...> lanes) {
  if constexpr (Half == 0)
    return v[0];
  else
    return fold_lanes<Half / 2>(combine(v, __builtin_shufflevector(v, v, (I + Half) % int{sizeof...(I)}...)), combine,
                                lanes);
}
#endif

/// Combines `Count` numbers, a power of two; overwrites them.
template <index_t Count, typename T, typename Combine>
T fold(T* numbers, Combine combine) {
#if !defined(__CUDACC__)
  constexpr int lanes = sizeof(packet<T>) / sizeof(T);
  if constexpr (std::floating_point<T> and lanes > 1 and lanes <= Count) {
    packet<T> packets[Count / lanes];
    for (index_t k = 0; k < Count / lanes; ++k) packets[k] = Eigen::internal::ploadu<packet<T>>(numbers + k * lanes);
    for (index_t half = Count / lanes / 2; half > 0; half /= 2)
      for (index_t k = 0; k < half; ++k) packets[k] = combine(packets[k], packets[k + half]);
    return fold_lanes<lanes / 2>(packets[0], combine, std::make_integer_sequence<int, lanes>{});
  } else
#endif
  {
    for (index_t half = Count / 2; half > 0; half /= 2)
      for (index_t k = 0; k < half; ++k) numbers[k] = combine(numbers[k], numbers[k + half]);
    return numbers[0];
  }
}

}  // namespace TRIMTAB_TARGET
}  // namespace trimtab::eigen
