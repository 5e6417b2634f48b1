// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/operand.hpp>
#include <trimtab/core/row.hpp>
#include <trimtab/core/view.hpp>

#include <type_traits>

/// What a thread holds of a row on the GPU: the kinds of indices that a row function gets, and for each name that is
/// bound its channels in memory or in registers, or its numbers.

namespace trimtab::cuda {

/// Channel `value`, in the thread's register `lane`. Converts to the channel's index.
struct channel {
  index_t value;
  int lane;

  constexpr operator index_t() const { return value; }
};
/// The same where channels are read-only.
struct read_channel {
  index_t value;
  int lane;

  constexpr operator index_t() const { return value; }
};

/// A channel that is in no register.
struct memory_channel {
  index_t value;

  constexpr operator index_t() const { return value; }
};

template <typename Name>
inline constexpr bool is_per_channel = Name::is_per_channel;
template <typename Name>
inline constexpr bool is_per_channel<gradient_of<Name>> = is_per_channel<Name>;
template <int K>
inline constexpr bool is_per_channel<scratch_row<K>> = true;

/// How many numbers, or rows of channels, a name has.
template <typename Name>
inline constexpr int count_of = Name::count;
template <typename Name>
inline constexpr int count_of<gradient_of<Name>> = count_of<Name>;
template <int K>
inline constexpr int count_of<scratch_row<K>> = 1;

/// Whether a name has indices of its own instead of channels.
template <typename Name>
inline constexpr bool is_indexed = requires {
  Name::is_indexed;
};

/// A name and its channels in memory. Here and below, `is_staged` says that they pass through registers, `may_be_newer`
/// that a register may hold a later number than the memory.
template <typename Name, typename U, int Lanes>
struct channels {
  static constexpr bool is_staged = false, may_be_newer = false;
  U* data;
};

/// A name and its channels in memory, 16 bytes of which the thread holds in registers. They are stored only if a
/// writable reference was given out, which the compiler can see.
template <typename Name, typename U, int Lanes>
struct staged_channels {
  static constexpr bool is_staged = true, may_be_newer = not std::is_const_v<U>;
  using value_type = std::remove_const_t<U>;
  struct alignas(Lanes * sizeof(U)) piece {
    value_type lane[Lanes];
  };

  U* data;
  mutable piece held;
  mutable bool given = false;

  constexpr void load(index_t j) const {
    held = *reinterpret_cast<const piece*>(data + j);
    given = false;
  }
  constexpr void store(index_t j) const {
    if constexpr (not std::is_const_v<U>)
      if (given) *reinterpret_cast<piece*>(data + j) = held;
  }
  constexpr U& give(int lane) const {
    given = true;
    return held.lane[lane];
  }
};

/// A name and its one number. Every thread has a copy and computes the same.
template <typename Name, typename U>
struct row_number {
  static constexpr bool is_staged = false;
  U* data;
  mutable std::remove_const_t<U> value;
};

/// The same for a name that has several.
template <typename Name, typename U>
struct row_numbers {
  static constexpr bool is_staged = false;
  static constexpr int count = count_of<Name>;
  U* data;
  mutable std::remove_const_t<U> values[count];
};

}  // namespace trimtab::cuda
