// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/backend/eigen/fetch.hpp>
#include <trimtab/backend/eigen/linear.hpp>
#include <trimtab/backend/eigen/panels.hpp>
#include <trimtab/backend/eigen/rows.hpp>
#include <trimtab/backend/eigen/target.hpp>

#include <Eigen/Core>

#include <algorithm>
#include <array>
#include <cassert>
#include <concepts>
#include <utility>

/// Products with frozen matrices. A thread takes a part of the rows, one slice of the depth at a time: it copies them
/// to contiguous memory, where they stay in the L2 cache while every panel of the weights is read (rows a multiple of 4
/// KB apart would evict each other), multiplies a block of them that fills the registers with a slice of a panel, and
/// prefetches the next slice meanwhile. Each output is one chain of multiply-adds in the order of the depth, whatever
/// the number of rows: between slices it is kept in y, which changes no bit. So a prompt gives the same bits alone and
/// in a batch.

namespace trimtab::eigen {
inline namespace TRIMTAB_TARGET {

/// Rows at a fixed distance of each other.
template <typename T>
struct strided {
  T* data;
  index_t stride;

  T* row(index_t i) const { return data + i * stride; }
};

/// Hides from the compiler what it knows of x.
template <typename T>
void forget(T& x) {
  asm("" : "+r"(x));
}

/// How many pieces of at most `most` make up `extent`.
constexpr index_t pieces_of(index_t extent, index_t most) { return (extent + most - 1) / most; }

/// Products of fewer rows are one block, which fetches every line of a panel's row; each of several blocks fetches one.
template <typename T>
inline constexpr int few_rows = (tile<T>::rows + 1) / 2;

/// `Rows` rows: y = start + x · slice, while fetching `coming`. Where it is not null, `widened` takes the slice's
/// numbers as T.
template <int Rows, typename T, typename Stored, bool Keeps = false>
void multiply_block(index_t depth, const Stored* slice, strided<const T> x, strided<const T> start, strided<T> y,
                    fetch_order coming, [[maybe_unused]] T* widened) {
  using namespace Eigen::internal;
  constexpr int lanes = tile<T>::lanes, columns = tile<T>::columns;
  // All loops over `sums` are unrolled, because an array that any variable indexes is kept in memory.
  packet<T> sums[Rows][2];
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
    sums[i][0] = ploadu<packet<T>>(start.row(i));
    sums[i][1] = ploadu<packet<T>>(start.row(i) + lanes);
  }
  // One pointer per four rows, because a pointer for each would need too many registers.
  constexpr int four = 4;
  const T* rows[(Rows + four - 1) / four];
#pragma GCC unroll 16
  for (int i = 0; i < Rows; i += four) rows[i / four] = x.row(i);
  index_t stride = x.stride;
  const Stored* const end = slice + depth * columns;
  for (const char* group = coming.first; slice < end; group += coming.group_distance) {
    const Stored* const group_end = std::min(slice + coming.group * columns, end);
    for (const char* turn = group; slice < group_end; turn += coming.turn_distance) {
      const Stored* const turn_end = std::min(slice + coming.turn * columns, group_end);
      for (const char* line = turn; slice < turn_end; slice += columns, line += coming.turn_step) {
        if constexpr (Rows < few_rows<T>)
          for (index_t from = 0; from < coming.step; from += line_bytes) fetch(line + from);
        else
          fetch(line);
        const packet<T> left = load<T>(slice), right = load<T>(slice + lanes);
        if constexpr (Keeps) {
          pstoreu(widened, left);
          pstoreu(widened + lanes, right);
          widened += columns;
        }
        forget(stride);
#pragma GCC unroll 16
        for (int i = 0; i < Rows; ++i) {
          const packet<T> a = pset1<packet<T>>(rows[i / four][i % four * stride]);
          sums[i][0] = pmadd(a, left, sums[i][0]);
          sums[i][1] = pmadd(a, right, sums[i][1]);
        }
#pragma GCC unroll 16
        for (int i = 0; i < Rows; i += four) ++rows[i / four];
      }
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
    pstoreu(y.row(i), sums[i][0]);
    pstoreu(y.row(i) + lanes, sums[i][1]);
  }
}

/// The kernels for 1, 2, ... rows.
template <typename T, typename Stored = T, bool Keeps = false>
inline constexpr auto block_kernels = []<int... I>(std::integer_sequence<int, I...>) {
  return std::array{&multiply_block<I + 1, T, Stored, Keeps>...};
}
(std::make_integer_sequence<int, tile<T>::rows>{});

/// Rows `first`, ..., `first + count - 1` of y, from x and the weights' panels `first_panel`, ..., `end_panel - 1`.
template <typename T, typename Weights>
void multiply_part(Weights w, matrix_view<const T> x, const T* bias, matrix_view<T> y, index_t first, index_t count,
                   index_t first_panel, index_t end_panel) {
  using cut = tile<T>;
  static constexpr T zeros[cut::columns] = {};
  constexpr index_t x_stride = cut::depth + cut::columns;  // no multiple of 4 KB
  T* const slice_room =
      scratch<struct product, T>((cut::depth + Weights::part_rows) * cut::columns + Weights::part_rows * x_stride);
  T* const last_panel_room = slice_room + cut::depth * cut::columns;
  T* const x_room = last_panel_room + Weights::part_rows * cut::columns;
  constexpr index_t lines = pieces_of(cut::columns * index_t{sizeof(typename Weights::element)}, line_bytes);
  static_assert(lines <= few_rows<T>);
  const index_t blocks = std::max(pieces_of(count, cut::rows), count < few_rows<T> ? 1 : lines);
  const index_t slice_depth = w.slice_depth(count);
  for (index_t k = 0; k < w.depth(); k += slice_depth) {
    const index_t depth = std::min(slice_depth, w.depth() - k);
    const bool is_end = k + depth == w.depth();
    for (index_t i = 0; i < count; ++i) std::copy_n(x.row(first + i) + k, depth, x_room + i * x_stride);
    for (index_t p = first_panel; p < end_panel; ++p) {
      const index_t next_p = p + 1 < end_panel ? p + 1 : first_panel;
      const index_t next_k = p + 1 < end_panel ? k : is_end ? 0 : k + depth;
      // The last panel may be wider than what is left of y.
      const index_t columns = std::min<index_t>(cut::columns, y.cols - p * cut::columns);
      const strided<T> out = columns == cut::columns ? strided<T>{y.row(first) + p * cut::columns, y.cols}
                                                     : strided<T>{last_panel_room, cut::columns};
      const strided<const T> start =
          k > 0 ? strided<const T>{out.data, out.stride} : strided<const T>{bias ? bias + p * cut::columns : zeros, 0};
      const auto multiply_blocks = [&]<bool Keeps, typename Stored>(const Stored* from, index_t b, index_t end) {
        for (; b < end; ++b) {  // their heights differ by one at most
          const index_t i = count * b / blocks, height = count * (b + 1) / blocks - i;
          // The stores at the end of the block would wait for these lines.
          for (index_t row = i; row < i + height; ++row)
            fetch_to_write(out.row(row), cut::columns * index_t{sizeof(T)});
          block_kernels<T, Stored, Keeps>[static_cast<std::size_t>(height - 1)](
              depth, from, {x_room + i * x_stride, x_stride}, {start.row(i), start.stride}, {out.row(i), out.stride},
              w.order(next_p, next_k, depth, b, blocks), slice_room);
        }
      };
      const auto* const slice = w.slice(p, k, depth, slice_room, next_p, next_k, blocks == 1);
      bool is_widened = false;
      if constexpr (not std::same_as<decltype(slice), const T* const>) {
        is_widened = blocks > 2;
        if (is_widened) {  // the first block does it for all
          multiply_blocks.template operator()<true>(slice, 0, 1);
          multiply_blocks.template operator()<false>(static_cast<const T*>(slice_room), 1, blocks);
        }
      }
      if (not is_widened) multiply_blocks.template operator()<false>(slice, 0, blocks);
      if (is_end and columns < cut::columns)
        for (index_t i = 0; i < count; ++i) std::copy_n(out.row(i), columns, y.row(first + i) + p * cut::columns);
    }
  }
}

/// y [n, columns] = x [n, depth] W + bias, the bias padded to whole panels or null. W is `as_packed` or `turned_over`.
template <typename T, typename Weights>
void multiply_panels(int threads, Weights w, matrix_view<const T> x, const T* bias, matrix_view<T> y) {
  assert(x.cols == w.depth() and y.cols == w.columns() and x.rows == y.rows);
  const index_t panels = pieces_of(y.cols, tile<T>::columns), parts = pieces_of(x.rows, Weights::part_rows);
  parallel_claims(is_worth_a_team(x.cols * y.cols) ? threads : 1, parts * panels, [&](claim some) {
    while (some) {  // the panels of one part after another
      const index_t part = some.begin / panels, first = x.rows * part / parts;
      const index_t end = std::min(some.end, (part + 1) * panels);
      multiply_part(w, x, bias, y, first, x.rows * (part + 1) / parts - first, some.begin - part * panels,
                    end - part * panels);
      some.begin = end;
    }
  });
}

/// y [n, outputs] = x [n, inputs] W + b.
template <typename T>
void multiply(int threads, const linear<T>& map, matrix_view<const T> x, matrix_view<T> y) {
  map.visit([&]<typename Stored>(const panels<T, Stored>& w) {
    multiply_panels(threads, as_packed<T, Stored>{w}, x, map.bias(), y);
  });
}

/// d_x [n, inputs] = d_y [n, outputs] Wᵀ.
template <typename T>
void multiply_backward(int threads, const linear<T>& map, matrix_view<const T> d_y, matrix_view<T> d_x) {
  map.visit([&]<typename Stored>(const panels<T, Stored>& w) {
    multiply_panels(threads, turned_over<T, Stored>{w}, d_y, static_cast<const T*>(nullptr), d_x);
  });
}

}  // namespace TRIMTAB_TARGET
}  // namespace trimtab::eigen
