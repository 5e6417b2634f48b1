// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/backend/eigen/memory.hpp>
#include <trimtab/backend/eigen/packed.hpp>
#include <trimtab/backend/eigen/target.hpp>

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

/// Keys and values of one layer for texts that grow. They are stored packed as the attention reads them, and never
/// packed again.

namespace trimtab::eigen {
inline namespace TRIMTAB_TARGET {

template <typename T>
class cache {
 public:
  /// For `slots` texts of at most `context` tokens, with `heads` heads of `width` channels.
  cache(index_t slots, index_t heads, index_t width, index_t context)
      : heads_(heads),
        width_(width),
        padded_width_(packed<T>::padded(width)),
        context_(packed<T>::padded(context)),
        slots_(static_cast<std::size_t>(slots)) {}

  /// Makes room for a text of `tokens` tokens in a slot, and keeps what is there. Room grows at least twofold, so that
  /// a long text is moved only a few times.
  void reserve(index_t slot, index_t tokens) {
    room& old = slots_[static_cast<std::size_t>(slot)];
    if (tokens <= old.tokens) return;
    const index_t most = std::max(context_, packed<T>::padded(tokens));
    room grown{std::clamp(2 * old.tokens, packed<T>::padded(tokens), most)};
    grown.numbers = array<T>(heads_ * numbers_per_head(grown.tokens));
    for (index_t number = 0; number < heads_; ++number) {
      const auto [old_keys, old_values] = at(old, number);
      const auto [keys, values] = at(grown, number);
      std::copy_n(old_keys.data, width_ * old.tokens, keys.data);
      for (index_t j = 0; j < padded_width_; j += tile<T>::columns)
        std::copy_n(old_values.at(0, j), old.tokens * tile<T>::columns, values.at(0, j));
    }
    old = std::move(grown);
  }

  /// A head's keys, one column each, and its values, one row each.
  struct head {
    packed<T> keys, values;
  };
  head at(index_t slot, index_t number) { return at(slots_[static_cast<std::size_t>(slot)], number); }

 private:
  struct room {
    index_t tokens = 0;  ///< a multiple of a tile's columns
    array<T> numbers = {};
  };

  index_t numbers_per_head(index_t tokens) const { return (width_ + padded_width_) * tokens; }
  head at(room& r, index_t number) const {
    T* const first = r.numbers.data() + number * numbers_per_head(r.tokens);
    return {{first, width_}, {first + width_ * r.tokens, r.tokens}};
  }

  index_t heads_, width_, padded_width_, context_;
  std::vector<room> slots_;
};

}  // namespace TRIMTAB_TARGET
}  // namespace trimtab::eigen
