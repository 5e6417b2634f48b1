// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/measure/intervals.hpp>
#include <trimtab/measure/metrics.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

/// What the untouched model does on the same prompts, without which a figure says little: a model that is right on
/// every prompt "flips" every prompt towards the right answer before anything is done.

namespace trimtab {

/// An evaluation's figures without the intervention: at each strength those of the untouched model.
inline metrics untouched_of(const metrics& m) {
  metrics bare{.top_other_same = 1, .prompts = m.prompts, .strengths = m.strengths};
  bare.at[0] = m.at.at(0);
  bare.logit_diffs[0] = m.logit_diffs.at(0);
  bare.per_prompt[0] = m.per_prompt.at(0);
  const auto n = static_cast<double>(m.prompts);
  for (const double beta : m.strengths) {
    std::vector<strength_metrics>& each = bare.per_prompt[beta] = m.per_prompt.at(0);
    strength_metrics& mean = bare.at[beta] = m.at.at(0);
    mean.flip_rate = 0;
    for (strength_metrics& one : each) {
      one.flip_rate = beta * one.logit_diff > 0 ? 1 : 0;
      mean.flip_rate += one.flip_rate;
    }
    mean.flip_rate /= n;
    bare.logit_diffs[beta] = m.logit_diffs.at(0);
    // These compare with the untouched model, which is this one.
    mean.kl_masked = mean.kl_full = 0;
    mean.top_other_same = 1;
    for (strength_metrics& one : each) one.kl_masked = one.kl_full = 0, one.top_other_same = 1;
  }
  for (const double follows : follows_every_strength(bare)) bare.flip_rate_both += follows;
  bare.flip_rate_both /= n;
  return bare;
}

/// How a rate differs from another on the same prompts: by the prompts that it gained and those that it lost.
struct paired_rates {
  index_t gained = 0, lost = 0, prompts = 0;

  double difference() const { return static_cast<double>(gained - lost) / static_cast<double>(prompts); }
  /// The 95 % interval of the difference of McNemar's pairs, Wald's with one pair added to each of the two counts
  /// (Bonett and Price 2012), which keeps its level for few pairs, too.
  interval within() const {
    const double n = static_cast<double>(prompts) + 2;
    const double up = static_cast<double>(gained + 1) / n, down = static_cast<double>(lost + 1) / n;
    const double half = detail::normal_quantile * std::sqrt((up + down - (up - down) * (up - down)) / n);
    return {std::max(-1.0, up - down - half), std::min(1.0, up - down + half)};
  }

  friend bool operator==(const paired_rates&, const paired_rates&) = default;
};

/// Which prompts newly follow a strength, and which no longer do, compared with the untouched model.
inline paired_rates newly_flipped(const metrics& m, double beta) {
  paired_rates pairs{.prompts = m.prompts};
  const std::vector<strength_metrics>&before = m.per_prompt.at(0), &after = m.per_prompt.at(beta);
  for (std::size_t n = 0; n < after.size(); ++n) {
    const bool did = beta * before[n].logit_diff > 0, does = after[n].flip_rate > 0;
    pairs.gained += does and not did;
    pairs.lost += did and not does;
  }
  return pairs;
}

}  // namespace trimtab
