// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/site.hpp>
#include <trimtab/core/view.hpp>
#include <trimtab/steer/parameter_layout.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Sites at which an intervention is the same. The stream that leaves a layer enters the next one, so any policy at
/// `resid_post` is the same as at `resid_pre` of the layer above. What a policy adds without reading `h` acts alike
/// wherever it joins the stream: at `mlp_out` as at `resid_post`; in sequential blocks at `attn_out` as at `resid_mid`;
/// in parallel ones at `attn_out`, too, as at `resid_post`. Learned at two of these, it is one intervention split in
/// two.

namespace trimtab {

/// A point of the residual stream, in forward order: 2 l where layer l begins, 2 l + 1 between its attention and its
/// MLP. Nothing for an intervention that acts on what is computed before it joins the stream.
inline std::optional<index_t> stream_point(std::string_view site, index_t layer, bool only_adds, bool parallel) {
  const index_t before = 2 * layer, between = before + 1, after = before + 2;
  if (site == site::resid_pre::text) return before;
  if (site == site::resid_mid::text) return between;
  if (site == site::resid_post::text) return after;
  if (not only_adds) return std::nullopt;
  if (site == site::attn_out::text) return parallel ? after : between;
  if (site == site::mlp_out::text) return after;
  return std::nullopt;
}

/// The sites without those that repeat, in the same layer, one that comes later.
inline std::vector<std::string> without_repeated(const std::vector<std::string>& sites, bool only_adds, bool parallel) {
  std::vector<std::string> kept;
  for (std::size_t k = 0; k < sites.size(); ++k) {
    const auto point = stream_point(sites[k], 0, only_adds, parallel);
    const bool comes_again = point and std::any_of(sites.begin() + static_cast<std::ptrdiff_t>(k) + 1, sites.end(),
                                                   [&](const std::string& later) {
                                                     return stream_point(later, 0, only_adds, parallel) == point;
                                                   });
    if (not comes_again) kept.push_back(sites[k]);
  }
  return kept;
}

/// One layer of a block: the block's index, and that of the layer among the block's own.
struct block_layer {
  std::size_t block = 0;
  std::size_t layer = 0;

  friend bool operator==(const block_layer&, const block_layer&) = default;
};

/// All layers of a layout that are the same intervention as this one, itself included, in the order of θ.
inline std::vector<block_layer> same_place(const parameter_layout& layout, block_layer one) {
  const parameter_block& own = layout.blocks[one.block];
  const auto point_of = [](const parameter_block& block, std::size_t k) {
    return block.points.empty() ? index_t{-1} : block.points[k];
  };
  const index_t point = point_of(own, one.layer);
  if (point < 0) return {one};
  std::vector<block_layer> all;
  for (std::size_t b = 0; b < layout.blocks.size(); ++b) {
    const parameter_block& other = layout.blocks[b];
    const bool is_alike =
        other.policy == own.policy and other.settings == own.settings and other.positions == own.positions;
    for (std::size_t k = 0; k < other.layers.size() and is_alike; ++k)
      if (point_of(other, k) == point) all.push_back({b, k});
  }
  return all;
}

/// A sentence for each pair of a layout's interventions that are the same in some layers.
inline std::vector<std::string> repeated_places(const parameter_layout& layout) {
  std::vector<std::string> sentences;
  for (std::size_t b = 0; b < layout.blocks.size(); ++b) {
    const parameter_block& own = layout.blocks[b];
    std::vector<std::pair<std::size_t, std::string>> others;  // another block, and the own layers that it repeats
    for (std::size_t k = 0; k < own.layers.size(); ++k)
      for (const block_layer& other : same_place(layout, {b, k})) {
        if (other.block <= b) continue;
        auto found = std::ranges::find(others, other.block, &std::pair<std::size_t, std::string>::first);
        if (found == others.end()) found = others.insert(others.end(), {other.block, ""});
        found->second += (found->second.empty() ? "" : ", ") + std::to_string(own.layers[k]);
      }
    for (const auto& [other, layers] : others) {
      const std::string& again = layout.blocks[other].site;
      const bool is_above = own.site == site::resid_post::text and again == site::resid_pre::text;
      const bool is_below = own.site == site::resid_pre::text and again != own.site;
      sentences.push_back("the fit splits one intervention in two: " + own.policy + " at " + own.site + " of layer " +
                          layers + " does the same as at " + again +
                          (is_above   ? " of the layer above"
                           : is_below ? " of the layer below"
                                      : "") +
                          "; leave out one of the two, which are counted once");
    }
  }
  return sentences;
}

}  // namespace trimtab
