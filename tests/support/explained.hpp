// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/explain/place_map.hpp>

#include "compositions.hpp"

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

/// Prompts with corrupt prompts, models whose norms are affine, and comparisons of maps, for the tests of explain/.

namespace trimtab::test {

/// Random prompts with corrupt ones that differ in about half of the tokens, the first among them.
inline std::vector<prompt_pair> corrupted_prompts(const model_config& config, const std::vector<int>& lengths,
                                                  std::uint64_t seed = 1) {
  auto prompts = random_prompts(config, lengths, seed);
  random_generator random(seed + 1000);
  for (prompt_pair& p : prompts) {
    p.corrupt_ids = p.ids;
    for (std::size_t i = 0; i < p.ids.size(); i += 1 + random.below(2))
      p.corrupt_ids[i] = static_cast<int>((static_cast<std::size_t>(p.ids[i]) + 1 + random.below(20)) % 23);
  }
  return prompts;
}

/// All sites of a kind of model.
template <typename Kind>
std::vector<std::string> all_sites() {
  std::vector<std::string> names;
  for (const std::string_view name : site::texts(Kind::parallel)) names.emplace_back(name);
  return names;
}

/// Random weights with norms that are affine to the last bit: with gains of 2^40 and an epsilon of 2^80 the variance
/// vanishes beside epsilon, and out = h − mean + bias.
class affine_norms {
 public:
  affine_norms(model_config config, std::uint64_t seed) : source_(affine(std::move(config)), seed) {}

  const model_config& config() const { return source_.config(); }
  template <typename T>
  block_weights<T> block(index_t layer) const {
    auto weights = source_.block<T>(layer);
    scale(weights.norm_1), scale(weights.norm_2);
    return weights;
  }
  template <typename T>
  outer_weights<T> outer() const {
    auto weights = source_.outer<T>();
    scale(weights.norm_final);
    return weights;
  }

 private:
  static model_config affine(model_config config) {
    config.layer_norm_epsilon = 0x1p80;
    return config;
  }
  template <typename T>
  static void scale(layer_norm_weights<T>& norm) {
    for (T& gain : norm.gain.values) gain = static_cast<T>(0x1p40);
  }

  random_weights source_;
};

/// The largest difference between two lists of scores; infinite where only one of them has a score.
inline double score_difference(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) return HUGE_VAL;
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(a[i]) and std::isnan(b[i])) continue;
    const double d = std::abs(a[i] - b[i]);
    worst = std::max(worst, std::isnan(d) ? HUGE_VAL : d);
  }
  return worst;
}
inline double score_difference(const std::vector<std::vector<double>>& a, const std::vector<std::vector<double>>& b) {
  if (a.size() != b.size()) return HUGE_VAL;
  double worst = 0;
  for (std::size_t n = 0; n < a.size(); ++n) worst = std::max(worst, score_difference(a[n], b[n]));
  return worst;
}

}  // namespace trimtab::test
