// expected: a term of an objective is trivially copyable and has value(row) and gradient(row)
// SPDX-License-Identifier: Apache-2.0

#include "bare_model.hpp"

#include <trimtab/objective/effectiveness.hpp>
#include <trimtab/objective/weighted_sum.hpp>

struct half_a_term {
  constexpr auto value(row auto& r) const { return r.h(r.correct()); }
#ifndef TRIMTAB_MISUSE
  constexpr void gradient(row auto& r) const {
    r.at(r.correct(), [&](auto j) { r.d_h(j) += r.d_value(); });
  }
#endif
};
template <>
inline constexpr bool trimtab::enable_objective_term<half_a_term> = true;

auto compose() { return objective::effectiveness{} + 0.5 * half_a_term{}; }
