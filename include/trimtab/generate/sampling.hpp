// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/core/random.hpp>
#include <trimtab/core/settings.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <vector>

/// How the next token is chosen from its logits: temperature, then the k most probable tokens, then the smallest set
/// whose probability reaches p, as in Hugging Face's transformers and in the same order.

namespace trimtab {

struct sampling {
  double temperature = 0;  ///< 0 takes the most probable token
  int top_k = 0;           ///< 0 keeps all tokens; tokens as probable as the k-th are kept too
  double top_p = 1;        ///< 1 keeps all tokens
};

/// Throws `bad_argument` for values out of range.
inline void check_sampling(const sampling& how) {
  const auto refuse = [](const std::string& what, double value, const std::string& expected) {
    throw error(error_kind::bad_argument, what + " is " + setting_text(value) + "; it must be " + expected);
  };
  if (not(how.temperature >= 0 and std::isfinite(how.temperature)))
    refuse("the temperature", how.temperature, "a finite number from 0");
  if (how.top_k < 0) refuse("top_k", how.top_k, "at least 0");
  if (not(how.top_p > 0 and how.top_p <= 1)) refuse("top_p", how.top_p, "above 0 and at most 1");
}

/// The index of the largest logit; of equal ones the first.
inline int most_probable(std::span<const double> logits) {
  return static_cast<int>(std::ranges::max_element(logits) - logits.begin());
}

/// log softmax(logits) of one token.
inline double log_probability(std::span<const double> logits, int id) {
  const double top = *std::ranges::max_element(logits);
  double sum = 0;
  for (double z : logits) sum += std::exp(z - top);
  return logits[static_cast<std::size_t>(id)] - top - std::log(sum);
}

/// A token that may be chosen.
struct candidate {
  int id;
  double probability;
};

/// The k-th largest logit, or minus infinity for k = 0.
inline double kth_largest(std::span<const double> logits, int k) {
  if (k == 0 or static_cast<std::size_t>(k) >= logits.size()) return -std::numeric_limits<double>::infinity();
  std::vector<double> sorted(logits.begin(), logits.end());
  const auto kth = sorted.begin() + (k - 1);
  std::ranges::nth_element(sorted, kth, std::greater{});
  return *kth;
}

/// Leaves out as many of the least probable tokens as together have at most 1 - p; of equally probable ones the
/// smaller id first. Probabilities add up to 1.
inline void keep_most_probable(std::vector<candidate>& all, double p) {
  // Tokens below this share of 1 - p are left out in any case, so that only a few have to be sorted.
  const double share = (1 - p) / static_cast<double>(all.size());
  double left_out = 0;
  const auto top = std::ranges::max_element(all, {}, &candidate::probability)->id;
  std::erase_if(all, [&](const candidate& c) {
    const bool out = c.probability < share and c.id != top;
    left_out += out ? c.probability : 0;
    return out;
  });
  std::ranges::sort(all, [](const candidate& a, const candidate& b) {
    return a.probability != b.probability ? a.probability > b.probability : a.id > b.id;
  });
  while (all.size() > 1 and (left_out += all.back().probability) <= 1 - p) all.pop_back();
}

/// Divides the probabilities by their sum.
inline void normalise(std::vector<candidate>& all) {
  double sum = 0;
  for (const candidate& c : all) sum += c.probability;
  for (candidate& c : all) c.probability /= sum;
}

/// The tokens that may be chosen and their probabilities, which add up to 1.
inline std::vector<candidate> candidates(std::span<const double> logits, const sampling& how) {
  if (how.temperature == 0) return {{most_probable(logits), 1.0}};
  const double top = *std::ranges::max_element(logits), least = kth_largest(logits, how.top_k);
  std::vector<candidate> kept;
  for (std::size_t id = 0; id < logits.size(); ++id)
    if (logits[id] >= least) kept.push_back({static_cast<int>(id), std::exp((logits[id] - top) / how.temperature)});
  normalise(kept);
  if (how.top_p == 1) return kept;
  keep_most_probable(kept, how.top_p);
  normalise(kept);
  return kept;
}

/// One of the candidates, by its probability.
inline int sample(std::span<const double> logits, const sampling& how, random_generator& random) {
  if (how.temperature == 0) return most_probable(logits);
  const std::vector<candidate> all = candidates(logits, how);
  double left = random.uniform();
  for (const candidate& c : all)
    if ((left -= c.probability) < 0) return c.id;
  return std::ranges::max_element(all, {}, &candidate::probability)->id;  // rounding left a remainder
}

}  // namespace trimtab
