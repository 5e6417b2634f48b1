// expected: an intervention is made by at(site, policy), for example at(site::attn_out{}, policy::activ_scalar{})
// SPDX-License-Identifier: Apache-2.0

#include "bare_model.hpp"

auto compose(const test::bare_gpt2& model) {
#ifdef TRIMTAB_MISUSE
  return steer(model, policy::activ_scalar{});
#else
  return steer(model, at(site::attn_out{}, policy::activ_scalar{}));
#endif
}
