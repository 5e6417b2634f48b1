// SPDX-License-Identifier: Apache-2.0
#include <trimtab/compose.hpp>

#include "support/compositions.hpp"

#include <cmath>

namespace trimtab::test::facts_tests {

// Facts of the method that hold exactly for any weights. Gradients are tested in gradients_*.cpp; what must be equal
// bit for bit is tested in identity.cpp and batch_mates.cpp.

namespace {

template <typename Kind>
using double_model = typename Kind::template model<eigen_backend<double>>;

template <typename Kind, typename F>
double_model<Kind> edited_model(const model_config& config, F edit) {
  return double_model<Kind>(edited_weights(random_weights(config, 3), edit), eigen_backend<double>(1));
}

template <typename Kind>
double_model<Kind> exact_norm_model() {
  auto config = Kind::config();
  config.layer_norm_epsilon = 0;
  return double_model<Kind>(random_weights(config, 3), eigen_backend<double>(1));
}

/// The index of the `alpha` of layer l at a position, in a block of activ_scalar records with all layers.
std::size_t place(const parameter_block& block, index_t l, index_t position) {
  return static_cast<std::size_t>(block.layer_offset(l) + position);
}

/// The gradient of L_E + L_F at one strength.
template <typename Composition>
std::vector<double> loss_gradient(const Composition& composition, const parameters& values,
                                  std::span<const prompt_pair> prompts, double beta) {
  const std::vector<double> strengths{beta};
  const auto objective = objective::effectiveness{.margin = 20} + 0.7 * objective::faithfulness{};
  return objective_and_gradient(composition, objective, values, prompts, strengths).gradient;
}

}  // namespace

TEMPLATE_TEST_CASE("Fact 2: activ_scalar of -1 at strength 1 ablates a layer's attn_out", "", small_gpt2,
                   small_neox_parallel, small_neox_sequential) {
  const auto model = small_model<TestType, double>();
  const auto prompts = random_prompts(model.config(), {5, 5});
  for (index_t layer = 0; layer < 3; ++layer) {
    const auto ablated = edited_model<TestType>(TestType::config(), [&](index_t l, auto& w) {
      if (l != layer) return;
      std::ranges::fill(w.attn_out.weight.values, 0);
      std::ranges::fill(w.attn_out.bias.values, 0);
    });
    const auto composition = steer(model, at(site::attn_out{}, policy::activ_scalar{}, layers::list({layer})));
    parameters values{composition.layout(prompts), {}};
    values.theta.assign(static_cast<std::size_t>(values.layout.size()), -1);
    CHECK(same_bits(steered_logits(composition, values, prompts, 1), logits(ablated, ids_of(prompts))));
    CHECK(same_bits(steered_logits(composition, values, prompts, 1, scored::all),
                    logits(ablated, ids_of(prompts), scored::all)));
    CHECK_FALSE(same_bits(logits(model, ids_of(prompts)), logits(ablated, ids_of(prompts))));
  }
}

TEMPLATE_TEST_CASE("Fact 3: what resid_post gains is what all later outputs lose, as derivatives", "", small_gpt2,
                   small_neox_parallel, small_neox_sequential) {
  const auto model = exact_norm_model<TestType>();
  const auto prompts = random_prompts(model.config(), {5, 5});
  const auto composition =
      steer(model, at(site::attn_out{}, policy::activ_scalar{}), at(site::mlp_out{}, policy::activ_scalar{}),
            at(site::resid_post{}, policy::activ_scalar{}));
  const auto values = random_parameters(composition.layout(prompts), 5);
  const auto& blocks = values.layout.blocks;
  for (double beta : {1.0, -1.0, 0.4}) {
    CAPTURE(beta);
    auto w = loss_gradient(composition, values, prompts, beta);
    for (std::size_t k = 0; k < w.size(); ++k) w[k] *= 1 + beta * values.theta[k];
    const double scale = largest(w);
    CHECK(scale > 0.01);
    for (index_t l = 0; l < 3; ++l)
      for (index_t i = 0; i < 5; ++i) {
        double later = 0;
        for (index_t above = l + 1; above < 3; ++above)
          later += w[place(blocks[0], above, i)] + w[place(blocks[1], above, i)];
        CHECK(std::abs(w[place(blocks[2], l, i)] + later) <= 1e-12 * scale);
      }
  }
}

TEMPLATE_TEST_CASE("Fact 3: resid_post times s is all later outputs times 1/s", "", small_gpt2, small_neox_parallel,
                   small_neox_sequential) {
  const auto model = exact_norm_model<TestType>();
  const auto prompts = random_prompts(model.config(), {4, 4});
  const auto stream = steer(model, at(site::resid_post{}, policy::activ_scalar{}));
  const auto outputs =
      steer(model, at(site::attn_out{}, policy::activ_scalar{}), at(site::mlp_out{}, policy::activ_scalar{}));
  for (double s : {0.3, 2.5})
    for (index_t l = 0; l < 3; ++l)
      for (index_t i = 0; i < 4; ++i) {
        parameters one{stream.layout(prompts), {}}, many{outputs.layout(prompts), {}};
        one.theta.resize(static_cast<std::size_t>(one.layout.size()));
        many.theta.resize(static_cast<std::size_t>(many.layout.size()));
        one.theta[place(one.layout.blocks[0], l, i)] = s - 1;
        for (index_t above = l + 1; above < 3; ++above)
          for (const auto& block : many.layout.blocks) many.theta[place(block, above, i)] = 1 / s - 1;
        const auto a = steered_logits(stream, one, prompts, 1), b = steered_logits(outputs, many, prompts, 1);
        CHECK(largest_difference(a.values, b.values) <= 1e-12 * largest(a.values));
      }
}

TEMPLATE_TEST_CASE("Fact 4: in the last layer places that are not scored have gradient 0, but for resid_pre", "",
                   small_gpt2, small_neox_parallel, small_neox_sequential) {
  const auto model = small_model<TestType, double>();
  const auto prompts = random_prompts(model.config(), {4, 4, 4});
  const auto places = hooked_places::everywhere<TestType>({positions::absolute()});
  const auto check = [&](const auto& composition) {
    repeated_pass pass(composition, prompts, {1, -1});
    const auto theta = random_parameters(pass.layout()).theta;
    const auto gradient = pass.gradient(theta, random_matrix<double>(6, model.config().vocabulary, 9).values);
    for (const auto& block : pass.layout().blocks)
      for (index_t l = 0; l < 3; ++l)
        for (index_t r = 0; r < block.records_per_layer(); ++r) {
          const bool scored = r / block.parts == 3;
          CAPTURE(block.site, l, r);
          const auto first = gradient.begin() + block.layer_offset(l) + r * block.record_size;
          const bool all_zero = std::all_of(first, first + block.record_size, [](double g) { return g == 0; });
          const bool none_zero = std::none_of(first, first + block.record_size, [](double g) { return g == 0; });
          CHECK((l == 2 and not scored and block.site != "resid_pre" ? all_zero : none_zero));
        }
  };
  check(hook_all_sites<TestType, 0>(model, places));
  check(hook_all_sites<TestType, 3>(model, places));
}

TEMPLATE_TEST_CASE("Fact 6: scalars that all positions share fold into the weights", "", small_gpt2,
                   small_neox_parallel, small_neox_sequential) {
  const auto model = small_model<TestType, double>();
  const auto prompts = random_prompts(model.config(), {5, 2});
  const auto composition =
      steer(model, at(site::attn_out{}, policy::activ_scalar{}, layers::all(), positions::shared()),
            at(site::mlp_out{}, policy::activ_scalar{}, layers::all(), positions::shared()));
  const auto values = random_parameters(composition.layout(prompts));
  for (double beta : {1.0, -0.6}) {
    const auto folded = edited_model<TestType>(TestType::config(), [&](index_t l, auto& w) {
      const auto scale = [&](auto& linear, const parameter_block& block) {
        const double gain = 1 + beta * values.theta[place(block, l, 0)];
        for (double& x : linear.weight.values) x *= gain;
        for (double& x : linear.bias.values) x *= gain;
      };
      scale(w.attn_out, values.layout.blocks[0]);
      scale(w.mlp_out, values.layout.blocks[1]);
    });
    const auto a = steered_logits(composition, values, prompts, beta, scored::all);
    const auto b = logits(folded, ids_of(prompts), scored::all);
    CHECK(largest_difference(a.values, b.values) <= 1e-13 * largest(a.values));
  }
}

TEMPLATE_TEST_CASE("Fact 6: vectors that all positions share fold into biases", "", small_gpt2, small_neox_parallel,
                   small_neox_sequential) {
  const auto model = small_model<TestType, double>();
  const auto prompts = random_prompts(model.config(), {5, 2});
  const auto composition = steer(model, at(site::attn_out{}, policy::steer_vec{}, layers::all(), positions::shared()),
                                 at(site::mlp_out{}, policy::steer_vec{}, layers::all(), positions::shared()),
                                 at(site::resid_post{}, policy::steer_vec{}, layers::all(), positions::shared()));
  const auto values = random_parameters(composition.layout(prompts));
  for (double beta : {1.0, -0.6}) {
    const auto folded = edited_model<TestType>(TestType::config(), [&](index_t l, auto& w) {
      const auto shift = [&](auto& linear, const parameter_block& block) {
        const auto vector = values.record(block, l, 0);
        for (std::size_t j = 0; j < vector.size(); ++j) linear.bias.values[j] += beta * vector[j];
      };
      shift(w.attn_out, values.layout.blocks[0]);
      shift(w.mlp_out, values.layout.blocks[1]);
      shift(w.mlp_out, values.layout.blocks[2]);  // resid_post: a vector here equals a bias of the same layer's MLP
    });
    const auto a = steered_logits(composition, values, prompts, beta, scored::all);
    const auto b = logits(folded, ids_of(prompts), scored::all);
    CHECK(largest_difference(a.values, b.values) <= 1e-13 * largest(a.values));
  }
}

}  // namespace trimtab::test::facts_tests
