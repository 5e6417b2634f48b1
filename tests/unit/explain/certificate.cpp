// SPDX-License-Identifier: Apache-2.0
#include <trimtab/compose.hpp>
#include <trimtab/explain/certificate.hpp>

#include "support/compositions.hpp"
#include "support/refusal.hpp"

#include <algorithm>
#include <cmath>

namespace trimtab::test::certificate_tests {

using Catch::Matchers::ContainsSubstring;
using explain::place_set;

namespace {

const auto& model() {
  static const auto m = small_model<small_gpt2, double>();
  return m;
}

/// Two ways to the same end: what is added to `mlp_out` of the last layer is added to its `resid_post` as well.
auto two_ways() {
  return steer(model(), at(site::attn_out{}, policy::activ_scalar{}, layers::list({0}), positions::from_end(2)),
               at(site::mlp_out{}, policy::steer_vec{}, layers::list({2}), positions::from_end(1)),
               at(site::resid_post{}, policy::steer_vec{}, layers::list({2}), positions::from_end(1)));
}

/// Prompts with one pair of answers, so that one vector steers them all.
std::vector<prompt_pair> alike() {
  auto prompts = random_prompts(model().config(), {4, 6, 5, 3, 7, 4});
  for (prompt_pair& p : prompts) p.correct_id = 3, p.wrong_id = 8;
  return prompts;
}

/// A vector at the end of the stream that flips every prompt both ways, at one place or at both; and two scalars that
/// do next to nothing.
parameters planted(bool at_mlp, bool at_stream) {
  static const std::vector<double> vector =
      trainer(steer(model(), at(site::resid_post{}, policy::steer_vec{}, layers::list({2}), positions::from_end(1))),
              objective::effectiveness{.margin = 4}, adam{.learning_rate = .1})
          .fit(alike(), {.steps = 100})
          .values.theta;
  parameters values{two_ways().layout(alike()), {1e-6, -1e-6}};
  for (const bool here : {at_mlp, at_stream})
    for (double x : vector) values.theta.push_back(here ? x : 0);
  return values;
}

}  // namespace

TEST_CASE("Kept places are those that are not zero, with where they act") {
  const auto steering =
      steer(model(), at(site::attn_z{}, policy::activ_scalar{}, layers::list({1, 2}), positions::from_end(3)));
  const auto prompts = alike();
  parameters values{steering.layout(prompts), std::vector<double>(12)};  // 2 layers, 3 positions, 2 heads
  values.theta[3] = .5;
  values.theta[10] = -1;
  const auto kept = explain::kept_places(values);
  REQUIRE(kept.size() == 2);
  CHECK(kept[0] == explain::kept_place{"attn_z", 1, 1, 1, 3, 1});
  CHECK(kept[1] == explain::kept_place{"attn_z", 2, 2, 0, 10, 1});
}

TEST_CASE("A planted redundancy is found: either place does alone, and neither is necessary") {
  const auto prompts = alike();
  const auto found = explain::certify(two_ways(), planted(true, true), prompts);
  REQUIRE(found.places.size() == 4);
  REQUIRE(found.whole.flip_rate_both == 1);
  for (const auto& one : found.leave_one_out) CHECK_FALSE(one.necessary);
  CHECK(found.subsets.exact);
  CHECK(found.subsets.considered == 16);
  CHECK(found.subsets.smallest == std::vector<place_set>{{2}, {3}});
}

TEST_CASE("A planted necessary place is found, and scalars that do nothing are not") {
  const auto found = explain::certify(two_ways(), planted(false, true), alike());
  REQUIRE(found.places.size() == 3);
  CHECK(found.leave_one_out[2].necessary);
  CHECK(found.leave_one_out[2].without.flip_rate_both < .5);
  CHECK_FALSE(found.leave_one_out[0].necessary);
  CHECK_FALSE(found.leave_one_out[1].necessary);
  CHECK(found.subsets.smallest == std::vector<place_set>{{2}});
}

TEST_CASE("One place that does alone is preferred to two that do together, though they come first") {
  static const auto parallel = small_model<small_neox_parallel, double>();
  const auto at_end = [](auto site) {
    return at(site, policy::steer_vec{}, layers::list({2}), positions::from_end(1));
  };
  // In a parallel block all three are added to the same stream.
  const auto steering = steer(parallel, at_end(site::attn_out{}), at_end(site::mlp_out{}), at_end(site::resid_post{}));
  const auto prompts = alike();
  auto vector = trainer(steer(parallel, at_end(site::resid_post{})), objective::effectiveness{.margin = 4},
                        adam{.learning_rate = .1})
                    .fit(prompts, {.steps = 100})
                    .values.theta;
  const auto with = [&](double first, double second, double third) {
    parameters values{steering.layout(prompts), {}};
    for (const double scale : {first, second, third})
      for (double x : vector) values.theta.push_back(scale * x);
    return values;
  };
  // The shortest vector, by halves, that flips every prompt both ways: half of it does not.
  REQUIRE(evaluate(steering, with(0, 0, 1), prompts).flip_rate_both == 1);
  while (evaluate(steering, with(0, 0, .5), prompts).flip_rate_both == 1)
    for (double& x : vector) x /= 2;
  const auto found = explain::certify(steering, with(.5, .5, 1), prompts, {.target = 1});
  CHECK(found.subsets.considered == 8);
  CHECK(found.subsets.smallest == std::vector<place_set>{{2}});
}

TEST_CASE("Every subset has the flip rates that it has alone, bit for bit") {
  const auto prompts = random_prompts(model().config(), {4, 6, 5, 3, 7, 4, 5, 5});
  const auto steering =
      steer(model(), at(site::attn_out{}, policy::activ_scalar{}, layers::all(), positions::from_end(2)));
  const auto values = random_parameters(steering.layout(prompts), 4, 6);
  const explain::certificate_options options{.strengths = {1, -1, .5}};
  const auto found = explain::certify(steering, values, prompts, options);
  REQUIRE(found.places.size() == 6);
  REQUIRE(found.subsets.flip_rates.size() == 64);
  std::vector<place_set> smallest;
  for (std::size_t mask = 0; mask < 64; ++mask) {
    parameters left = values;
    place_set set;
    for (std::size_t k = 0; k < 6; ++k)
      if ((mask >> k & 1) != 0)
        set.push_back(k);
      else
        left.theta[k] = 0;
    const auto alone = evaluate(steering, left, prompts, {.strengths = options.strengths});
    bool reaches = true;
    for (double beta : options.strengths) {
      CHECK(found.subsets.flip_rates[mask].at(beta) == alone.at.at(beta).flip_rate);
      reaches = reaches and alone.at.at(beta).flip_rate >= .95 * found.whole.at.at(beta).flip_rate;
    }
    if (reaches and (smallest.empty() or set.size() <= smallest.front().size())) {
      if (not smallest.empty() and set.size() < smallest.front().size()) smallest.clear();
      smallest.push_back(set);
    }
  }
  CHECK(found.subsets.smallest == smallest);
  for (const auto& one : found.leave_one_out) {
    parameters left = values;
    left.theta[one.place] = 0;
    CHECK(one.without.logit_diffs == evaluate(steering, left, prompts, {.strengths = options.strengths}).logit_diffs);
  }
}

TEST_CASE("Beyond the limit, places are taken away one by one, which gives a bound") {
  const auto prompts = alike();
  const auto found = explain::certify(two_ways(), planted(true, true), prompts, {.exhaustive_up_to = 3});
  CHECK_FALSE(found.subsets.exact);
  CHECK(found.subsets.flip_rates.empty());
  REQUIRE(found.subsets.smallest.size() == 1);
  const place_set last = found.subsets.smallest.front();
  CHECK((last == place_set{2} or last == place_set{3}));
  REQUIRE(found.subsets.chain.size() == 4);
  CHECK(found.subsets.chain.front() == place_set{0, 1, 2, 3});
  CHECK(found.subsets.chain.back() == last);
  CHECK(found.subsets.considered == 1 + 4 + 3 + 2 + 1);

  // What goes first is what costs least: the place that is needed stays to the end.
  const auto needed = explain::certify(two_ways(), planted(false, true), prompts, {.exhaustive_up_to = 0});
  CHECK(needed.subsets.smallest == std::vector<place_set>{{2}});
}

TEST_CASE("A fit that kept nothing has one subset, and a target is a share") {
  const auto prompts = alike();
  parameters nothing = planted(false, false);
  std::ranges::fill(nothing.theta, 0.0);
  const auto found = explain::certify(two_ways(), nothing, prompts);
  CHECK(found.places.empty());
  CHECK(found.subsets.considered == 1);
  CHECK(found.subsets.smallest == std::vector<place_set>{{}});
  for (const double target : {0.0, 1.5, std::nan("")})
    CHECK_THAT(
        refusal(error_kind::bad_argument, [&] { explain::certify(two_ways(), nothing, prompts, {.target = target}); }),
        ContainsSubstring("share"));
  CHECK_THAT(refusal(error_kind::bad_argument,
                     [&] { explain::certify(two_ways(), nothing, prompts, {.exhaustive_up_to = 60}); }),
             ContainsSubstring("0 to 24"));
}

}  // namespace trimtab::test::certificate_tests
