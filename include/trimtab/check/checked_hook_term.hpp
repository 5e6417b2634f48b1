// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/check/checked_row.hpp>
#include <trimtab/check/plain_row.hpp>
#include <trimtab/core/objective.hpp>

#include <cstddef>
#include <vector>

/// A term on what hooks do under check, as a function of the activations before a hook and after it. Its value is
/// d_value · value, so that its gradient is what `gradient` writes for a random d_value.

namespace trimtab::detail {

template <hook_term Term>
struct checked_hook_term {
  static constexpr const char* function = "gradient";

  struct drawn {
    double beta, d_value;
    std::vector<double> x, before;  ///< of `h`, then of `out`
  };

  Term term;
  index_t width;
  double scale;

  std::vector<checked_operand> operands() const {
    return {{"d_h", 0, width, width, false}, {"d_out", width, width, width, false}};
  }

  drawn draw(random_generator& random, double beta) const {
    return {beta, random.normal(), random_numbers(random, 2 * width, scale), random_numbers(random, 2 * width, 1)};
  }

  template <typename T>
  T value(const drawn& row, const std::vector<T>& x) const {
    plain_row<T, bound_name<per_channel<"h">, const T>, bound_name<per_channel<"out">, const T>> r(width, {x.data()},
                                                                                                   {x.data() + width});
    return static_cast<T>(term.value(r)) * row.d_value;
  }

  /// The gradients start at `before`, because `gradient` must add to them.
  std::vector<double> written(const drawn& row) const {
    std::vector<double> d = row.before;
    plain_row<double, bound_name<per_channel<"h">, const double>, bound_name<per_channel<"out">, const double>,
              bound_name<gradient_of<per_channel<"h">>, double>, bound_name<gradient_of<per_channel<"out">>, double>,
              bound_name<gradient_of<per_row<"value">>, const double>>
        r(width, {row.x.data()}, {row.x.data() + width}, {d.data()}, {d.data() + width}, {&row.d_value});
    term.gradient(r);
    for (std::size_t j = 0; j < d.size(); ++j) d[j] -= row.before[j];
    return d;
  }
};

}  // namespace trimtab::detail
