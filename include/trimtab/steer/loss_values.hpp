// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

/// What the loss of a fit is made of, before a step.

namespace trimtab {

/// One term of the loss, before its weight.
struct term_value {
  std::string name = {};
  double weight = 1;
  double value = 0;
  /// The value of each sequence; empty for a penalty on parameters.
  std::vector<double> per_sequence = {};

  friend bool operator==(const term_value&, const term_value&) = default;
};

struct loss_values {
  std::vector<term_value> terms = {};

  double total() const {
    double sum = 0;
    for (const term_value& t : terms) sum += t.weight * t.value;
    return sum;
  }
  /// The same without `per_sequence`: small enough to keep for each step of a long fit.
  loss_values means() const {
    loss_values brief;
    brief.terms.reserve(terms.size());
    for (const term_value& t : terms) brief.terms.push_back({t.name, t.weight, t.value, {}});
    return brief;
  }

  friend bool operator==(const loss_values&, const loss_values&) = default;
};

}  // namespace trimtab
