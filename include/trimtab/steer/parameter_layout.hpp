// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/position.hpp>
#include <trimtab/core/view.hpp>

#include <algorithm>
#include <string>
#include <vector>

/// Where the parameters of a composition lie: one flat array θ, [lane][intervention][layer][position][part][record]. A
/// lane is one independent set of parameters; a part is a head at `attn_z`, else there is one; a record is what the
/// policy has for one place.

namespace trimtab {

/// A named parameter inside a record.
struct parameter_slice {
  std::string name;  ///< `alpha`, `vector`, `0.alpha`
  index_t offset;
  index_t extent;  ///< numbers: 1 or the row's width

  friend bool operator==(const parameter_slice&, const parameter_slice&) = default;
};

/// The parameters of one intervention.
struct parameter_block {
  std::string site = {};
  std::string policy = {};
  std::vector<index_t> layers = {};  ///< those with parameters, rising
  position_key positions = {};
  index_t parts = 1;
  index_t width = 0;  ///< channels of a row at the site
  index_t record_size = 0;
  std::vector<parameter_slice> slices = {};
  index_t offset = 0;  ///< of the block in a lane

  index_t records_per_layer() const { return positions.count() * parts; }
  index_t records() const { return static_cast<index_t>(layers.size()) * records_per_layer(); }
  index_t size() const { return records() * record_size; }

  /// Where the layer's records start in a lane; -1 for a layer that is not intervened on.
  index_t layer_offset(index_t layer) const {
    const auto at = std::ranges::lower_bound(layers, layer);
    if (at == layers.end() or *at != layer) return -1;
    return offset + (at - layers.begin()) * records_per_layer() * record_size;
  }

  friend bool operator==(const parameter_block&, const parameter_block&) = default;
};

struct parameter_layout {
  std::vector<parameter_block> blocks = {};

  /// Numbers in one lane.
  index_t lane_size() const { return blocks.empty() ? 0 : blocks.back().offset + blocks.back().size(); }

  friend bool operator==(const parameter_layout&, const parameter_layout&) = default;
};

}  // namespace trimtab
