// expected: the first argument of trainer() is a composition: steer(model, at(site::attn_out{}, policy::activ_scalar{})
// SPDX-License-Identifier: Apache-2.0

#include "bare_model.hpp"

#include <trimtab/objective/effectiveness.hpp>
#include <trimtab/train/trainer.hpp>

auto learn(const test::bare_gpt2& model) {
#ifdef TRIMTAB_MISUSE
  return trainer(model, objective::effectiveness{}, adam{});
#else
  return trainer(steer(model, at(site::attn_out{}, policy::activ_scalar{})), objective::effectiveness{}, adam{});
#endif
}
