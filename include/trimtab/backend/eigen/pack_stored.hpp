// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/backend/eigen/memory.hpp>
#include <trimtab/backend/eigen/panels.hpp>
#include <trimtab/backend/eigen/rows.hpp>
#include <trimtab/backend/eigen/target.hpp>
#include <trimtab/backend/eigen/transpose.hpp>
#include <trimtab/core/stored.hpp>
#include <trimtab/core/stored_matrix.hpp>

#include <algorithm>
#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <utility>

/// Panels filled from a file by all threads, each of which reads a piece that its cache holds and sends the numbers to
/// their places. Besides the panels themselves this takes no memory to speak of.

namespace trimtab::eigen {
inline namespace TRIMTAB_TARGET {

/// The numbers of a stored matrix, in the order of the file, as numbers of type To, which holds them exactly.
template <typename To>
class stored_numbers {
 public:
  explicit stored_numbers(const stored_matrix& m) : m_(m) {}

  /// Fills `to` with the numbers from `first` on; false where one of them is not finite.
  bool read(index_t first, std::span<To> to) const {
    if constexpr (is_narrow) {
      return m_.type == weight_type::float32 ? read_as<float>(first, to) : read_as<To>(first, to);
    } else {
      switch (m_.type) {
        case weight_type::float16: return read_as<stored::float16>(first, to);
        case weight_type::bfloat16: return read_as<stored::bfloat16>(first, to);
        default: return read_as<float>(first, to);
      }
    }
  }

 private:
  static constexpr bool is_narrow = not std::is_arithmetic_v<To>;

  template <typename File>
  bool read_as(index_t first, std::span<To> to) const {
    if constexpr (std::same_as<File, To>) {
      return read_from_file(first, to);
    } else {
      const std::span piece(scratch<struct numbers_of_file, File>(std::ssize(to)), to.size());
      const bool finite = read_from_file(first, piece);
      std::ranges::transform(piece, to.begin(), converted<File>);
      return finite;
    }
  }
  template <typename File>
  bool read_from_file(index_t first, std::span<File> to) const {
    m_.read(static_cast<std::size_t>(first) * sizeof(File), std::as_writable_bytes(to));
    std::uint32_t others = 0;
    for (const File number : to) others |= stored::is_finite(number) ? 0u : 1u;
    return others == 0;
  }
  template <typename File>
  static To converted(File number) {
    if constexpr (is_narrow)
      return stored::narrowed<To>(number);
    else
      return static_cast<To>(static_cast<float>(number));
  }

  const stored_matrix& m_;
};

/// Whether `Narrow` holds each number of a matrix of float exactly.
template <typename Narrow>
bool all_held_as(int threads, const stored_matrix& m) {
  constexpr index_t at_once = index_t{1} << 14;
  const stored_numbers<float> numbers(m);
  const index_t size = m.inputs * m.outputs;
  const auto holds_piece = [&](index_t k) {
    const index_t first = k * at_once, count = std::min(at_once, size - first);
    float* const piece = scratch<struct piece_to_examine, float>(at_once);
    numbers.read(first, {piece, static_cast<std::size_t>(count)});
    return std::all_of(piece, piece + count, stored::holds<Narrow>);
  };
  if (size > 0 and not holds_piece(0)) return false;  // a float that is wider usually comes early
  std::atomic<bool> all{true};
  parallel_for(threads, (size + at_once - 1) / at_once, size, [&](index_t k) {
    if (all.load(std::memory_order_relaxed) and not holds_piece(k)) all.store(false, std::memory_order_relaxed);
  });
  return all;
}

/// 16 bytes of numbers of a size: the widest vectors that every instruction set has.
template <std::size_t Size>
struct vector_of;
template <>
struct vector_of<2> {
  typedef std::uint16_t type __attribute__((vector_size(16)));
};
template <>
struct vector_of<4> {
  typedef std::uint32_t type __attribute__((vector_size(16)));
};
template <>
struct vector_of<8> {
  typedef std::uint64_t type __attribute__((vector_size(16)));
};

/// to[k][j] = from[j][k] for `count` vectors of `depth` numbers at `from`, one after another; `to` has rows of a
/// panel's width, and zeros where there is no vector.
template <typename T, typename Number>
void interleave(const Number* from, index_t count, index_t depth, Number* to) {
  constexpr index_t width = tile<T>::columns;
  index_t done = 0;
#if !defined(__CUDACC__)  // nvcc 13 loses the packs of `transpose` on their way to the host compiler
  using vector = typename vector_of<sizeof(Number)>::type;
  constexpr int n = sizeof(vector) / sizeof(Number);
  if constexpr (width % n == 0) {
    constexpr index_t line = 64 / sizeof(Number);  // what one line of the cache holds is used before it has to go
    const index_t whole = count == width ? depth / line * line : 0;
    for (; done < whole; done += line)
      for (index_t j = 0; j < width; j += n)
        for (index_t k = done; k < done + line; k += n) {
          vector block[n];
          for (int i = 0; i < n; ++i) std::memcpy(&block[i], from + (j + i) * depth + k, sizeof(vector));
          transpose(block, std::make_integer_sequence<int, n>{});
          for (int i = 0; i < n; ++i)
            std::memcpy(static_cast<void*>(to + (k + i) * width + j), &block[i], sizeof(vector));
        }
  }
#endif
  for (; done < depth; ++done)
    for (index_t j = 0; j < width; ++j) to[done * width + j] = j < count ? from[j * depth + done] : Number{};
}

/// Sets all of `to`, whose type holds the matrix's numbers; false where one of them is not finite.
template <typename T, typename Stored>
bool fill_panels(int threads, const stored_matrix& m, panels<T, Stored>& to) {
  constexpr index_t width = tile<T>::columns;
  const stored_numbers<Stored> numbers(m);
  const index_t depth = m.inputs, panel_count = panels<T>::whole_tiles(m.outputs);
  const index_t size = panel_count * to.padded_depth() * width;
  std::atomic<bool> finite{true};
  const auto read = [&](index_t first, Stored* piece, index_t count) {
    if (not numbers.read(first, {piece, static_cast<std::size_t>(count)}))
      finite.store(false, std::memory_order_relaxed);
  };
  const auto zeros_below = [&](index_t p) { std::fill(to.at(p, depth), to.at(p, to.padded_depth()), Stored{}); };
  if (m.by_output) {
    const auto row_of = [&](index_t j) { return m.file_rows.empty() ? j : m.file_rows[static_cast<std::size_t>(j)]; };
    parallel_for(threads, panel_count, size, [&](index_t p) {
      const index_t first = p * width, count = std::min(width, m.outputs - first);
      Stored* const rows = scratch<struct rows_of_panel, Stored>(width * depth);
      for (index_t j = 0, together = 1; j < count; j += together, together = 1) {
        while (j + together < count and row_of(first + j + together) == row_of(first + j) + together) ++together;
        read(row_of(first + j) * depth, rows + j * depth, together * depth);
      }
      interleave<T>(rows, count, depth, to.at(p, 0));
      zeros_below(p);
    });
  } else {
    constexpr index_t at_once = 16;
    parallel_for(threads, (depth + at_once - 1) / at_once, size, [&](index_t slab) {
      const index_t first = slab * at_once, count = std::min(at_once, depth - first);
      Stored* const rows = scratch<struct rows_of_panel, Stored>(at_once * m.outputs);
      read(first * m.outputs, rows, count * m.outputs);
      for (index_t p = 0; p < panel_count; ++p) {
        const index_t columns = std::min(width, m.outputs - p * width);
        for (index_t k = 0; k < count; ++k) {
          const Stored* const from = rows + k * m.outputs + p * width;
          Stored* const row = to.at(p, first + k);
          if (columns == width)
            std::copy_n(from, width, row);
          else
            std::fill(std::copy_n(from, columns, row), row + width, Stored{});
        }
        if (first + count == depth) zeros_below(p);
      }
    });
  }
  return finite;
}

}  // namespace TRIMTAB_TARGET
}  // namespace trimtab::eigen
