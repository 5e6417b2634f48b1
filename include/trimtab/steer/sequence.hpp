// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/core/prompt_pair.hpp>
#include <trimtab/core/settings.hpp>
#include <trimtab/core/view.hpp>

#include <cmath>
#include <concepts>
#include <limits>
#include <span>
#include <vector>

/// The unit of a steered pass: one prompt at one strength with the parameters of one replica. A *replica* is one of
/// several fits, or sets of parameters, that share a pass.

namespace trimtab {

struct sequence {
  index_t prompt = 0;   ///< which of the prompts
  double beta = 0;      ///< the strength
  index_t replica = 0;  ///< whose parameters
  double weight = 1;    ///< its weight in the replica's loss
  index_t past = 0;     ///< leading tokens whose keys and values are known: the pass has no rows for them
};

/// Each prompt once for every strength, all at the first, then all at the second.
inline std::vector<sequence> every_strength(index_t prompts, std::span<const double> strengths, index_t replica = 0) {
  std::vector<sequence> sequences;
  for (double beta : strengths)
    for (index_t n = 0; n < prompts; ++n) sequences.push_back({n, beta, replica});
  return sequences;
}

/// The prompts' tokens.
inline std::vector<std::vector<int>> ids_of(std::span<const prompt_pair> prompts) {
  std::vector<std::vector<int>> ids;
  for (const prompt_pair& p : prompts) ids.push_back(p.ids);
  return ids;
}

/// A strength as the scalar of a model. Throws `bad_argument` for one that is beyond the range of float.
template <typename T>
T strength_as(double beta) {
  if constexpr (std::same_as<T, float>)
    if (std::abs(beta) > static_cast<double>(std::numeric_limits<float>::max()))
      throw error(error_kind::bad_argument, "a strength is " + setting_text(beta) +
                                                ", which float cannot hold; compute in double, or use a smaller one");
  return static_cast<T>(beta);
}

}  // namespace trimtab
