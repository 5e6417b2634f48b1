// expected: a fit takes prompt pairs, such as the `train` of task::ioi(...) or what io::read_prompts gives
// SPDX-License-Identifier: Apache-2.0

#include "bare_model.hpp"

#include <trimtab/objective/effectiveness.hpp>
#include <trimtab/train/trainer.hpp>

auto learn(const test::bare_gpt2& model) {
  const trainer learner(steer(model, at(site::attn_out{}, policy::activ_scalar{})), objective::effectiveness{}, adam{});
#ifdef TRIMTAB_MISUSE
  return learner.fit(std::vector<std::vector<int>>{});
#else
  return learner.replica_of(std::vector<prompt_pair>{});  // the first thing that `fit` does, and quick to compile
#endif
}
