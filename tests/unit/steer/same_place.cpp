// SPDX-License-Identifier: Apache-2.0

#include <trimtab/steer/same_place.hpp>

#include <trimtab/compose.hpp>

#include "support/compositions.hpp"

#include <cmath>
#include <string>
#include <tuple>
#include <vector>

namespace trimtab::test::same_place_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

using T = double;

/// A policy at two places of a model, each with the same parameters in turn: the largest difference of the logits.
template <typename Kind>
double difference(any_policy<eigen_backend<T>> policy, const std::string& site, index_t layer, const std::string& other,
                  index_t other_layer) {
  const auto model = small_model<Kind, T>();
  const auto prompts = random_prompts(model.config(), {5, 4});
  host_matrix<T> found[2];
  for (const auto& [at, l, to] : {std::tuple(site, layer, 0), std::tuple(other, other_layer, 1)}) {
    std::vector<any_intervention<eigen_backend<T>>> chosen;
    chosen.push_back({*site::find(at), policy, layers::list({l}), positions::from_end(2)});
    const auto steering = steer(model, std::move(chosen));
    found[to] = steered_logits(steering, random_parameters(steering.layout(prompts)), prompts, 0.7);
  }
  double most = 0;
  for (std::size_t j = 0; j < found[0].values.size(); ++j)
    most = std::max(most, std::abs(found[0].values[j] - found[1].values[j]));
  return most;
}

/// Whether all pairs of places that a form of blocks has are the same exactly where `stream_point` says so.
template <typename Kind>
void check_all_pairs(any_policy<eigen_backend<T>> policy, bool only_adds) {
  constexpr bool parallel = Kind::parallel;
  const auto sites = site::texts(parallel);
  for (const auto a : sites)
    for (const auto b : sites)
      for (index_t l : {0, 1}) {
        const auto rows = [](std::string_view s) { return site::table[*site::find(s)].rows; };
        if (rows(a) != site_rows::stream or rows(b) != site_rows::stream or (a == b and l == 0)) continue;
        CAPTURE(a, b, l);
        const auto here = stream_point(a, 0, only_adds, parallel), there = stream_point(b, l, only_adds, parallel);
        const bool said = here and here == there;
        CHECK((difference<Kind>(policy, std::string(a), 0, std::string(b), l) < 1e-12) == said);
      }
}

template <typename Model>
auto vectors_at(const Model& model, std::vector<std::string> sites) {
  std::vector<any_intervention<eigen_backend<T>>> chosen;
  for (const auto& s : sites)
    chosen.push_back({*site::find(s), policy::steer_vec{}, layers::all(), positions::from_end(2)});
  return steer(model, std::move(chosen));
}

}  // namespace

TEST_CASE("Two places are the same for a policy exactly where the logits say so") {
  check_all_pairs<small_gpt2>(policy::steer_vec{}, true);
  check_all_pairs<small_neox_parallel>(policy::steer_vec{}, true);
  check_all_pairs<small_gpt2>(policy::activ_scalar{}, false);
  check_all_pairs<small_neox_parallel>(policy::activ_scalar{}, false);
}

TEST_CASE("A policy says whether it only adds") {
  STATIC_REQUIRE(only_adds<policy::steer_vec>);
  STATIC_REQUIRE(not only_adds<policy::activ_scalar>);
  STATIC_REQUIRE(not only_adds<policy::affine>);
  STATIC_REQUIRE(only_adds<policy::sequence<policy::steer_vec, policy::steer_vec>>);
  STATIC_REQUIRE(not only_adds<policy::sequence<policy::steer_vec, policy::activ_scalar>>);
}

TEST_CASE("A place that is hooked twice is counted once and told of") {
  const auto model = small_model<small_gpt2, T>();
  const auto prompts = random_prompts(model.config(), {4, 4});
  const auto twice = vectors_at(model, {"mlp_out", "resid_post"}), once = vectors_at(model, {"resid_post"});
  auto values = random_parameters(twice.layout(prompts));
  const auto counts = count_parameters(values), alone = count_parameters(random_parameters(once.layout(prompts)));
  CHECK(counts.parameters == alone.parameters);
  CHECK(counts.sites == alone.sites);
  CHECK(counts.nonzero_parameters == alone.nonzero_parameters);
  CHECK(values.layout.size() == 2 * counts.parameters);
  // A number is not zero if it is not in one of the two.
  std::fill(values.theta.begin(), values.theta.begin() + values.layout.blocks[0].size(), 0.0);
  CHECK(count_parameters(values).nonzero_parameters == counts.nonzero_parameters);

  const auto told = repeated_places(values.layout);
  REQUIRE(told.size() == 1);
  CHECK_THAT(told[0], ContainsSubstring("steer-vec at mlp_out of layer 0, 1"));
  CHECK_THAT(told[0], ContainsSubstring("does the same as at resid_post"));
  CHECK(repeated_places(vectors_at(model, {"attn_out", "mlp_out"}).layout(prompts)).empty());
  const auto fitted =
      trainer(twice, objective::effectiveness{} + 1.0 * objective::faithfulness{}).fit(prompts, {.steps = 1});
  CHECK(fitted.warnings == told);
}

TEST_CASE("The stream that leaves a layer enters the next one") {
  const auto model = small_model<small_gpt2, T>();
  const auto steering =
      steer(model, at(site::resid_pre{}, policy::activ_scalar{}), at(site::resid_post{}, policy::activ_scalar{}));
  const auto layout = steering.layout(random_prompts(model.config(), {4, 4}));
  const index_t layers = model.config().layers;
  CHECK(count_parameters({layout, std::vector<double>(static_cast<std::size_t>(layout.size()), 1.0)}).parameters ==
        4 * (layers + 1));
  const auto told = repeated_places(layout);
  REQUIRE(told.size() == 1);
  CHECK_THAT(told[0], ContainsSubstring("activ-scalar at resid_pre of layer 1"));
  CHECK_THAT(told[0], ContainsSubstring("resid_post of the layer below"));
}

TEST_CASE("Sites that would be repeated are left out, the last one stays") {
  using names = std::vector<std::string>;
  const names paper = {"attn_out", "mlp_out", "resid_post"};
  CHECK(without_repeated(paper, true, false) == names{"attn_out", "resid_post"});
  CHECK(without_repeated(paper, true, true) == names{"resid_post"});
  CHECK(without_repeated(paper, false, true) == paper);
}

}  // namespace trimtab::test::same_place_tests
