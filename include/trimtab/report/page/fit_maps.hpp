// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/measure/site_geometry.hpp>
#include <trimtab/policy/symbols.hpp>
#include <trimtab/report/picture/heat_map.hpp>
#include <trimtab/report/token_names.hpp>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

/// The heat maps of a fit: of its parameters, and of what they do to the activations.

namespace trimtab::report {

namespace detail {

/// A map of something measured at each place of a site: NaN for places that no prompt covers, `centre` for places whose
/// parameters are all zero.
inline heat_map measured_map(const parameters& values, const site_geometry& g, std::size_t index,
                             const std::vector<std::vector<double>>& numbers, double centre, double scale,
                             std::vector<std::string> names) {
  const parameter_block& own = values.layout.blocks[index];
  heat_map map = map_by(g.block, std::move(names), [&](index_t k, index_t i, index_t part) {
    const auto layer = static_cast<std::size_t>(k), at = static_cast<std::size_t>(i * g.block.parts + part);
    if (g.rows[layer][at] == 0) return std::numeric_limits<double>::quiet_NaN();
    const auto record = values.record(own, k, own.positions == g.block.positions ? i : 0, part);
    return std::ranges::all_of(record, [](double x) { return x == 0; }) ? centre : scale * numbers[layer][at];
  });
  map.centre = centre;
  return in_reading_order(std::move(map), g.block.positions);
}

/// The cosines, those that differ from 1 only by rounding set to 1.
inline std::vector<std::vector<double>> without_rounding(std::vector<std::vector<double>> cosines) {
  constexpr double rounding = 1e-6;  // of a mean over channels in float
  for (std::vector<double>& of_layer : cosines)
    for (double& x : of_layer)
      if (x > 1 - rounding) x = 1;
  return cosines;
}

}  // namespace detail

/// One group for each parameter: α, ‖v‖, ‖w‖, b.
inline std::vector<map_group> parameter_maps(const token_names& tokens, const parameters& values,
                                             std::span<const prompt_pair> pairs) {
  std::vector<map_group> groups;
  for (const parameter_block& block : values.layout.blocks)
    for (const parameter_slice& slice : block.slices) {
      if (block.layers.empty()) continue;
      const bool one = slice.extent == 1;
      auto group = std::ranges::find(groups, slice.name, &map_group::quantity);
      if (group == groups.end()) {
        const std::string symbol = policy::symbol_of(slice.name);
        groups.push_back({one ? symbol : "\xE2\x80\x96" + symbol + "\xE2\x80\x96",
                          one ? symbol + " as it was learned at each layer and place; β multiplies it."
                              : "The length of the " + slice.name + " that was learned at each layer and place.",
                          slice.name,
                          {}});
        group = groups.end() - 1;
      }
      group->maps.push_back(in_reading_order(
          map_of(values, block, slice, common_tokens(tokens, block.positions, pairs)), block.positions));
    }
  return groups;
}

/// What vectors do to the activations, at β = +1: their length and their direction.
template <typename Steering>
std::vector<map_group> geometry_maps(const Steering& composition, const parameters& values,
                                     std::span<const prompt_pair> pairs, const token_names& tokens) {
  map_group ratio{"\xE2\x80\x96h\xCC\x83\xE2\x80\x96 / \xE2\x80\x96h\xE2\x80\x96",
                  "By how much the activation is longer at β = +1, mean over prompts; 1 is unchanged.",
                  "norm_ratio",
                  {}};
  map_group cosine{"cos(h\xCC\x83, h)",
                   "How much of its direction the activation keeps at β = +1, mean over prompts.",
                   "cosine",
                   {}};
  const auto geometry = measure_geometry(composition, values, pairs, 1);
  for (std::size_t k = 0; k < geometry.size(); ++k) {
    const site_geometry& g = geometry[k];
    if (g.block.layers.empty()) continue;
    const auto names = common_tokens(tokens, g.block.positions, pairs);
    ratio.maps.push_back(detail::measured_map(values, g, k, g.norm_ratio, 1, 1, names));
    if (values.layout.blocks[k].only_scales) continue;  // whose sign says all
    cosine.maps.push_back(detail::measured_map(values, g, k, detail::without_rounding(g.cosine), 1, 1, names));
  }
  std::vector<map_group> groups{std::move(ratio)};
  if (not cosine.maps.empty()) groups.push_back(std::move(cosine));
  return groups;
}

/// Whether a block's scalar is computed from the activation itself.
inline bool is_gate(const parameter_block& block) { return block.shares_positions and block.only_scales; }

/// The scalars that gates compute at each token of one prompt, at β = +1.
template <typename Steering>
map_group gate_maps(const Steering& composition, const parameters& values, const prompt_pair& prompt,
                    const std::string& which, const token_names& tokens) {
  map_group group{
      "g(h) on " + which, "The scalar that the gate computed at each token, where h became (1 + β g) h.", "gate", {}};
  const auto geometry = measure_geometry(composition, values, std::span(&prompt, 1), 1, positions::absolute());
  for (std::size_t k = 0; k < geometry.size(); ++k)
    if (not geometry[k].block.layers.empty() and is_gate(values.layout.blocks[k]))
      group.maps.push_back(
          detail::measured_map(values, geometry[k], k, geometry[k].stretch, 0, 1, tokens_of(tokens, prompt.ids)));
  return group;
}

}  // namespace trimtab::report
