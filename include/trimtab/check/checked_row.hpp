// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/check/adjoint_check.hpp>
#include <trimtab/core/random.hpp>
#include <trimtab/core/view.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <vector>

/// Gradients of random rows, computed three ways, and what their differences say.

namespace trimtab::detail {

/// An operand with a gradient, and where its numbers are among all inputs.
struct checked_operand {
  std::string label;
  index_t offset, count;
  index_t channels;  ///< 0 for a parameter per row
  bool several;      ///< several numbers per row, or rows of a matrix

  std::string place(index_t row, index_t i) const {
    std::string text = "row " + std::to_string(row);
    if (channels == 0) return several ? text + ", number " + std::to_string(i) : text;
    if (several) text += ", number " + std::to_string(i / channels);
    return text + ", channel " + std::to_string(i % channels);
  }
};

/// One row's gradient computed three ways, each [all inputs].
struct checked_row {
  double beta = 0;
  std::vector<double> written = {}, complex_step = {}, central = {};

  /// Relative to the largest derivative of the operand; infinite for NaN and infinities.
  double difference(const checked_operand& of, const std::vector<double>& found, index_t i) const {
    const auto all = [&](index_t k) { return static_cast<std::size_t>(of.offset + k); };
    double scale = 0.1;
    for (index_t k = 0; k < of.count; ++k) scale = std::max(scale, std::abs(complex_step[all(k)]));
    const double d = std::abs(found[all(i)] - complex_step[all(i)]) / scale;
    return std::isfinite(d) ? d : std::numeric_limits<double>::infinity();
  }
  double largest_difference(const checked_operand& of, const std::vector<double>& found) const {
    double worst = 0;
    for (index_t i = 0; i < of.count; ++i) worst = std::max(worst, difference(of, found, i));
    return worst;
  }
  bool is_certain(const std::vector<checked_operand>& operands) const {
    return std::ranges::all_of(operands, [&](const checked_operand& of) {
      return largest_difference(of, central) <= adjoint_difference::derivative_tolerance;
    });
  }
};

inline std::vector<double> random_numbers(random_generator& random, index_t count, double scale) {
  std::vector<double> numbers(static_cast<std::size_t>(count));
  for (double& x : numbers) x = scale * random.normal();
  return numbers;
}

/// The most common mistakes: a constant factor, and β left out or applied twice.
inline std::string common_mistake(const checked_operand& of, const std::vector<checked_row>& rows) {
  const auto is_everywhere = [&](auto factor) {
    return std::ranges::all_of(rows, [&](const checked_row& row) {
      checked_row mistaken = row;
      for (double& x : mistaken.complex_step) x *= factor(row.beta);
      return mistaken.largest_difference(of, row.written) <= adjoint_difference::tolerance;
    });
  };
  double written = 0, derivative = 0;
  for (const checked_row& row : rows)
    for (index_t i = 0; i < of.count; ++i) {
      const auto k = static_cast<std::size_t>(of.offset + i);
      if (std::abs(row.complex_step[k]) > std::abs(derivative))
        written = row.written[k], derivative = row.complex_step[k];
    }
  if (written == 0 and is_everywhere([](double) { return 0.0; })) return "it is zero everywhere";
  const double factor = written / derivative;
  if (is_everywhere([&](double) { return factor; }))
    return "everywhere it is " + short_number(factor) + " times what it should be";
  if (is_everywhere([](double beta) { return 1 / beta; })) return "a factor \xCE\xB2 is missing";
  if (is_everywhere([](double beta) { return beta; })) return "there is an extra factor \xCE\xB2";
  return {};
}

inline adjoint_difference summary_of(const checked_operand& of, const std::vector<checked_row>& rows) {
  adjoint_difference found{.operand = of.label};
  double worst = -1;
  for (std::size_t n = 0; n < rows.size(); ++n)
    for (index_t i = 0; i < of.count; ++i) {
      const double difference = rows[n].difference(of, rows[n].written, i);
      const double doubt = rows[n].difference(of, rows[n].central, i);
      found.max_difference = std::max(found.max_difference, difference);
      found.max_derivative_doubt = std::max(found.max_derivative_doubt, doubt);
      // Relative to their tolerances, so that the two can be compared.
      const double excess =
          std::max(difference / adjoint_difference::tolerance, doubt / adjoint_difference::derivative_tolerance);
      if (excess <= worst) continue;
      worst = excess;
      const auto k = static_cast<std::size_t>(of.offset + i);
      found.place = of.place(static_cast<index_t>(n), i);
      found.written = rows[n].written[k];
      found.complex_step = rows[n].complex_step[k];
      found.central = rows[n].central[k];
    }
  if (found.is_certain() and not found.is_right()) found.hint = common_mistake(of, rows);
  return found;
}

}  // namespace trimtab::detail
