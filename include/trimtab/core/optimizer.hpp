// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/objective.hpp>

/// How parameters move. An optimizer is asked before each step for the update to make; the update is a row function
/// whose row is one record of parameters, so a backend runs it like any other.

namespace trimtab {

/// The penalty on parameters that a step must honour: its weight (for the mean, already divided by the count) and its
/// form.
struct penalty {
  double weight = 0;
  parameter_norm norm = parameter_norm::sum;
};

/// What an update sees of a record: the parameters, the gradient of the smooth part of the loss as `d(theta, j)`, and
/// two rows of memory, zero before the first step.
namespace name {
inline constexpr per_channel<"theta"> theta{};
inline constexpr per_channel<"first_moment"> first_moment{};
inline constexpr per_channel<"second_moment"> second_moment{};
}  // namespace name

/// Gives the update of step t = 1, 2, ...
///
/// Satisfied by: `adam`.
/// The update changes `theta` and the moments in place, and leaves a parameter whose gradient was always 0 where it is.
template <typename O>
concept optimizer = requires(const O o, index_t t, penalty p, row_archetype<float>& r) {
  o.update(t, p).forward(r);
};

}  // namespace trimtab
