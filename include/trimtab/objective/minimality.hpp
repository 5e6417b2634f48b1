// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/objective.hpp>

/// L_M: few and small parameters, Σ |θ| (or its mean, or the Euclidean norms of the places). Its weight reaches the
/// optimizer, whose proximal step makes zeros exact.

namespace trimtab::objective {

struct minimality {
  static constexpr std::string_view text = "minimality";

  parameter_norm norm = parameter_norm::sum;

  constexpr void each_setting(auto&& f) const { f("norm", norm); }
};

}  // namespace trimtab::objective

template <>
inline constexpr bool trimtab::enable_objective_term<trimtab::objective::minimality> = true;
