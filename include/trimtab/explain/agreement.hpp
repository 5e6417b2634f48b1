// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/explain/place_map.hpp>
#include <trimtab/measure/rankings.hpp>

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

/// How far two methods agree on the places that both have scored.

namespace trimtab::explain {

struct map_agreement {
  std::size_t places = 0;  ///< that both maps have
  ranking_agreement rankings = {};
};

namespace detail {

/// The places that two maps of the same prompts share, by their numbers in each: those of the same site, layer,
/// position and head.
inline std::vector<std::pair<std::size_t, std::size_t>> shared_places(const parameter_layout& a,
                                                                      const parameter_layout& b) {
  std::vector<std::pair<std::size_t, std::size_t>> shared;
  for (const parameter_block& own : a.blocks) {
    const auto other = std::ranges::find(b.blocks, own.site, &parameter_block::site);
    if (other == b.blocks.end() or other->parts != own.parts or not(other->positions == own.positions)) continue;
    for (index_t layer : own.layers)
      for (index_t i = 0; other->layer_offset(layer) >= 0 and i < own.positions.count() * own.parts; ++i)
        shared.emplace_back(own.layer_offset(layer) + i, other->layer_offset(layer) + i);
  }
  return shared;
}

}  // namespace detail

/// The agreement of two maps of the same prompts, by the sizes of their scores, on the places that both have; the
/// overlap is that of the first `k` places, or of all where there are fewer. Nothing where no place is shared.
/// Intervals are over prompts, drawn for both at once.
inline std::optional<map_agreement> agreement_of(const place_map& a, const place_map& b, std::size_t k = 10,
                                                 std::uint64_t seed = 1) {
  assert(a.per_prompt.size() == b.per_prompt.size());
  const auto shared = detail::shared_places(a.places, b.places);
  if (shared.empty()) return std::nullopt;
  std::vector<std::vector<double>> of_a(a.per_prompt.size()), of_b(b.per_prompt.size());
  for (std::size_t n = 0; n < of_a.size(); ++n)
    for (const auto& [i, j] : shared) of_a[n].push_back(a.per_prompt[n][i]), of_b[n].push_back(b.per_prompt[n][j]);
  return map_agreement{shared.size(), compare_rankings(of_a, of_b, std::min(k, shared.size()), 1000, seed)};
}

}  // namespace trimtab::explain
