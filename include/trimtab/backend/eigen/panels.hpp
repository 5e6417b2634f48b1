// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/backend/eigen/memory.hpp>
#include <trimtab/backend/eigen/target.hpp>

#include <Eigen/Core>

#include <algorithm>
#include <utility>

/// A frozen matrix W [depth, columns] cut into panels as wide as two SIMD registers, [panel][depth][tile columns], so
/// that a product reads it sequentially. One packing serves both directions: x W uses slices of the panels as they are,
/// dy Wᵀ transposes each slice in registers, which costs a few percent of the time and saves a second copy of the
/// weights. Packets are Eigen's, so they exist for every instruction set and every scalar.

namespace trimtab::eigen {
inline namespace TRIMTAB_TARGET {

template <typename T>
using packet = typename Eigen::internal::packet_traits<T>::type;

/// How a product is tiled: numbers of one packet, columns of a panel, rows of a register block, depth of a slice. A
/// slice, the next one and the rows that use them fit in the L2 cache.
template <typename T>
struct tile {
  static constexpr int lanes = Eigen::internal::unpacket_traits<packet<T>>::size;
  static constexpr int columns = 2 * lanes;
  static constexpr int registers = EIGEN_ARCH_DEFAULT_NUMBER_OF_REGISTERS;
  static constexpr int rows = registers >= 32 ? 13 : 6;  // two accumulators a row, two packets of the panel, one of x
  static constexpr index_t depth = 768;
};

/// Both extents are padded with zeros to whole tiles.
template <typename T>
class panels {
 public:
  panels() = default;

  template <typename Element>
  panels(index_t depth, index_t columns, Element element)
      : depth_(depth),
        columns_(columns),
        padded_depth_(whole_tiles(depth) * tile<T>::columns),
        numbers_(whole_tiles(columns) * padded_depth_ * tile<T>::columns) {
    for (index_t p = 0; p < whole_tiles(columns); ++p)
      for (index_t k = 0; k < depth; ++k)
        for (index_t j = 0; j < std::min<index_t>(tile<T>::columns, columns - p * tile<T>::columns); ++j)
          numbers_.data()[(p * padded_depth_ + k) * tile<T>::columns + j] = element(k, p * tile<T>::columns + j);
  }

  index_t depth() const { return depth_; }
  index_t columns() const { return columns_; }
  /// Panel p from row k on.
  const T* at(index_t p, index_t k) const { return numbers_.data() + (p * padded_depth_ + k) * tile<T>::columns; }

  static index_t whole_tiles(index_t extent) { return (extent + tile<T>::columns - 1) / tile<T>::columns; }

 private:
  index_t depth_ = 0, columns_ = 0, padded_depth_ = 0;
  array<T> numbers_;
};

/// A slice in memory: squares of as many rows as a tile has columns, `distance` bytes apart.
struct slice_place {
  const char* first;
  index_t distance;

  const char* square(index_t n) const { return first + n * distance; }
};

/// Prefetches the cache line at `p`.
inline void fetch(const char* p) { __builtin_prefetch(p, 0, 3); }

/// Transposes n vectors of n numbers: interleaves the first half of the vectors with the second, log2(n) times.
template <typename Packet, int... I>
void transpose(Packet (&v)[sizeof...(I)], std::integer_sequence<int, I...>) {
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
#  pragma GCC unroll 4
    for (int round = 1; round < n; round *= 2) {
      Packet mixed[n];
#  pragma GCC unroll 8
      for (int i = 0; i < n / 2; ++i) {
        mixed[2 * i] = __builtin_shufflevector(v[i], v[i + n / 2], (I % 2 * n + I / 2)...);
        mixed[2 * i + 1] = __builtin_shufflevector(v[i], v[i + n / 2], (I % 2 * n + (I + n) / 2)...);
      }
#  pragma GCC unroll 16
      for (int i = 0; i < n; ++i) v[i] = mixed[i];
    }
  }
#endif
}

/// W as the product x W reads it.
template <typename T>
struct as_packed {
  static constexpr index_t part_rows = 10 * tile<T>::rows;
  const panels<T>& w;

  index_t depth() const { return w.depth(); }
  index_t columns() const { return w.columns(); }
  slice_place place(index_t p, index_t k) const {
    return {reinterpret_cast<const char*>(w.at(p, k)), index_t{tile<T>::columns} * tile<T>::columns * sizeof(T)};
  }
  static constexpr index_t slice_depth(index_t) { return tile<T>::depth; }
  /// The slice of panel p from depth k on, [depth][tile columns].
  const T* slice(index_t p, index_t k, index_t, T*, slice_place, bool) const { return w.at(p, k); }
};

/// Wᵀ as the product dy Wᵀ reads it: its panel p is the p-th square of every panel of W, transposed.
template <typename T>
struct turned_over {
  static constexpr index_t part_rows = 20 * tile<T>::rows;  // that share the work of transposing
  const panels<T>& w;

  index_t depth() const { return w.columns(); }
  index_t columns() const { return w.depth(); }
  slice_place place(index_t p, index_t k) const {
    constexpr int columns = tile<T>::columns;
    const char* const first = reinterpret_cast<const char*>(w.at(k / columns, p * columns));
    return {first, reinterpret_cast<const char*>(w.at(k / columns + 1, p * columns)) - first};
  }

  /// Products of few rows wait for memory: short slices read it nearly sequentially, so it is prefetched.
  static constexpr index_t slice_depth(index_t rows) {
    return rows <= 2 * tile<T>::rows ? 4 * tile<T>::columns : tile<T>::depth;
  }
  /// The slice, transposed into `room`. If too `few` rows use it to prefetch the next slice while they multiply, that
  /// is done here; otherwise it would delay the loads of this one.
  const T* slice(index_t p, index_t k, index_t depth, T* room, slice_place next, bool few) const {
    for (index_t from = 0; from < depth; from += tile<T>::columns) {
      const T* const square = w.at((k + from) / tile<T>::columns, p * tile<T>::columns);
      T* const turned = room + from * tile<T>::columns;
      if (few)
        turn_over(square, turned, [coming = next.square(from / tile<T>::columns)]() mutable {
          fetch(std::exchange(coming, coming + sizeof(packet<T>)));
        });
      else
        turn_over(square, turned, [] {});
    }
    return room;
  }

 private:
  /// `loading()` is called with each packet.
  template <typename F>
  static void turn_over(const T* square, T* turned, F loading) {
    using namespace Eigen::internal;
    constexpr int lanes = tile<T>::lanes, columns = tile<T>::columns;
    for (int row = 0; row < columns; row += lanes)
      for (int col = 0; col < columns; col += lanes) {
        packet<T> block[lanes];
#pragma GCC unroll 16
        for (int i = 0; i < lanes; ++i) {
          loading();
          block[i] = ploadu<packet<T>>(square + (row + i) * columns + col);
        }
        transpose(block, std::make_integer_sequence<int, lanes>{});
#pragma GCC unroll 16
        for (int i = 0; i < lanes; ++i) pstoreu(turned + (col + i) * columns + row, block[i]);
      }
  }
};

}  // namespace TRIMTAB_TARGET
}  // namespace trimtab::eigen
