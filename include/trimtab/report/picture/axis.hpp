// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/report/text.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

/// An axis of a chart: maps numbers to pixels and gives round numbers as ticks.

namespace trimtab::report::detail {

inline std::string fixed(double x) {
  char digits[64];
  std::snprintf(digits, sizeof digits, "%.1f", x);
  return digits;
}

/// The numbers from `low` to `high` on the pixels `from` to `to`.
struct axis {
  double low = 0, high = 0, from = 0, to = 0;

  double at(double x) const { return from + (to - from) * (x - low) / (high - low); }

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

inline std::string tick_text(double x) {
  char digits[64];
  std::snprintf(digits, sizeof digits, "%.4g", x);
  return with_minus(digits);
}

}  // namespace trimtab::report::detail
