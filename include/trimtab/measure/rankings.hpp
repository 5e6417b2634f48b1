// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/random.hpp>
#include <trimtab/core/view.hpp>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <numeric>
#include <span>
#include <vector>

/// How far two rankings of the same places agree, and how far a ranking describes the model. Places are ranked by the
/// size of their scores; NaN is no score and counts as 0.

namespace trimtab {

/// The sizes of scores, by which places are ranked.
inline std::vector<double> sizes_of(std::span<const double> scores) {
  std::vector<double> sizes;
  for (double x : scores) sizes.push_back(std::isnan(x) ? 0 : std::abs(x));
  return sizes;
}

/// The places from the largest number down; equal ones in their order.
inline std::vector<std::size_t> order_by(std::span<const double> numbers) {
  std::vector<std::size_t> order(numbers.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::ranges::greater{}, [&](std::size_t i) { return numbers[i]; });
  return order;
}

/// The rank of each number, 1 for the largest; equal numbers share the mean of their ranks.
inline std::vector<double> ranks_of(std::span<const double> numbers) {
  const std::vector<std::size_t> order = order_by(numbers);
  std::vector<double> ranks(numbers.size());
  for (std::size_t first = 0, last = 0; first < order.size(); first = last) {
    while (last < order.size() and numbers[order[last]] == numbers[order[first]]) ++last;
    for (std::size_t i = first; i < last; ++i) ranks[order[i]] = static_cast<double>(first + 1 + last) / 2;
  }
  return ranks;
}

/// Spearman's ρ of two lists of numbers: the correlation of their ranks. 0 where all of a list are equal.
inline double spearman(std::span<const double> a, std::span<const double> b) {
  assert(a.size() == b.size());
  const std::vector<double> x = ranks_of(a), y = ranks_of(b);
  const double mean = static_cast<double>(a.size() + 1) / 2;
  double xy = 0, xx = 0, yy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mean) * (y[i] - mean);
    xx += (x[i] - mean) * (x[i] - mean);
    yy += (y[i] - mean) * (y[i] - mean);
  }
  return xx > 0 and yy > 0 ? xy / std::sqrt(xx * yy) : 0;
}

namespace detail {

/// How many pairs a list has whose order is wrong; sorts it (Knight 1966: merge sort counts them).
inline double sort_and_count(std::span<double> list, std::vector<double>& memory) {
  if (list.size() < 2) return 0;
  const std::size_t half = list.size() / 2;
  double count = sort_and_count(list.first(half), memory) + sort_and_count(list.subspan(half), memory);
  memory.clear();
  std::size_t left = 0, right = half;
  while (left < half or right < list.size())
    if (right == list.size() or (left < half and list[left] <= list[right])) {
      memory.push_back(list[left++]);
    } else {
      count += static_cast<double>(half - left);
      memory.push_back(list[right++]);
    }
  std::ranges::copy(memory, list.begin());
  return count;
}

/// How many pairs of a sorted list are equal.
template <typename Same>
double tied_pairs(std::size_t count, Same same) {
  double pairs = 0;
  for (std::size_t first = 0, last = 0; first < count; first = last) {
    while (last < count and same(first, last)) ++last;
    const auto n = static_cast<double>(last - first);
    pairs += n * (n - 1) / 2;
  }
  return pairs;
}

}  // namespace detail

/// Kendall's τ-b of two lists of numbers: (concordant − discordant pairs) / √(pairs untied in a · pairs untied in b). 0
/// where all of a list are equal.
inline double kendall(std::span<const double> a, std::span<const double> b) {
  assert(a.size() == b.size());
  const std::size_t n = a.size();
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, [&](std::size_t i, std::size_t j) { return a[i] != a[j] ? a[i] < a[j] : b[i] < b[j]; });
  std::vector<double> by_a, memory;
  for (std::size_t i : order) by_a.push_back(b[i]);
  const double tied_in_a =
      detail::tied_pairs(n, [&](std::size_t i, std::size_t j) { return a[order[i]] == a[order[j]]; });
  const double tied_in_both = detail::tied_pairs(
      n, [&](std::size_t i, std::size_t j) { return a[order[i]] == a[order[j]] and by_a[i] == by_a[j]; });
  const double discordant = detail::sort_and_count(by_a, memory);
  const double tied_in_b = detail::tied_pairs(n, [&](std::size_t i, std::size_t j) { return by_a[i] == by_a[j]; });
  const double pairs = static_cast<double>(n) * (static_cast<double>(n) - 1) / 2;
  const double size = std::sqrt((pairs - tied_in_a) * (pairs - tied_in_b));
  return size > 0 ? (pairs - tied_in_a - tied_in_b + tied_in_both - 2 * discordant) / size : 0;
}

/// Which share of the first k places of one ranking are among the first k of the other.
inline double overlap(std::span<const double> a, std::span<const double> b, std::size_t k) {
  assert(a.size() == b.size() and k <= a.size());
  if (k == 0) return 0;
  auto first = order_by(a), other = order_by(b);
  first.resize(k), other.resize(k);
  std::ranges::sort(first), std::ranges::sort(other);
  std::vector<std::size_t> both;
  std::ranges::set_intersection(first, other, std::back_inserter(both));
  return static_cast<double>(both.size()) / static_cast<double>(k);
}

/// The area under the ROC curve: how often a place that decides the answer has a larger number than one that does not;
/// equal numbers count half. 1 is a perfect ranking, 0.5 a blind one; NaN where either kind is missing.
inline double roc_area(std::span<const double> numbers, const std::vector<bool>& decides) {
  assert(numbers.size() == decides.size());
  const std::vector<double> ranks = ranks_of(numbers);
  double count = 0, sum = 0;
  for (std::size_t i = 0; i < ranks.size(); ++i)
    if (decides[i]) sum += ranks[i], ++count;
  const double others = static_cast<double>(ranks.size()) - count;
  return (count * others + count * (count + 1) / 2 - sum) / (count * others);
}

/// The share of the places that decide the answer that are among the first k, places with the number 0 not being
/// ranked at all.
inline double recall(std::span<const double> numbers, const std::vector<bool>& decides, std::size_t k) {
  const std::vector<std::size_t> order = order_by(numbers);
  double found = 0, all = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    all += decides[order[i]];
    found += i < k and numbers[order[i]] > 0 and decides[order[i]];
  }
  return found / all;
}

/// The share of the first k places of a ranking that decide the answer, places with the number 0 not being ranked at
/// all; NaN where none is ranked.
inline double precision(std::span<const double> numbers, const std::vector<bool>& decides, std::size_t k) {
  const std::vector<std::size_t> order = order_by(numbers);
  double right = 0, ranked = 0;
  for (std::size_t i = 0; i < std::min(k, order.size()) and numbers[order[i]] > 0; ++i, ++ranked)
    right += decides[order[i]];
  return right / ranked;
}

/// Of ascending values, at least one, the one that has this share of the others below it.
inline double quantile_of(std::span<const double> sorted, double share) {
  return sorted[static_cast<std::size_t>(std::llround(share * static_cast<double>(sorted.size() - 1)))];
}

/// A number with the interval that holds 95 % of its bootstrap samples.
struct with_interval {
  double value = 0;
  double low = 0, high = 0;
};

struct ranking_agreement {
  with_interval spearman = {}, kendall = {}, overlap = {};
  std::size_t k = 0;  ///< of the overlap
};

/// `statistic(prompts)` on the prompts themselves, and on `samples` lists of as many prompts drawn with replacement, of
/// which those count that give a finite number.
template <typename Statistic>
with_interval bootstrap(std::size_t prompts, Statistic statistic, int samples, std::uint64_t seed) {
  std::vector<std::size_t> drawn(prompts);
  std::iota(drawn.begin(), drawn.end(), std::size_t{0});
  with_interval found{.value = statistic(std::span<const std::size_t>(drawn))};
  random_generator random(seed);
  std::vector<double> values;
  for (int s = 0; s < samples; ++s) {
    for (std::size_t& n : drawn) n = random.below(prompts);
    if (const double value = statistic(std::span<const std::size_t>(drawn)); std::isfinite(value))
      values.push_back(value);
  }
  std::ranges::sort(values);
  found.low = values.empty() ? found.value : quantile_of(values, 0.025);
  found.high = values.empty() ? found.value : quantile_of(values, 0.975);
  return found;
}

namespace detail {

/// The sizes of the mean scores [places] of some of the prompts [prompts][places].
inline std::vector<double> sizes_of_means(std::span<const std::vector<double>> per_prompt,
                                          std::span<const std::size_t> prompts) {
  std::vector<double> sum(per_prompt.front().size());
  std::vector<int> counts(sum.size());
  for (std::size_t n : prompts)
    for (std::size_t i = 0; i < sum.size(); ++i)
      if (not std::isnan(per_prompt[n][i])) sum[i] += per_prompt[n][i], ++counts[i];
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] = std::abs(sum[i]) / std::max(1, counts[i]);
  return sum;
}

/// The agreement of what `first(prompts)` and `second(prompts)` give for prompts drawn for both at once.
template <typename First, typename Second>
ranking_agreement agreement_over(std::size_t prompts, First first, Second second, std::size_t k, int samples,
                                 std::uint64_t seed) {
  const auto with = [&](auto measure) {
    return bootstrap(
        prompts, [&](std::span<const std::size_t> drawn) { return measure(first(drawn), second(drawn)); }, samples,
        seed);
  };
  using list = std::vector<double>;
  return {with([](const list& a, const list& b) { return spearman(a, b); }),
          with([](const list& a, const list& b) { return kendall(a, b); }),
          with([&](const list& a, const list& b) { return overlap(a, b, k); }), k};
}

}  // namespace detail

/// The agreement of the mean scores of prompts [prompts][places] with the scores of another ranking [places], by size;
/// intervals are over prompts.
inline ranking_agreement compare_rankings(std::span<const std::vector<double>> per_prompt,
                                          std::span<const double> other, std::size_t k, int samples = 1000,
                                          std::uint64_t seed = 1) {
  return detail::agreement_over(
      per_prompt.size(), [&](std::span<const std::size_t> drawn) { return detail::sizes_of_means(per_prompt, drawn); },
      [theirs = sizes_of(other)](std::span<const std::size_t>) -> const std::vector<double>& { return theirs; }, k,
      samples, seed);
}

/// The same of two lists of scores of the same prompts, which are drawn for both at once.
inline ranking_agreement compare_rankings(std::span<const std::vector<double>> per_prompt,
                                          std::span<const std::vector<double>> other, std::size_t k, int samples = 1000,
                                          std::uint64_t seed = 1) {
  assert(per_prompt.size() == other.size());
  return detail::agreement_over(
      per_prompt.size(), [&](std::span<const std::size_t> drawn) { return detail::sizes_of_means(per_prompt, drawn); },
      [&](std::span<const std::size_t> drawn) { return detail::sizes_of_means(other, drawn); }, k, samples, seed);
}

/// A faithfulness curve: which share of the gap is left if only the first places of a ranking keep their activations.
struct faithfulness_curve {
  /// The shares of places that are kept (MIB).
  static constexpr double shares[] = {.001, .002, .005, .01, .02, .05, .1, .2, .5, 1};

  std::vector<double> kept = {};          ///< the shares
  std::vector<double> faithfulness = {};  ///< at each share

  /// The area below the curve by the trapezoid rule.
  double area() const {
    return integral([](double f) { return f; });
  }
  /// The area between the curve and 1.
  double area_to_one() const {
    return integral([](double f) { return std::abs(1 - f); });
  }

 private:
  template <typename Height>
  double integral(Height height) const {
    double sum = 0;
    for (std::size_t i = 1; i < kept.size(); ++i)
      sum += (kept[i] - kept[i - 1]) * (height(faithfulness[i]) + height(faithfulness[i - 1])) / 2;
    return sum;
  }
};

}  // namespace trimtab
