// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/objective.hpp>

/// How parameters change. Each step asks the optimizer for an update: a row function whose row is one record of
/// parameters, so a backend runs it like any other.

namespace trimtab {

/// The penalty that a step applies to the parameters: its norm and its weight (for `mean`, already divided by the
/// count).
struct penalty {
  double weight = 0;
  parameter_norm norm = parameter_norm::sum;
};

/// What an update sees of a record: the parameters, the gradient of the smooth part of the loss as `d(theta, j)`, and
/// two moments, zero before the first step.
namespace name {
inline constexpr per_channel<"theta"> theta{};
inline constexpr per_channel<"first_moment"> first_moment{};
inline constexpr per_channel<"second_moment"> second_moment{};
}  // namespace name

/// Makes the update of step t = 1, 2, ...
///
/// Satisfied by: `adam`.
/// The update changes `theta` and the moments in place. It never changes a parameter whose gradient was always 0.
template <typename O>
concept optimizer = requires(const O o, index_t t, penalty p, row_archetype<float>& r) {
  o.update(t, p).forward(r);
};

}  // namespace trimtab
