// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/prompt_pair.hpp>

#include <algorithm>
#include <cmath>
#include <span>

/// D of a prompt's logits in host memory, see objective/logit_difference.hpp.

namespace trimtab {

/// log Σ e^z over some tokens; of one token its logit.
template <typename T>
double log_sum_of(std::span<const T> logits, std::span<const int> ids) {
  const auto logit = [&](int id) { return static_cast<double>(logits[static_cast<std::size_t>(id)]); };
  if (ids.size() == 1) return logit(ids.front());
  double top = logit(ids.front()), sum = 0;
  for (const int id : ids) top = std::max(top, logit(id));
  for (const int id : ids) sum += std::exp(logit(id) - top);
  return top + std::log(sum);
}

/// log p of a token.
template <typename T>
double log_probability_of(std::span<const T> logits, int id) {
  double top = static_cast<double>(logits.front()), sum = 0;
  for (const T x : logits) top = std::max(top, static_cast<double>(x));
  for (const T x : logits) sum += std::exp(static_cast<double>(x) - top);
  return static_cast<double>(logits[static_cast<std::size_t>(id)]) - top - std::log(sum);
}

/// That of the first tokens, where answers are sequences.
template <typename T>
double logit_difference_of(std::span<const T> logits, const prompt_pair& p) {
  return log_sum_of(logits, p.correct_ids()) - log_sum_of(logits, p.wrong_ids());
}

}  // namespace trimtab
