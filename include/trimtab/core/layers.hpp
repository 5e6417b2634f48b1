// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/core/view.hpp>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

/// Which blocks an intervention is in, chosen before the model is known: `layers::all()`, `layers::range(4, 11)` (both
/// ends included), `layers::list({0, 5})`, `layers::none()`.

namespace trimtab {

class layer_set {
 public:
  /// The chosen layers of a model with `count` layers, ascending. Throws `bad_argument` if one is out of range.
  std::vector<index_t> resolve(index_t count) const {
    if (everything_) {
      std::vector<index_t> all(static_cast<std::size_t>(count));
      for (index_t l = 0; l < count; ++l) all[static_cast<std::size_t>(l)] = l;
      return all;
    }
    for (index_t l : chosen_)
      if (l < 0 or l >= count)
        throw error(error_kind::bad_argument, "the model has no layer " + std::to_string(l) + "; its layers are 0 to " +
                                                  std::to_string(count - 1));
    return chosen_;
  }

  static layer_set all() {
    layer_set s;
    s.everything_ = true;
    return s;
  }
  static layer_set of(std::vector<index_t> chosen) {
    std::ranges::sort(chosen);
    chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
    layer_set s;
    s.chosen_ = std::move(chosen);
    return s;
  }

 private:
  bool everything_ = false;
  std::vector<index_t> chosen_ = {};
};

namespace layers {

inline layer_set all() { return layer_set::all(); }
inline layer_set none() { return layer_set::of({}); }
inline layer_set list(std::vector<index_t> chosen) { return layer_set::of(std::move(chosen)); }

/// From `first` to `last`, both included. Throws `bad_argument` unless 0 <= first <= last.
inline layer_set range(index_t first, index_t last) {
  const auto refuse = [&](const std::string& why) {
    throw error(error_kind::bad_argument,
                "the layer range " + std::to_string(first) + " to " + std::to_string(last) + " " + why);
  };
  if (first < 0) refuse("begins before layer 0, the first");
  if (last < first) refuse("is empty; its last layer must not be before its first");
  if (last - first > 100'000) refuse("has more layers than any model");
  std::vector<index_t> chosen;
  for (index_t l = first; l <= last; ++l) chosen.push_back(l);
  return layer_set::of(std::move(chosen));
}

}  // namespace layers
}  // namespace trimtab
