// SPDX-License-Identifier: Apache-2.0
#include <trimtab/report/page/describe.hpp>

#include <trimtab/compose.hpp>

#include "support/compositions.hpp"

namespace trimtab::test::describe_tests {

namespace {

const auto& model() {
  static const auto m = small_model<small_gpt2, double>();
  return m;
}

std::vector<std::string> quantities(const report::fit_report& r) {
  std::vector<std::string> names;
  for (const auto& group : r.maps) names.push_back(group.quantity);
  return names;
}

}  // namespace

TEST_CASE("A report measures a fit on each set of prompts and over a sweep of strengths") {
  const auto train = random_prompts(model().config(), {4, 4}), test = random_prompts(model().config(), {4, 4, 4});
  const auto composition = steer(model(), at(site::attn_out{}, policy::affine{}));
  auto values = random_parameters(composition.layout(train));
  const std::vector<report::prompt_set> sets{{"train", train}, {"test", test}};
  const auto r = report::describe(composition, values, sets, {}, {.asked = {{"seed", "7"}}, .sweep = {-0.5, 2}});
  REQUIRE(r.sets.size() == 2);
  CHECK(r.sets[0].measured.logit_diffs == evaluate(composition, values, train).logit_diffs);
  CHECK(r.sets[1].prompts.size() == 3);
  CHECK(r.swept == "test");
  CHECK(r.sweep.at.at(2).kl_masked == evaluate(composition, values, test, {.strengths = {2}}).kl_masked);
  CHECK(r.asked.front() == report::fact{"seed", "7"});
  CHECK(r.counts == count_parameters(values));
  CHECK(quantities(r) == std::vector<std::string>{"alpha", "vector", "norm_ratio", "cosine"});
  CHECK(r.maps[0].maps[0].values[0][0] == values.theta[0]);
}

TEST_CASE("A gate has maps of its weights and of its values at each token") {
  const auto prompts = random_prompts(model().config(), {3, 5});
  const auto composition = steer(model(), at(site::mlp_out{}, policy::dyn_scalar<>{}, layers::list({0, 1})));
  auto values = random_parameters(composition.layout(prompts));
  std::fill(values.theta.begin() + values.layout.blocks[0].record_size, values.theta.end(), 0.0);  // layer 1
  const auto r = report::describe(composition, values, std::vector<report::prompt_set>{{"train", prompts}});
  CHECK(quantities(r) == std::vector<std::string>{"weight", "bias", "gate", "gate"});
  const auto geometry =
      measure_geometry(composition, values, std::span(prompts).subspan(1, 1), 1, positions::absolute());
  CHECK(r.maps[3].maps[0].values[0] == geometry[0].stretch[0]);
  CHECK(r.maps[3].maps[0].columns.size() == 5);
  CHECK(r.maps[3].maps[0].values[1] == std::vector<double>(5, 0.0));  // exactly 0, because its parameters are
}

TEST_CASE("Scalars have no map of directions, and only gates one of what they computed") {
  const auto prompts = random_prompts(model().config(), {4, 4});
  const auto composition =
      steer(model(), at(site::attn_out{}, policy::activ_scalar{}), at(site::mlp_out{}, policy::dyn_scalar<>{}),
            at(site::resid_post{}, policy::steer_vec{}));
  const auto values = random_parameters(composition.layout(prompts));
  const auto r = report::describe(composition, values, std::vector<report::prompt_set>{{"train", prompts}});
  const auto sites = [&](const std::string& quantity) {
    std::vector<std::string> of;
    for (const auto& group : r.maps)
      if (group.quantity == quantity)
        for (const auto& map : group.maps) of.push_back(map.title);
    return of;
  };
  CHECK(sites("norm_ratio") == std::vector<std::string>{"attn_out", "mlp_out", "resid_post"});
  CHECK(sites("cosine") == std::vector<std::string>{"resid_post"});
  CHECK(sites("gate") == std::vector<std::string>{"mlp_out", "mlp_out"});
}

TEST_CASE("A cosine that only rounding keeps from 1 is 1", "[report]") {
  CHECK(report::detail::without_rounding({{0.9999999, 1.0000001, 0.99999, -1}}) ==
        std::vector<std::vector<double>>{{1, 1, 0.99999, -1}});
}

TEST_CASE("Prompts of a length that absolute positions do not have are left out") {
  const auto train = random_prompts(model().config(), {4, 4}), other = random_prompts(model().config(), {3, 6});
  const auto composition = steer(model(), at(site::attn_out{}, policy::activ_scalar{}));
  const auto values = random_parameters(composition.layout(train));
  const auto r = report::describe(composition, values,
                                  std::vector<report::prompt_set>{{"train", train}, {"other", other}, {"none", {}}});
  REQUIRE(r.sets.size() == 1);
  CHECK(r.swept == "train");
}

}  // namespace trimtab::test::describe_tests
