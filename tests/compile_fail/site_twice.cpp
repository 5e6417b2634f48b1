// expected: a site is hooked twice: give it one intervention, and policy::sequence if it takes several policies
// SPDX-License-Identifier: Apache-2.0

#include "bare_model.hpp"

auto compose(const test::bare_gpt2& model) {
#ifdef TRIMTAB_MISUSE
  return steer(model, at(site::attn_out{}, policy::activ_scalar{}), at(site::attn_out{}, policy::steer_vec{}));
#else
  return steer(model, at(site::attn_out{}, policy::activ_scalar{}), at(site::mlp_out{}, policy::steer_vec{}));
#endif
}
