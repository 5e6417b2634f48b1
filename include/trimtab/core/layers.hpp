// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/core/view.hpp>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

/// Which blocks a hook is in, chosen before the model is known: `layers::all()`, `layers::range(4, 11)` (both ends
/// belong to it), `layers::list({0, 5})`, `layers::none()`.

namespace trimtab {

class layer_set {
 public:
  /// The chosen layers of a model with `count` layers, rising. Throws `bad_argument` if one lies outside.
  std::vector<index_t> resolve(index_t count) const {
    if (everything_) {
      std::vector<index_t> all(static_cast<std::size_t>(count));
      for (index_t l = 0; l < count; ++l) all[static_cast<std::size_t>(l)] = l;
      return all;
    }
    for (index_t l : chosen_)
      if (l < 0 or l >= count)
        throw error(error_kind::bad_argument,
                    "layer " + std::to_string(l) + " was asked for, but the model's layers are 0 to " +
                        std::to_string(count - 1) + "; the nearest is " + std::to_string(l < 0 ? 0 : count - 1));
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

/// From `first` to `last`, both included.
inline layer_set range(index_t first, index_t last) {
  if (first < 0 or last < first)
    throw error(error_kind::bad_argument, "layers " + std::to_string(first) + " to " + std::to_string(last) +
                                              " were asked for; a range runs from a layer to the same or a later one");
  if (last - first > 100'000)
    throw error(error_kind::bad_argument, "layers " + std::to_string(first) + " to " + std::to_string(last) +
                                              " were asked for; no model has that many");
  std::vector<index_t> chosen;
  for (index_t l = first; l <= last; ++l) chosen.push_back(l);
  return layer_set::of(std::move(chosen));
}

}  // namespace layers
}  // namespace trimtab
