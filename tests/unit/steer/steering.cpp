// SPDX-License-Identifier: Apache-2.0
#include <trimtab/compose.hpp>

#include "support/compositions.hpp"
#include "support/refusal.hpp"

namespace trimtab::test::steering_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

const auto& model() {
  static const auto m = small_model<small_gpt2, float>();
  return m;
}

}  // namespace

TEST_CASE("Parameters lie by intervention, layer, position, part and record") {
  const auto prompts = random_prompts(model().config(), {4, 4});
  const auto composition =
      steer(model(), at(site::resid_post{}, policy::activ_scalar{}, layers::list({2, 0})),
            at(site::attn_z{}, policy::steer_vec{}, layers::range(1, 2), positions::from_end(3)),
            at(site::mlp_post{}, policy::dyn_scalar<>{}), at(site::mlp_out{}, policy::affine{}, layers::none()));
  const auto layout = composition.layout(prompts);
  REQUIRE(layout.blocks.size() == 4);
  const auto& [resid, heads, neurons, nothing] =
      std::tie(layout.blocks[0], layout.blocks[1], layout.blocks[2], layout.blocks[3]);

  CHECK(resid.site == "resid_post");
  CHECK(resid.policy == "activ-scalar");
  CHECK(resid.positions == positions::absolute(4));
  CHECK(resid.size() == 2 * 4);
  CHECK(resid.layer_offset(0) == 0);
  CHECK(resid.layer_offset(1) == -1);
  CHECK(resid.layer_offset(2) == 4);

  CHECK(heads.parts == 2);
  CHECK(heads.width == 5);  // of one head
  CHECK(heads.record_size == 5);
  CHECK(heads.offset == 8);
  CHECK(heads.records() == 2 * 3 * 2);
  CHECK(heads.layer_offset(2) == 8 + 3 * 2 * 5);

  CHECK(neurons.width == 19);
  CHECK(neurons.record_size == 20);
  CHECK(neurons.positions == positions::shared());
  REQUIRE(neurons.slices.size() == 2);
  CHECK(neurons.slices[0].name == "weight");
  CHECK(neurons.slices[1].name == "bias");
  CHECK(neurons.slices[1].offset == 19);
  CHECK(neurons.slices[1].extent == 1);

  CHECK(nothing.size() == 0);
  CHECK(nothing.layer_offset(0) == -1);
  CHECK(layout.size() == 8 + 2 * 3 * 2 * 5 + 3 * 20);

  parameters values{layout, {}};
  for (index_t k = 0; k < layout.size(); ++k) values.theta.push_back(static_cast<double>(k));
  CHECK(values.record(resid, 1, 3)[0] == 7);
  CHECK(values.record(heads, 1, 2, 1)[0] == static_cast<double>(8 + ((1 * 3 + 2) * 2 + 1) * 5));
  CHECK(values.record(neurons, 2, 0).size() == 20);
}

TEST_CASE("Compositions that do not fit the model or the prompts are refused") {
  const auto mixed = random_prompts(model().config(), {4, 3});
  CHECK_THAT(
      refusal(error_kind::bad_argument,
              [&] { steer(model(), at(site::attn_out{}, policy::activ_scalar{}, layers::range(1, 3))).layout(mixed); }),
      ContainsSubstring("layer 3"));
  CHECK_THAT(refusal(error_kind::mismatch,
                     [&] { steer(model(), at(site::attn_out{}, policy::activ_scalar{})).layout(mixed); }),
             ContainsSubstring("3 to 4 tokens"));
  CHECK_NOTHROW(steer(model(), at(site::attn_out{}, policy::activ_scalar{}, layers::none())).layout(mixed));
}

TEST_CASE("The number of parameters is counted") {
  const auto composition =
      steer(model(), at(site::attn_out{}, policy::steer_vec{}, layers::range(0, 1), positions::shared()),
            at(site::resid_post{}, policy::activ_scalar{}, layers::all(), positions::from_end(2)));
  parameters values{composition.layout({}), {}};
  values.theta.assign(static_cast<std::size_t>(values.layout.size()), 0);
  CHECK(count_parameters(values) == parameter_counts{26, 0, 8, 0, 0});
  values.theta[0] = 0.5, values.theta[3] = -0.25, values.theta[25] = -0.0, values.theta[24] = 2;
  CHECK(count_parameters(values) == parameter_counts{26, 3, 8, 2, 2.75});
}

TEST_CASE("The order of interventions at different sites does not matter") {
  const auto prompts = random_prompts(model().config(), {4, 4});
  const auto one =
      steer(model(), at(site::attn_out{}, policy::activ_scalar{}), at(site::mlp_out{}, policy::activ_scalar{}));
  const auto other =
      steer(model(), at(site::mlp_out{}, policy::activ_scalar{}), at(site::attn_out{}, policy::activ_scalar{}));
  const auto values = random_parameters(one.layout(prompts));
  parameters swapped{other.layout(prompts), values.theta};
  std::rotate(swapped.theta.begin(), swapped.theta.begin() + 12, swapped.theta.end());
  CHECK(same_bits(steered_logits(one, values, prompts, 1), steered_logits(other, swapped, prompts, 1)));
}

TEST_CASE("The layer of the lowest hook does not change the result") {
  const auto prompts = random_prompts(model().config(), {4, 7, 1});
  const auto high = steer(model(), at(site::mlp_out{}, policy::steer_vec{}, layers::list({2}), positions::shared()));
  const auto low = steer(model(), at(site::mlp_out{}, policy::steer_vec{}, layers::list({0, 2}), positions::shared()));
  const auto values = random_parameters(high.layout(prompts));
  parameters padded{low.layout(prompts), std::vector<double>(10)};
  padded.theta.insert(padded.theta.end(), values.theta.begin(), values.theta.end());
  for (scored where : {scored::last, scored::all})
    CHECK(same_bits(steered_logits(high, values, prompts, 1, where), steered_logits(low, padded, prompts, 1, where)));
}

TEST_CASE("Replicas are independent sets of parameters in one pass, each with as many positions as its own prompts") {
  const auto prompts = random_prompts(model().config(), {4, 2, 5});
  const auto composition = steer(model(), at(site::attn_z{}, policy::affine{}, layers::all(), positions::from_end()),
                                 at(site::mlp_out{}, policy::dyn_scalar<>{}));
  const std::vector<prompt_pair> first(prompts.begin(), prompts.begin() + 2);
  const std::vector<parameter_layout> layouts{composition.layout(first), composition.layout(prompts)};
  REQUIRE(layouts[0].size() < layouts[1].size());
  const std::vector<parameters> replicas{random_parameters(layouts[0], 1), random_parameters(layouts[1], 2)};
  const index_t vocabulary = model().config().vocabulary;
  const auto d_logits = random_matrix<float>(5, vocabulary, 4);

  // The sequences of replica 1 come first, to test that their order in the pass does not matter.
  steered both(composition, layouts, prompts, {{0, 1, 1}, {1, 1, 1}, {2, 1, 1}, {0, -1, 0}, {1, -1, 0}},
               pass_use::forward_and_backward);
  both.take_parameters(
      [&](index_t r) -> std::span<const double> { return replicas[static_cast<std::size_t>(r)].theta; });
  const auto together = model().backend().download(both.forward());
  std::ranges::copy(d_logits.values, both.d_logits().data);
  both.backward();

  for (index_t r : {0, 1}) {
    const auto own = r == 1 ? prompts : first;
    repeated_pass alone(composition, own, {r == 1 ? 1.0 : -1.0});
    const auto& host = replicas[static_cast<std::size_t>(r)].theta;
    const std::vector<float> theta(host.begin(), host.end());
    const auto begin = r == 1 ? 0 : 3 * vocabulary, end = begin + std::ssize(own) * vocabulary;
    const auto z = alone.logits(theta);
    CHECK(std::equal(z.begin(), z.end(), together.values.begin() + begin));
    const auto gradient = alone.gradient(theta, {d_logits.values.begin() + begin, d_logits.values.begin() + end});
    std::vector<double> found;
    both.storage().gather(std::span<const float>(both.gradient().data, static_cast<std::size_t>(both.gradient().cols)),
                          r, found);
    CHECK(std::equal(gradient.begin(), gradient.end(), found.begin(), found.end()));
  }
}

TEST_CASE("A second backward pass gives the same gradient as the first") {
  const auto prompts = random_prompts(model().config(), {4, 4});
  const auto composition =
      hook_all_sites<small_gpt2, 2>(model(), hooked_places::everywhere<small_gpt2>({positions::absolute()}));
  repeated_pass pass(composition, prompts, {1, -1});
  const auto host = random_parameters(pass.layout()).theta;
  const std::vector<float> theta(host.begin(), host.end()), zeros(theta.size());
  const auto d_logits = random_matrix<float>(4, model().config().vocabulary, 1).values;
  const auto first = pass.gradient(theta, d_logits);
  pass.gradient(zeros, d_logits);  // a pass with other parameters in between
  CHECK(same_bits(pass.gradient(theta, d_logits), first));
}

}  // namespace trimtab::test::steering_tests
