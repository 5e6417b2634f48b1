// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/report/text.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <string>
#include <vector>

/// An axis of a chart: maps numbers to pixels and gives round numbers as ticks. Numbers far beyond all others are left
/// beyond its ends where they would squash the others.

namespace trimtab::report::detail {

inline std::string fixed(double x) {
  char digits[64];
  std::snprintf(digits, sizeof digits, "%.1f", x);
  return digits;
}

/// The numbers from `low` to `high` on the pixels `from` to `to`.
struct axis {
  double low = 0, high = 0, from = 0, to = 0;

  /// Numbers beyond its ends are at them.
  double at(double x) const { return from + (to - from) * (std::clamp(x, low, high) - low) / (high - low); }

  void widen(double x) { low = std::min(low, x), high = std::max(high, x); }

  /// Ends at round numbers; an empty range becomes one of length 1.
  void round() {
    if (not(high > low)) high = low + 1;
    const double step = round_step();
    low = std::floor(low / step + 1e-9) * step;
    high = std::ceil(high / step - 1e-9) * step;
  }
  double round_step() const {
    const double rough = (high - low) / 4, power = std::pow(10, std::floor(std::log10(rough)));
    const double lead = rough / power;
    return power * (lead <= 1 ? 1 : lead <= 2 ? 2 : lead <= 2.5 ? 2.5 : lead <= 5 ? 5 : 10);
  }
  std::vector<double> ticks() const {
    std::vector<double> all;
    const double step = round_step();
    for (int k = 0; low + k * step <= high + 1e-9 * step; ++k)
      all.push_back(std::abs(low + k * step) < 1e-9 * step ? 0 : low + k * step);
    return all;
  }
};

/// What an axis leaves beyond its ends.
struct beyond_axis {
  std::size_t count = 0;
  double farthest = 0;
};

/// Widens an axis to numbers, NaN aside. A few, at most a tenth of them or two, that are farther from the quartiles
/// than three times the distance between these ("far out", Tukey 1977) stay beyond its ends if with them the others
/// would have less than a quarter of it.
inline beyond_axis widen_to(axis& to, std::vector<double> numbers) {
  std::erase_if(numbers, [](double x) { return std::isnan(x); });
  if (numbers.empty()) return {};
  std::ranges::sort(numbers);
  const auto quartile = [&](std::size_t k) { return numbers[k * (numbers.size() - 1) / 4]; };
  const double far = 3 * (quartile(3) - quartile(1));
  axis whole = to, inner = to;
  for (double x : numbers) {
    whole.widen(x);
    if (x >= quartile(1) - far and x <= quartile(3) + far) inner.widen(x);
  }
  beyond_axis beyond;
  for (double x : numbers)
    if (x < inner.low or x > inner.high) {
      ++beyond.count;
      if (std::abs(x) > std::abs(beyond.farthest)) beyond.farthest = x;
    }
  const bool squashes = inner.high > inner.low and inner.high - inner.low < (whole.high - whole.low) / 4;
  if (squashes and beyond.count <= std::max<std::size_t>(2, numbers.size() / 10)) {
    to = inner;
    return beyond;
  }
  to = whole;
  return {};
}

inline std::string tick_text(double x) {
  char digits[64];
  std::snprintf(digits, sizeof digits, "%.4g", x);
  return with_minus(digits);
}

}  // namespace trimtab::report::detail
