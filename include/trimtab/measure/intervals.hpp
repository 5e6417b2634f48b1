// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/measure/metrics.hpp>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

/// How sure a figure is: Wilson's interval for a rate, the standard error for a mean, and the difference between two
/// evaluations on the same prompts, taken prompt by prompt.

namespace trimtab {

/// The ends of a 95 % interval.
struct interval {
  double low = 0;
  double high = 0;

  friend bool operator==(const interval&, const interval&) = default;
};

/// A mean and its standard error, which is NaN for fewer than two values.
struct estimate {
  double mean = 0;
  double standard_error = std::numeric_limits<double>::quiet_NaN();
};

namespace detail {
inline constexpr double normal_quantile = 1.959963984540054;  // 97.5 % of a normal distribution lie below it
}

/// Wilson's 95 % interval (1927) for a rate that was counted over `n` trials.
inline interval wilson(double rate, index_t n) {
  assert(rate >= 0 and rate <= 1 and n > 0);
  const double trials = static_cast<double>(n), z2 = detail::normal_quantile * detail::normal_quantile / trials;
  const double middle = (rate + z2 / 2) / (1 + z2), half = std::sqrt(z2 * (rate * (1 - rate) + z2 / 4)) / (1 + z2);
  return {rate == 0 ? 0 : middle - half, rate == 1 ? 1 : middle + half};  // without the rounding
}

inline estimate mean_of(std::span<const double> values) {
  const auto n = static_cast<double>(values.size());
  estimate found;
  for (double x : values) found.mean += x;
  found.mean /= n;
  if (values.size() < 2) return found;
  double squares = 0;
  for (double x : values) squares += (x - found.mean) * (x - found.mean);
  found.standard_error = std::sqrt(squares / (n - 1) / n);
  return found;
}

/// The 95 % interval of a mean, by the normal distribution.
inline interval around(const estimate& e) {
  const double half = detail::normal_quantile * e.standard_error;
  return {e.mean - half, e.mean + half};
}

/// One figure of each prompt at a strength.
inline std::vector<double> each_prompt(const metrics& m, double strength, double strength_metrics::*figure) {
  std::vector<double> values;
  for (const strength_metrics& one : m.per_prompt.at(strength)) values.push_back(one.*figure);
  return values;
}

/// The mean of each prompt's figure over the strengths that steer.
inline std::vector<double> each_prompt(const metrics& m, double strength_metrics::*figure) {
  std::vector<double> values(static_cast<std::size_t>(m.prompts));
  const std::vector<double> strengths = m.steering_strengths();
  for (const double beta : strengths)
    std::ranges::transform(values, m.per_prompt.at(beta), values.begin(), [&](double sum, const strength_metrics& one) {
      return sum + one.*figure / static_cast<double>(strengths.size());
    });
  return values;
}

/// 1 for each prompt whose answer follows every strength that is not 0, else 0.
inline std::vector<double> follows_every_strength(const metrics& m) {
  const bool any = std::ranges::any_of(m.strengths, [](double beta) { return beta != 0; });
  std::vector<double> all(static_cast<std::size_t>(m.prompts), any ? 1.0 : 0.0);
  for (double beta : m.strengths)
    for (std::size_t n = 0; n < all.size() and beta != 0; ++n) all[n] *= m.per_prompt.at(beta)[n].flip_rate;
  return all;
}

/// The mean of `values` − `others`, both of the same prompts in the same order.
inline estimate paired_difference(std::span<const double> values, std::span<const double> others) {
  assert(values.size() == others.size());
  std::vector<double> differences(values.size());
  std::ranges::transform(values, others, differences.begin(), [](double a, double b) { return a - b; });
  return mean_of(differences);
}

/// Throws `mismatch` for evaluations of different prompts or at different strengths, whose figures have no pairs.
inline void require_same_prompts(const metrics& a, const metrics& b) {
  if (a.strengths != b.strengths or a.logit_diffs.at(0) != b.logit_diffs.at(0))
    throw error(error_kind::mismatch,
                "the two evaluations are of different prompts or strengths, so their figures cannot be paired; "
                "evaluate both on the same prompts in the same order");
}

}  // namespace trimtab
