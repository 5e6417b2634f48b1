// expected: the second argument of trainer() is an objective: a sum of terms such as objective::effectiveness{} + 1.0 *
// SPDX-License-Identifier: Apache-2.0

#include "bare_model.hpp"

#include <trimtab/objective/effectiveness.hpp>
#include <trimtab/train/trainer.hpp>

// A term for which enable_objective_term is not set.
struct prefers_correct {
  constexpr auto value(row auto& r) const { return -r.h(r.correct()); }
  constexpr void gradient(row auto& r) const {
    r.at(r.correct(), [&](auto j) { r.d_h(j) -= r.d_value(); });
  }
};
#ifndef TRIMTAB_MISUSE
template <>
inline constexpr bool trimtab::enable_objective_term<prefers_correct> = true;
#endif

auto learn(const test::bare_gpt2& model) {
  return trainer(steer(model, at(site::attn_out{}, policy::activ_scalar{})), prefers_correct{}, adam{});
}
