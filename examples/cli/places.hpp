// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "commands.hpp"

#include <trimtab/explain/certificate.hpp>

#include <cstddef>
#include <vector>

/// Places in JSON.

namespace trimtab::cli {

/// {"attn_out": [[a number for each position] for each layer]}: the largest of a place's records, null for 0; a layer
/// without the site has no positions. Positions come in the order of their key: the last token first for `from_end`.
inline ordered_json places_of(const parameter_layout& layout, const std::vector<double>& by_record, index_t layers) {
  auto places = ordered_json::object();
  std::size_t record = 0;
  for (const parameter_block& block : layout.blocks) {
    auto& of_site = places[block.site];
    if (of_site.is_null()) of_site = ordered_json::array_t(static_cast<std::size_t>(layers), ordered_json::array());
    for (const index_t layer : block.layers) {
      auto& of_layer = of_site[static_cast<std::size_t>(layer)];
      for (index_t r = 0; r < block.records_per_layer(); ++r, ++record) {
        const auto position = static_cast<std::size_t>(r / block.parts);
        while (of_layer.size() <= position) of_layer.push_back(nullptr);
        const auto before = of_layer[position].is_null() ? 0 : of_layer[position].template get<double>();
        if (by_record[record] > before) of_layer[position] = by_record[record];
      }
    }
  }
  return places;
}

}  // namespace trimtab::cli
