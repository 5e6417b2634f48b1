// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/backend/eigen/fetch.hpp>
#include <trimtab/backend/eigen/memory.hpp>
#include <trimtab/backend/eigen/rows.hpp>
#include <trimtab/backend/eigen/target.hpp>
#include <trimtab/backend/eigen/transpose.hpp>
#include <trimtab/backend/eigen/widen.hpp>

#include <Eigen/Core>

#include <algorithm>
#include <concepts>
#include <memory>
#include <utility>

/// A frozen matrix W [depth, columns] cut into panels as wide as two SIMD registers, [panel][depth][tile columns], so
/// that a product reads it sequentially. One packing serves both directions: x W uses slices of the panels as they are,
/// dy Wᵀ transposes each slice in registers, which costs a few percent of the time and saves a second copy of the
/// weights. Packets are Eigen's, so they exist for every instruction set and every scalar. The panels may hold narrower
/// numbers than the product computes with, for half the memory and half the time where a product waits for memory.

namespace trimtab::eigen {
inline namespace TRIMTAB_TARGET {

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

/// W for products in T, with its numbers in memory as `Stored`. Both extents are padded with zeros to whole tiles.
template <typename T, typename Stored = T>
class panels {
 public:
  /// Room for a matrix, or for one in `memory` of `bytes(depth, columns)`: whoever makes it sets every number, the
  /// padding as well.
  panels(index_t depth, index_t columns, const std::shared_ptr<void>& memory = nullptr)
      : depth_(depth),
        columns_(columns),
        padded_depth_(whole_tiles(depth_) * width),
        numbers_(memory ? array<Stored>::at(memory, count(depth, columns))
                        : array<Stored>::uninitialized(count(depth, columns))) {}
  /// W is `weight` [depth, columns] or, `transposed`, its transpose; `Stored` holds its numbers exactly.
  panels(int threads, matrix_view<const T> weight, bool transposed)
      : depth_(transposed ? weight.cols : weight.rows),
        columns_(transposed ? weight.rows : weight.cols),
        padded_depth_(whole_tiles(depth_) * width),
        numbers_(whole_tiles(columns_) * padded_depth_ * width) {
    parallel_for(threads, whole_tiles(columns_), numbers_.size(), [&](index_t p) {
      const index_t first = p * width, count = std::min<index_t>(width, columns_ - first);
      Stored* const panel = numbers_.data() + p * padded_depth_ * width;
      // Transposed, in squares: a column of a large matrix has every number in another line of the cache.
      for (index_t from = 0; from < depth_; from += width)
        for (index_t j = 0; transposed and j < count; ++j)
          for (index_t k = from; k < std::min(from + width, depth_); ++k)
            panel[k * width + j] = as_stored(weight.row(first + j)[k]);
      for (index_t k = 0; not transposed and k < depth_; ++k)
        for (index_t j = 0; j < count; ++j) panel[k * width + j] = as_stored(weight.row(k)[first + j]);
    });
  }

  index_t depth() const { return depth_; }
  index_t columns() const { return columns_; }
  /// Panel p from row k on.
  const Stored* at(index_t p, index_t k) const { return numbers_.data() + (p * padded_depth_ + k) * width; }
  Stored* at(index_t p, index_t k) { return numbers_.data() + (p * padded_depth_ + k) * width; }
  index_t padded_depth() const { return padded_depth_; }
  /// Rows of W from row `first` on, to `to` [rows, columns].
  void copy_rows(int threads, index_t first, matrix_view<T> to) const {
    parallel_for(threads, whole_tiles(columns_), to.size(), [&](index_t p) {
      for (index_t k = 0; k < to.rows; ++k) {
        const Stored* const from = at(p, first + k);
        T* const row = to.row(k) + p * width;
        if (p * width + width <= columns_)
          for (index_t j = 0; j < width; j += tile<T>::lanes) Eigen::internal::pstoreu(row + j, load<T>(from + j));
        else
          std::transform(from, from + (columns_ - p * width), row, as_computed);
      }
    });
  }
  /// Column j of W, to `to` [depth].
  void copy_column(index_t j, T* to) const {
    const Stored* const from = at(j / width, 0) + j % width;
    for (index_t k = 0; k < depth_; ++k) to[k] = as_computed(from[k * width]);
  }

  static index_t bytes(index_t depth, index_t columns) {
    return count(depth, columns) * static_cast<index_t>(sizeof(Stored));
  }
  static index_t whole_tiles(index_t extent) { return (extent + width - 1) / width; }

 private:
  static constexpr index_t width = tile<T>::columns;

  static index_t count(index_t depth, index_t columns) {
    return whole_tiles(columns) * whole_tiles(depth) * width * width;
  }
  static Stored as_stored(T number) {
    if constexpr (std::same_as<T, Stored>)
      return number;
    else
      return stored::narrowed<Stored>(number);
  }
  static T as_computed(Stored number) { return static_cast<T>(number); }

  index_t depth_, columns_, padded_depth_;
  array<Stored> numbers_;
};

/// W as the product x W reads it.
template <typename T, typename Stored = T>
struct as_packed {
  static constexpr index_t part_rows = 10 * tile<T>::rows;
  using element = Stored;
  const panels<T, Stored>& w;
  index_t in_turn = pieces_in_turn();  ///< pieces of a slice that are fetched in turn

  index_t depth() const { return w.depth(); }
  index_t columns() const { return w.columns(); }
  static constexpr index_t slice_depth(index_t) { return tile<T>::depth; }
  /// How block `b` of `blocks` fetches its share of the slice of panel p from depth k on.
  fetch_order order(index_t p, index_t k, index_t depth, index_t b, index_t blocks) const {
    constexpr index_t columns = tile<T>::columns, row = columns * index_t{sizeof(Stored)};
    const char* const first = reinterpret_cast<const char*>(w.at(p, k));
    const index_t piece = depth / in_turn * row;
    const memory_pieces all{first, piece, piece};
    // With more blocks the product waits for multiplications.
    return blocks <= 2 and all.are_long()
               ? fetch_order::in_turn(all, in_turn, piece * b / blocks, row / blocks, depth / in_turn)
               : fetch_order::by_pieces({first, columns * row, columns * row}, columns * row * b / blocks, row / blocks,
                                        columns);
  }
  /// The slice of panel p from depth k on, [depth][tile columns].
  const Stored* slice(index_t p, index_t k, index_t, T*, index_t, index_t, bool) const { return w.at(p, k); }
};

/// Wᵀ as the product dy Wᵀ reads it: its panel p is the p-th square of every panel of W, transposed.
template <typename T, typename Stored = T>
struct turned_over {
  static constexpr index_t part_rows = 20 * tile<T>::rows;  // that share the work of transposing
  using element = Stored;
  const panels<T, Stored>& w;

  index_t depth() const { return w.columns(); }
  index_t columns() const { return w.depth(); }
  /// How block `b` of `blocks` fetches its share of the slice of panel p from depth k on.
  fetch_order order(index_t p, index_t k, index_t, index_t b, index_t blocks) const {
    constexpr index_t columns = tile<T>::columns, row = columns * index_t{sizeof(Stored)};
    return fetch_order::by_pieces(place(p, k), columns * row * b / blocks, row / blocks, columns);
  }
  /// Products of few rows wait for memory: short slices read it nearly sequentially, so it is prefetched.
  static constexpr index_t slice_depth(index_t rows) {
    return rows <= 2 * tile<T>::rows ? 4 * tile<T>::columns : tile<T>::depth;
  }
  /// The slice, transposed into `room`. If the rows are `few`, one block, the slice of panel `next_p` from depth
  /// `next_k` on is fetched meanwhile, and once more while the block multiplies: without the second time, rows took up
  /// to a fifth longer. With more rows it would delay the loads of this slice.
  const T* slice(index_t p, index_t k, index_t depth, T* room, index_t next_p, index_t next_k, bool few) const {
    const auto turn_all_over = [&](auto loading) {
      for (index_t from = 0; from < depth; from += tile<T>::columns)
        turn_over(w.at((k + from) / tile<T>::columns, p * tile<T>::columns), room + from * tile<T>::columns, loading);
    };
    if (few)
      turn_all_over([coming = fetch_walk(packet_by_packet(next_p, next_k, depth))]() mutable { fetch(coming.next()); });
    else
      turn_all_over([] {});
    return room;
  }

 private:
  memory_pieces place(index_t p, index_t k) const {
    constexpr index_t columns = tile<T>::columns;
    const char* const first = reinterpret_cast<const char*>(w.at(k / columns, p * columns));
    return {first, reinterpret_cast<const char*>(w.at(k / columns + 1, p * columns)) - first,
            columns * columns * index_t{sizeof(Stored)}};
  }
  fetch_order packet_by_packet(index_t p, index_t k, index_t depth) const {
    constexpr index_t pieces = 4, packet = tile<T>::lanes * index_t{sizeof(Stored)};
    const memory_pieces all = place(p, k);
    return all.are_long() and depth % (pieces * tile<T>::columns) == 0
               ? fetch_order::in_turn(all, pieces, 0, packet, all.bytes / packet)
               : fetch_order::by_pieces(all, 0, packet, all.bytes / packet);
  }
  /// `loading()` is called with each packet.
  template <typename F>
  static void turn_over(const Stored* square, T* turned, F& loading) {
    using namespace Eigen::internal;
    constexpr int lanes = tile<T>::lanes, columns = tile<T>::columns;
    for (int row = 0; row < columns; row += lanes)
      for (int col = 0; col < columns; col += lanes) {
        packet<T> block[lanes];
#pragma GCC unroll 16
        for (int i = 0; i < lanes; ++i) {
          loading();
          block[i] = load<T>(square + (row + i) * columns + col);
        }
        transpose(block, std::make_integer_sequence<int, lanes>{});
#pragma GCC unroll 16
        for (int i = 0; i < lanes; ++i) pstoreu(turned + (col + i) * columns + row, block[i]);
      }
  }
};

}  // namespace TRIMTAB_TARGET
}  // namespace trimtab::eigen
