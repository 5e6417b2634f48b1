// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/steer/parameters.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

/// What a fit tells its user of its start, one sentence each.

namespace trimtab::detail {

/// Policies with which a fit does not start with the untouched model.
inline void warn_of_start(const parameter_layout& layout, std::span<const double> theta, std::uint64_t seed,
                          std::vector<std::string>& warnings) {
  for (const parameter_block& block : layout.blocks) {
    bool is_away = false;
    for (index_t r = 0; r < block.records(); ++r)
      is_away =
          is_away or norm_of_record(block, theta, static_cast<std::size_t>(block.offset + r * block.record_size)) > 0;
    if (is_away)
      warnings.push_back("the fit does not start with the untouched model: " + block.policy + " at " + block.site +
                         " starts at random (seed " + std::to_string(seed) + "), because it could not learn from zero");
  }
}

/// Interventions whose gradient at the start is exactly zero, most of which never learn.
inline void warn_of_zero_gradient(const parameter_layout& layout, std::span<const double> gradient,
                                  std::vector<std::string>& warnings) {
  for (const parameter_block& block : layout.blocks) {
    const auto numbers =
        gradient.subspan(static_cast<std::size_t>(block.offset), static_cast<std::size_t>(block.size()));
    if (not numbers.empty() and std::ranges::all_of(numbers, [](double x) { return x == 0; }))
      warnings.push_back("nothing is learned at " + block.site + ": the gradient of all its " +
                         std::to_string(numbers.size()) + " parameters (" + block.policy +
                         ") is exactly zero at the start; start them elsewhere, or hook a site that reaches the "
                         "scored token");
  }
}

}  // namespace trimtab::detail
