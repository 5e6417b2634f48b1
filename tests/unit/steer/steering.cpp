// SPDX-License-Identifier: Apache-2.0
#include <trimtab/compose.hpp>

#include "support/compositions.hpp"
#include "support/refusal.hpp"

using namespace trimtab;
using namespace trimtab::test;
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
  CHECK(layout.lane_size() == 8 + 2 * 3 * 2 * 5 + 3 * 20);

  parameters values{layout, {}};
  for (index_t k = 0; k < layout.lane_size(); ++k) values.theta.push_back(static_cast<double>(k));
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

TEST_CASE("What a fit costs in parameters is counted") {
  const auto composition =
      steer(model(), at(site::attn_out{}, policy::steer_vec{}, layers::range(0, 1), positions::shared()),
            at(site::resid_post{}, policy::activ_scalar{}, layers::all(), positions::from_end(2)));
  parameters values{composition.layout({}), {}};
  values.theta.assign(static_cast<std::size_t>(values.layout.lane_size()), 0);
  CHECK(count(values) == parameter_counts{26, 0, 8, 0, 0});
  values.theta[0] = 0.5, values.theta[3] = -0.25, values.theta[25] = -0.0, values.theta[24] = 2;
  CHECK(count(values) == parameter_counts{26, 3, 8, 2, 2.75});
}

TEST_CASE("Interventions act where they are, whatever their order in the composition") {
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

TEST_CASE("Where the lowest hook lies changes what is run, not what comes out") {
  const auto prompts = random_prompts(model().config(), {4, 7, 1});
  const auto high = steer(model(), at(site::mlp_out{}, policy::steer_vec{}, layers::list({2}), positions::shared()));
  const auto low = steer(model(), at(site::mlp_out{}, policy::steer_vec{}, layers::list({0, 2}), positions::shared()));
  const auto values = random_parameters(high.layout(prompts));
  parameters padded{low.layout(prompts), std::vector<double>(10)};
  padded.theta.insert(padded.theta.end(), values.theta.begin(), values.theta.end());
  for (scored where : {scored::last, scored::all})
    CHECK(same_bits(steered_logits(high, values, prompts, 1, where), steered_logits(low, padded, prompts, 1, where)));
}

TEST_CASE("Lanes are independent sets of parameters in one pass") {
  const auto prompts = random_prompts(model().config(), {4, 2, 5});
  const auto composition = steer(model(), at(site::attn_z{}, policy::affine{}, layers::all(), positions::from_end(3)),
                                 at(site::mlp_out{}, policy::dyn_scalar<>{}));
  const auto layout = composition.layout(prompts);
  const std::vector<parameters> lanes{random_parameters(layout, 1), random_parameters(layout, 2)};
  const auto n = layout.lane_size(), vocabulary = model().config().vocabulary;
  const auto d_logits = random_matrix<float>(6, vocabulary, 4);

  // Lane 1 rides first, to see that order and lane are two things.
  steered both(composition, layout, prompts, {{0, 1, 1}, {1, 1, 1}, {2, 1, 1}, {0, -1, 0}, {1, -1, 0}, {2, -1, 0}}, 2,
               tape_use::forward_and_backward);
  for (std::size_t k : {0u, 1u})
    std::ranges::transform(lanes[k].theta, both.theta().data + static_cast<index_t>(k) * n,
                           [](double x) { return static_cast<float>(x); });
  const auto together = model().backend().download(both.forward());
  std::ranges::copy(d_logits.values, both.d_logits().data);
  both.backward();

  const index_t half = 3 * vocabulary;
  for (index_t k : {0, 1}) {
    repeated_pass alone(composition, prompts, {k == 1 ? 1.0 : -1.0});
    const auto& host = lanes[static_cast<std::size_t>(k)].theta;
    const std::vector<float> theta(host.begin(), host.end());
    const auto first = k == 1 ? 0 : half;
    const auto z = alone.logits(theta);
    CHECK(std::equal(z.begin(), z.end(), together.values.begin() + first));
    const auto gradient =
        alone.gradient(theta, {d_logits.values.begin() + first, d_logits.values.begin() + first + half});
    CHECK(std::equal(gradient.begin(), gradient.end(), both.gradient().data + k * n));
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
  pass.gradient(zeros, d_logits);  // another in between
  CHECK(same_bits(pass.gradient(theta, d_logits), first));
}
