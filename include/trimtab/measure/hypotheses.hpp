// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/measure/intervals.hpp>
#include <trimtab/measure/untouched.hpp>

#include <cassert>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <span>
#include <string_view>
#include <vector>

/// Findings as hypotheses. Each says that a figure is at least some margin that was fixed before anything was measured,
/// "the flip rate falls by no more than 0.1" being `difference >= -0.1`. It is held if the whole 95 % interval of the
/// figure is, not held if none of the interval is, and otherwise not decided.

namespace trimtab {

enum class verdict { held, not_held, not_decided };

constexpr std::string_view text_of(verdict v) {
  constexpr std::string_view words[] = {"held", "not held", "not decided"};
  return words[static_cast<std::size_t>(v)];
}

/// A hypothesis with the figure behind it.
struct finding {
  double estimate = 0;
  interval within = {};  ///< NaN at both ends where there are too few values for one
  double margin = 0;     ///< the least figure that the hypothesis allows
  verdict said = verdict::not_decided;

  friend bool operator==(const finding&, const finding&) = default;
};

/// Whether a figure with this interval is at least `margin`. An interval without ends decides nothing.
inline finding at_least(double margin, double estimate, const interval& within) {
  finding f{estimate, within, margin, verdict::not_decided};
  if (within.low >= margin) f.said = verdict::held;
  if (within.high < margin) f.said = verdict::not_held;
  return f;
}

/// The distance from the mean within which 95 % of Student's distribution lie, 12.7 for one degree of freedom and 1.96
/// for many. The probability within t is a finite sum over cos θ, θ = atan(t / √freedom) (Abramowitz and Stegun,
/// 26.7.3 and 26.7.4), which bisection inverts.
inline double student_quantile(index_t freedom) {
  assert(freedom > 0);
  const bool odd = freedom % 2 == 1;
  const auto within = [&](double theta) {
    const double cosine = std::cos(theta);
    double sum = 0, term = odd ? cosine : 1;
    for (index_t k = odd ? 3 : 2; k <= freedom; k += 2) {
      sum += term;
      term *= cosine * cosine * static_cast<double>(k - 1) / static_cast<double>(k);
    }
    return odd ? (theta + std::sin(theta) * sum) * 2 / std::numbers::pi : std::sin(theta) * sum;
  };
  double low = 0, high = std::numbers::pi / 2;
  for (int halving = 0; halving < 60; ++halving) {
    const double middle = (low + high) / 2;
    (within(middle) < 0.95 ? low : high) = middle;
  }
  return std::sqrt(static_cast<double>(freedom)) * std::tan(low);
}

/// Whether the mean of what `values` are drawn from is at least `margin`, by Student's interval: for paired differences
/// one value a pair. Fewer than two values decide nothing.
inline finding mean_at_least(double margin, std::span<const double> values) {
  assert(not values.empty());
  const estimate mean = mean_of(values);
  const double half =
      values.size() < 2 ? mean.standard_error : student_quantile(std::ssize(values) - 1) * mean.standard_error;
  return at_least(margin, mean.mean, {mean.mean - half, mean.mean + half});
}

/// Whether a rate is at least another plus `margin`, both counted on the same prompts: 1 for each that follows, else 0.
inline finding rate_at_least(double margin, std::span<const double> follows, std::span<const double> others) {
  assert(follows.size() == others.size() and not follows.empty());
  paired_rates pairs{.prompts = std::ssize(follows)};
  for (std::size_t n = 0; n < follows.size(); ++n) {
    pairs.gained += follows[n] > others[n];
    pairs.lost += follows[n] < others[n];
  }
  return at_least(margin, pairs.difference(), pairs.within());
}

/// The 95 % interval of the difference `rate` − `other` between rates that were counted on different prompts:
/// Newcombe's hybrid of Wilson's intervals (1998, method 10).
inline interval difference_within(double rate, index_t n, double other, index_t of_other) {
  const interval own = wilson(rate, n), their = wilson(other, of_other);
  const double difference = rate - other;
  return {difference - std::hypot(rate - own.low, their.high - other),
          difference + std::hypot(own.high - rate, other - their.low)};
}

/// Whether a rate on `n` new prompts is at least the rate on `of_known` known ones plus `margin`. There is nothing to
/// generalise, and nothing is decided, unless the rate on the known prompts is surely above |margin|.
inline finding generalises(double margin, double rate, index_t n, double known, index_t of_known) {
  finding f = at_least(margin, rate - known, difference_within(rate, n, known, of_known));
  if (wilson(known, of_known).low <= std::abs(margin)) f.said = verdict::not_decided;
  return f;
}

/// The share of the places kept by either of two fits that both keep (Jaccard's index); NaN if neither keeps any.
inline double jaccard(const std::vector<bool>& kept, const std::vector<bool>& others) {
  assert(kept.size() == others.size());
  double both = 0, either = 0;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    both += kept[i] and others[i];
    either += kept[i] or others[i];
  }
  return both / either;
}

/// Jaccard's index of every two of some fits, by their kept places.
inline std::vector<double> agreements(std::span<const std::vector<bool>> fits) {
  std::vector<double> found;
  for (std::size_t a = 0; a < fits.size(); ++a)
    for (std::size_t b = a + 1; b < fits.size(); ++b) found.push_back(jaccard(fits[a], fits[b]));
  return found;
}

}  // namespace trimtab
