// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/objective.hpp>

#include <string_view>

/// L_M of arXiv 2410.04962: few and small parameters, Σ |θ|, its mean, or the sum of the records' Euclidean norms. The
/// optimizer's proximal step applies it, so zeros are exact.

namespace trimtab::objective {

struct minimality {
  static constexpr std::string_view text = "minimality";

  parameter_norm norm = parameter_norm::sum;

  constexpr void each_setting(auto&& f) const { f("norm", norm); }
};

}  // namespace trimtab::objective

template <>
inline constexpr bool trimtab::enable_objective_term<trimtab::objective::minimality> = true;
