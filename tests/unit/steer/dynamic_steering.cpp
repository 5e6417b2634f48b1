// SPDX-License-Identifier: Apache-2.0
#include <trimtab/steer/dynamic_steering.hpp>
#include <trimtab/steer/observe.hpp>

#include "support/compositions.hpp"
#include "support/refusal.hpp"

namespace trimtab::test::dynamic_steering_tests {

namespace {

/// The composition of `hook_all_sites`, made at run time.
template <typename Kind, int Shift, typename Model>
auto hook_all_sites_at_run_time(const Model& model, const hooked_places& places) {
  using B = typename Model::backend_type;
  std::vector<any_intervention<B>> all;
  [&]<std::size_t... K>(std::index_sequence<K...>) {
    (all.push_back({site_index<std::tuple_element_t<K, sites_of<Kind>>>,
                    std::tuple_element_t<(K + Shift) % 5, policies_in_turn>{}, places.layers[K], places.positions[K]}),
     ...);
  }
  (std::make_index_sequence<std::tuple_size_v<sites_of<Kind>>>{});
  return steer(model, std::move(all));
}

template <typename Kind, int Shift>
void check_same_bits() {
  CAPTURE(Shift);
  const auto model = small_model<Kind, float>();
  const auto prompts = random_prompts(model.config(), {4, 1, 7});
  auto places = hooked_places::everywhere<Kind>(
      {positions::from_end(3), positions::shared(), positions::role({"subject", "end"})});
  places.layers[2] = layers::list({1});
  const std::vector<double> strengths{1, -0.7};
  const auto compiled = hook_all_sites<Kind, Shift>(model, places);
  const auto dynamic = hook_all_sites_at_run_time<Kind, Shift>(model, places);
  repeated_pass a(compiled, prompts, strengths);
  repeated_pass b(dynamic, prompts, strengths);
  REQUIRE(a.layout() == b.layout());
  const auto numbers = random_parameters(a.layout()).theta;
  const std::vector<float> theta(numbers.begin(), numbers.end());
  const auto z = a.logits(theta);
  CHECK(same_bits(z, b.logits(theta)));
  const auto d_logits = random_matrix<float>(1, static_cast<index_t>(z.size()), 8).values;
  CHECK(same_bits(a.gradient(theta, d_logits), b.gradient(theta, d_logits)));
}

}  // namespace

TEMPLATE_TEST_CASE("A composition made at run time gives the bits of one made by the compiler", "", small_gpt2,
                   small_neox_parallel) {
  check_same_bits<TestType, 0>();
  check_same_bits<TestType, 3>();
}

TEST_CASE("Several interventions at one site act one after another, as their sequence does") {
  const auto model = small_model<small_gpt2, float>();
  const auto prompts = random_prompts(model.config(), {4, 2});
  const std::vector<double> strengths{1};
  using both = policy::sequence<policy::activ_scalar, policy::steer_vec>;
  const auto one = steer(model, at(site::attn_out{}, both{}, layers::list({1}), positions::from_end(1)));
  const auto two =
      steer(model, std::vector<any_intervention<eigen_backend<float>>>{
                       {site_index<site::attn_out>, policy::activ_scalar{}, layers::list({1}), positions::from_end(1)},
                       {site_index<site::attn_out>, policy::steer_vec{}, layers::list({1}), positions::from_end(1)}});
  repeated_pass a(one, prompts, strengths);
  repeated_pass b(two, prompts, strengths);
  const auto numbers = random_parameters(a.layout()).theta;  // one record: alpha, then the vector
  const std::vector<float> theta(numbers.begin(), numbers.end());
  const auto z = a.logits(theta);
  CHECK(same_bits(z, b.logits(theta)));

  std::vector<float> stream;  // an observed pass runs each of them on all rows before the next
  observe(
      two, parameters{two.layout(prompts), numbers}, prompts, 1,
      [&]<typename Site>(Site, index_t, auto, auto out) {
        if (Site::text == "resid_post") stream.assign(out.data, out.data + out.size());
      },
      scored::last);
  workspace<eigen_backend<float>> memory(model.backend());
  const auto logits = memory.take(std::ssize(prompts), model.config().vocabulary);
  const index_t width = model.config().width;
  model.unembed({stream.data(), std::ssize(prompts), width}, memory.take(std::ssize(prompts), width), logits);
  CHECK(std::equal(z.begin(), z.end(), logits.data));
}

TEST_CASE("A run-time intervention takes its policy's positions unless it names others") {
  using B = eigen_backend<float>;
  CHECK(any_intervention<B>{0, policy::dyn_scalar<>{}}.positions.by() == position_key::kind::shared);
  CHECK(any_intervention<B>{0, policy::activ_scalar{}}.positions.by() == position_key::kind::absolute);
}

TEST_CASE("A site that does not exist is refused") {
  const auto model = small_model<small_neox_parallel, float>();
  using all = std::vector<any_intervention<eigen_backend<float>>>;
  CHECK(refusal(error_kind::bad_argument, [&] {
          steer(model, all{{site::count, policy::activ_scalar{}}});
        }).find("there is no site with index") != std::string::npos);
  CHECK(refusal(error_kind::mismatch, [&] {
          steer(model, all{{site_index<site::resid_mid>, policy::activ_scalar{}}});
        }).find("have no resid_mid") != std::string::npos);
}

}  // namespace trimtab::test::dynamic_steering_tests
