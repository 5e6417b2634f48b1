// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/site.hpp>
#include <trimtab/steer/parameter_layout.hpp>

#include <algorithm>
#include <limits>

namespace trimtab::detail {

/// The sites and layers of a layout, for the plan of a pass: an upper bound, because it does not say which hooks work
/// in place.
struct layout_hooks {
  const parameter_layout& layout;

  template <hook_site>
  static constexpr bool has = true;
  template <hook_site Site>
  bool active(index_t layer) const {
    return std::ranges::any_of(layout.blocks, [&](const parameter_block& block) {
      return block.site == Site::text and block.layer_number(layer) >= 0;
    });
  }
  index_t lowest_layer() const {
    index_t lowest = std::numeric_limits<index_t>::max();
    for (const parameter_block& block : layout.blocks)
      if (not block.layers.empty()) lowest = std::min(lowest, block.layers.front());
    return lowest;
  }
};

}  // namespace trimtab::detail
