// SPDX-License-Identifier: Apache-2.0
#include <trimtab/policy/library.hpp>
#include <trimtab/steer/dynamic_steering.hpp>

#include "support/compositions.hpp"

namespace trimtab::test::policies_tests {

namespace {

/// One policy at a site in the middle layer, and at another in the last, on the last two tokens and on all.
template <typename Model, typename P>
dynamic_steering<Model> composed(const Model& model, P policy, std::size_t number) {
  using B = typename Model::backend_type;
  const auto site_of = [](std::size_t k) { return *site::find(site::texts(true)[k % site::texts(true).size()]); };
  std::vector<any_intervention<B>> chosen;
  chosen.push_back({site_of(number), policy, layers::list({1}), positions::from_end(2)});
  chosen.push_back({site_of(number + 2), policy, layers::list({2}), positions::shared()});
  return steer(model, std::move(chosen));
}

}  // namespace

TEST_CASE("Every policy of the library has the right gradient in a model") {
  const auto prompts = random_prompts(small_neox_parallel::config(), {4, 1, 3});
  std::size_t number = 0;
  policy::all::each([&]<typename P>(P policy) {
    CAPTURE(policy_text<P>(), number);
    check_model_gradient<small_neox_parallel>([&](const auto& model) { return composed(model, policy, number); },
                                              prompts);
    ++number;
  });
}

TEST_CASE("What minimality does not weigh changes no bit of the logits where the rest is zero") {
  const auto model = small_model<small_gpt2, float>();
  const auto prompts = random_prompts(small_gpt2::config(), {4, 2});
  policy::all::each([&]<typename P>(P policy) {
    CAPTURE(policy_text<P>());
    const auto composition = composed(model, policy, 2);
    auto values = random_parameters(composition.layout(prompts));
    const auto logits = [&] { return steered_logits(composition, values, prompts, 1).values; };
    const auto untouched = trimtab::logits(model, ids_of(prompts)).values;
    CHECK_FALSE(same_bits(logits(), untouched));
    each_unit(values.layout, parameter_norm::sum, [&](std::span<const std::size_t> unit, bool weighed) {
      for (const std::size_t j : unit)
        if (weighed) values.theta[j] = 0;
    });
    CHECK(same_bits(logits(), untouched));
    CHECK(count_parameters(values).nonzero_sites == 0);
  });
}

}  // namespace trimtab::test::policies_tests
