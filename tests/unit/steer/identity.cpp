// SPDX-License-Identifier: Apache-2.0
#include "support/compositions.hpp"

namespace trimtab::test::identity_tests {

namespace {

template <typename Kind, int Shift>
void check_identity() {
  CAPTURE(Shift);
  const auto model = small_model<Kind, float>();
  const auto prompts = random_prompts(model.config(), {4, 1, 7});
  const auto composition =
      hook_all_sites<Kind, Shift>(model, hooked_places::everywhere<Kind>({positions::from_end(2), positions::shared(),
                                                                          positions::role({"subject", "end"})}));
  const auto layout = composition.layout(prompts);
  const parameters zeros{layout, std::vector<double>(static_cast<std::size_t>(layout.size()))};
  const auto any = random_parameters(layout);
  for (scored where : {scored::last, scored::all}) {
    const auto untouched = logits(model, ids_of(prompts), where);
    for (double beta : {1.0, -1.0, 0.3, 1e6})
      CHECK(same_bits(steered_logits(composition, zeros, prompts, beta, where), untouched));
    CHECK(same_bits(steered_logits(composition, any, prompts, 0, where), untouched));
    CHECK_FALSE(same_bits(steered_logits(composition, any, prompts, 1, where), untouched));
  }
}

}  // namespace

TEMPLATE_TEST_CASE("Fact 1: without parameters, or without strength, logits are the untouched model's bit for bit", "",
                   small_gpt2, small_neox_parallel, small_neox_sequential) {
  check_identity<TestType, 0>();
  check_identity<TestType, 1>();
  check_identity<TestType, 2>();
  check_identity<TestType, 3>();
  check_identity<TestType, 4>();
}

}  // namespace trimtab::test::identity_tests
