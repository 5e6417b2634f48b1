// expected: the third argument of trainer() is an optimizer, such as adam{.learning_rate = 0.03}: a type with an
// SPDX-License-Identifier: Apache-2.0

#include "bare_model.hpp"

#include <trimtab/objective/effectiveness.hpp>
#include <trimtab/train/trainer.hpp>

struct descent {
  struct step {
    constexpr void forward(row auto& r) const {
      r.each([&](auto j) { r(name::theta, j) -= r.d(name::theta, j); });
    }
  };
#ifdef TRIMTAB_MISUSE
  step update(index_t) const { return {}; }
#else
  step update(index_t, penalty) const { return {}; }
#endif
};

auto learn(const test::bare_gpt2& model) {
  return trainer(steer(model, at(site::attn_out{}, policy::activ_scalar{})), objective::effectiveness{}, descent{});
}
