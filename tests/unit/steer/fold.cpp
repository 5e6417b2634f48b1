// SPDX-License-Identifier: Apache-2.0
#include <trimtab/policy/activ_scalar.hpp>
#include <trimtab/policy/affine.hpp>
#include <trimtab/policy/channel_scale.hpp>
#include <trimtab/policy/dyn_scalar.hpp>
#include <trimtab/policy/low_rank.hpp>
#include <trimtab/policy/on_channels.hpp>
#include <trimtab/policy/project_out.hpp>
#include <trimtab/policy/sequence.hpp>
#include <trimtab/policy/steer_vec.hpp>
#include <trimtab/steer/dynamic_steering.hpp>
#include <trimtab/steer/fold.hpp>
#include <trimtab/steer/steering.hpp>

#include "support/catch.hpp"
#include "support/compositions.hpp"
#include "support/refusal.hpp"

namespace trimtab::test::fold_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

using B = eigen_backend<double>;
using both = policy::sequence<policy::affine, policy::activ_scalar, policy::steer_vec>;

/// out = h + β w (u·h) + β v: a linear part that is neither diagonal nor symmetric.
struct rank_one {
  static constexpr per_channel<"u"> u{};
  static constexpr per_channel<"w"> w{};
  static constexpr per_channel<"v"> v{};
  static constexpr parameter_list parameters{u, w, v};
  static constexpr parameter_list offsets{v};

  constexpr void forward(row auto& r) const {
    const auto g = r.beta() * r.sum([&](auto j) { return r(u, j) * r.h(j); });
    r.each([&](auto j) { r.out(j) = r.h(j) + g * r(w, j) + r.beta() * r(v, j); });
  }
  constexpr void backward(row auto& r) const {
    const auto g = r.beta() * r.sum([&](auto j) { return r(u, j) * r.h(j); });
    const auto d_g = r.beta() * r.sum([&](auto j) { return r(w, j) * r.d_out(j); });
    r.each([&](auto j) {
      r.d_h(j) = r.d_out(j) + d_g * r(u, j);
      r.d(u, j) += d_g * r.h(j);
      r.d(w, j) += g * r.d_out(j);
      r.d(v, j) += r.beta() * r.d_out(j);
    });
  }
};

template <typename Kind>
using model_of = typename Kind::template model<B>;

/// Logits at every position.
template <typename Model>
host_matrix<double> logits_of(const Model& model, const std::vector<prompt_pair>& prompts) {
  return logits(model, ids_of(prompts), scored::all);
}

double largest_difference(const host_matrix<double>& a, const host_matrix<double>& b) {
  REQUIRE(a.values.size() == b.values.size());
  double largest = 0;
  for (std::size_t i = 0; i < a.values.size(); ++i) largest = std::max(largest, std::abs(a.values[i] - b.values[i]));
  return largest;
}

/// Folds at a strength of each sign, and compares the logits with those of the steered model and of the untouched one.
template <typename Kind, typename Source, typename Compose>
void check_fold(const Source& source, Compose compose, fold_options options = {}) {
  const model_of<Kind> model(source, B(1));
  const auto composition = compose(model);
  const auto prompts = random_prompts(Kind::config(), {5, 1, 3});
  const auto values = random_parameters(composition.layout(prompts));
  for (const double strength : {1.0, -0.7}) {
    options.strength = strength;
    const folded_weights folded(source, composition, values, options);
    CHECK_FALSE(folded.places().empty());
    const auto found = logits_of(model_of<Kind>(folded, B(1)), prompts);
    CHECK(largest_difference(found, steered_logits(composition, values, prompts, strength, scored::all)) < 1e-10);
    CHECK(largest_difference(found, logits_of(model, prompts)) > 1e-3);
  }
}

/// Weights whose attention has no biases.
template <typename Kind>
auto without_attention_bias() {
  return edited_weights(random_weights(Kind::config(), 3), [](index_t, auto& w) {
    for (auto* map : {&w.qkv, &w.attn_out}) std::ranges::fill(map->bias.values, 0);
  });
}

/// The sentence with which one intervention in layer 1 is refused, with parameters that are not 0.
template <typename Kind, typename Site, typename Policy>
std::string refused(Site site, Policy policy, position_key key, fold_options options = {}, index_t layer = 1) {
  const auto source = random_weights(Kind::config(), 3);
  const model_of<Kind> model(source, B(1));
  const auto composition = steer(model, at(site, policy, layers::list({layer}), key));
  const auto values = random_parameters(composition.layout(random_prompts(Kind::config(), {4, 4})));
  return refusal(error_kind::mismatch, [&] { folded_weights(source, composition, values, options); });
}

/// Folds one intervention at each site that takes it: the residual stream takes vectors alone. Composed at run time, so
/// that the passes of a kind of model are compiled once.
template <typename Kind>
void check_every_site(const any_policy<B>& policy, bool is_vector = false) {
  const auto source = random_weights(Kind::config(), 3);
  for (std::size_t k = 0; k < site::count; ++k) {
    const site_description& where = site::table[k];
    if ((where.text.starts_with("resid_") and not is_vector) or (Kind::parallel and not where.in_parallel_blocks))
      continue;
    CAPTURE(where.text, policy.describe(1).text);
    check_fold<Kind>(source, [&](const auto& model) {
      return steer(model, std::vector<any_intervention<B>>{{k, policy, layers::all(), positions::shared()}});
    });
  }
}

}  // namespace

TEMPLATE_TEST_CASE("Folded weights compute what the steered model does, for every site and policy that folds", "",
                   small_gpt2, small_neox_parallel, small_neox_sequential) {
  check_every_site<TestType>(policy::activ_scalar{});
  check_every_site<TestType>(policy::steer_vec{}, true);
  check_every_site<TestType>(policy::affine{});
  check_every_site<TestType>(policy::channel_scale{});
  check_every_site<TestType>(policy::project_out{});
  check_every_site<TestType>(policy::low_rank<2>{});
  check_every_site<TestType>(policy::low_rank<3>{});
  check_every_site<TestType>(both{});
  check_every_site<TestType>(rank_one{});
  check_every_site<TestType>(policy::sequence<rank_one, policy::affine>{});
}

TEMPLATE_TEST_CASE("Interventions at all sites of all layers fold together, by type and at run time", "", small_gpt2,
                   small_neox_parallel, small_neox_sequential) {
  const auto source = random_weights(TestType::config(), 3);
  const auto key = positions::shared();
  check_fold<TestType>(source, [&](const auto& model) {
    return steer(model, at(site::resid_pre{}, policy::steer_vec{}, layers::all(), key),
                 at(site::attn_z{}, policy::affine{}, layers::all(), key),
                 at(site::attn_out{}, both{}, layers::list({0, 2}), key),
                 at(site::mlp_post{}, policy::affine{}, layers::all(), key),
                 at(site::mlp_out{}, policy::activ_scalar{}, layers::all(), key),
                 at(site::resid_post{}, policy::steer_vec{}, layers::list({0, 1}), key));
  });
  check_fold<TestType>(source, [&](const auto& model) {
    using one = any_intervention<B>;
    return steer(model, std::vector<one>{one{site_index<site::attn_z>, policy::affine{}, layers::all(), key},
                                         one{site_index<site::mlp_out>, policy::steer_vec{}, layers::all(), key},
                                         one{site_index<site::attn_z>, policy::activ_scalar{}, layers::list({1}), key},
                                         one{site_index<site::mlp_out>, policy::affine{}, layers::all(), key}});
  });
}

namespace {

struct some_neurons {
  using of = site::mlp_post;
  static constexpr index_t first = 3, last = 7;
};

}  // namespace

TEMPLATE_TEST_CASE("One head and a span of neurons fold, and leave the others alone", "", small_gpt2,
                   small_neox_parallel, small_neox_sequential) {
  const auto source = random_weights(TestType::config(), 3);
  check_fold<TestType>(source, [](const auto& model) {
    return steer(model, at(site::head<1>{}, policy::affine{}, layers::all(), positions::shared()),
                 at(some_neurons{}, policy::affine{}, layers::all(), positions::shared()));
  });
  const model_of<TestType> model(source, B(1));
  const auto composition = steer(model, at(site::head<1>{}, policy::activ_scalar{}, layers::all(), positions::shared()),
                                 at(some_neurons{}, policy::activ_scalar{}, layers::all(), positions::shared()));
  const folded_weights folded(source, composition, random_parameters(composition.layout({})), {});
  const auto before = source.template block<double>(1), after = folded.template block<double>(1);
  CHECK(after.attn_out.weight(4, 2) == before.attn_out.weight(4, 2));
  CHECK(after.attn_out.weight(5, 2) != before.attn_out.weight(5, 2));
  CHECK(after.mlp_out.weight(2, 2) == before.mlp_out.weight(2, 2));
  CHECK(after.mlp_out.weight(3, 2) != before.mlp_out.weight(3, 2));
  CHECK(after.mlp_out.weight(7, 2) == before.mlp_out.weight(7, 2));
}

TEST_CASE("Without biases of the attention, parallel blocks add its vectors after the MLP") {
  const auto source = without_attention_bias<small_neox_parallel>();
  const fold_options options{.attention_bias = false};
  const auto key = positions::shared();
  check_fold<small_neox_parallel>(
      source,
      [&](const auto& model) {
        return steer(model, at(site::attn_z{}, policy::affine{}, layers::all(), key),
                     at(site::attn_out{}, policy::affine{}, layers::all(), key),
                     at(site::mlp_out{}, policy::affine{}, layers::all(), key));
      },
      options);
  const model_of<small_neox_parallel> model(source, B(1));
  const auto composition = steer(model, at(site::attn_out{}, policy::steer_vec{}, layers::all(), key));
  const folded_weights folded(source, composition, random_parameters(composition.layout({})), options);
  const auto block = folded.block<double>(1);
  CHECK(std::ranges::all_of(block.attn_out.bias.values, [](double x) { return x == 0; }));
}

TEST_CASE("Without biases of the attention, sequential blocks take scalars and refuse vectors") {
  const fold_options options{.attention_bias = false};
  check_fold<small_neox_sequential>(
      without_attention_bias<small_neox_sequential>(),
      [](const auto& model) {
        return steer(model, at(site::attn_out{}, policy::activ_scalar{}, layers::all(), positions::shared()));
      },
      options);
  const auto why = [&](auto site, auto policy) {
    return refused<small_neox_sequential>(site, policy, positions::shared(), options);
  };
  const auto no_bias = ContainsSubstring("no bias to hold it");
  CHECK_THAT(why(site::attn_out{}, policy::steer_vec{}), no_bias);
  CHECK_THAT(why(site::attn_z{}, policy::affine{}), no_bias);
  CHECK_THAT(why(site::resid_mid{}, policy::steer_vec{}), no_bias);
}

TEST_CASE("What does not fold is refused with the reason") {
  const auto vector = policy::steer_vec{};
  CHECK(
      refused<small_gpt2>(site::attn_out{}, vector, positions::from_end()) ==
      "steer-vec at attn_out in layer 1 does not fold: its positions are from_end, and weights treat all tokens alike; "
      "fit it with shared positions (--positions shared)");
  CHECK_THAT(refused<small_gpt2>(site::mlp_out{}, vector, positions::absolute()), ContainsSubstring("absolute"));
  CHECK_THAT(refused<small_gpt2>(site::mlp_out{}, vector, positions::role({"end"})), ContainsSubstring("role"));
  CHECK_THAT(refused<small_gpt2>(site::resid_post{}, policy::activ_scalar{}, positions::shared()),
             ContainsSubstring("maps the residual stream"));
  CHECK_THAT(refused<small_gpt2>(site::resid_mid{}, policy::affine{}, positions::shared()),
             ContainsSubstring("maps the residual stream"));
  const auto gate = ContainsSubstring("depends on the activations");
  CHECK_THAT(refused<small_gpt2>(site::mlp_out{}, policy::dyn_scalar<>{}, positions::shared()), gate);
  CHECK_THAT((refused<small_gpt2>(site::mlp_out{}, policy::sequence<policy::steer_vec, policy::dyn_scalar<>>{},
                                  positions::shared())),
             gate);
  CHECK_THAT(refused<small_neox_parallel>(site::resid_pre{}, vector, positions::shared(), {.tied_embeddings = true}, 0),
             ContainsSubstring("is the unembedding as well"));
}

TEST_CASE("Interventions that are 0 in a layer fold there, whatever they are") {
  const auto source = random_weights(small_gpt2::config(), 3);
  const model_of<small_gpt2> model(source, B(1));
  const auto composition = steer(model, at(site::attn_out{}, policy::dyn_scalar<>{}),
                                 at(site::mlp_out{}, policy::activ_scalar{}, layers::all(), positions::shared()),
                                 at(site::resid_post{}, policy::affine{}, layers::all(), positions::from_end(2)));
  parameters values{composition.layout({}), {}};
  values.theta.assign(static_cast<std::size_t>(values.layout.size()), 0.0);
  values.theta[static_cast<std::size_t>(values.layout.blocks[1].layer_offset(2))] = 0.5;
  const folded_weights folded(source, composition, values, {});
  CHECK(folded.places() == std::vector<folded_place>{{"mlp_out", "activ-scalar", 2}});
  CHECK(folded.block<double>(1).mlp_out.weight.values == source.block<double>(1).mlp_out.weight.values);
}

TEST_CASE("A vector folds back with the opposite strength, and a scalar with -α/(1 + βα)") {
  const auto source = random_weights(small_gpt2::config(), 3);
  const model_of<small_gpt2> model(source, B(1));
  const auto check = [&](auto policy, auto undone) {
    const auto composition = steer(model, at(site::mlp_out{}, policy, layers::all(), positions::shared()));
    auto values = random_parameters(composition.layout({}));
    const folded_weights once(source, composition, values, {.strength = 1.5});
    for (double& x : values.theta) x = undone(x);
    const folded_weights twice(once, composition, values, {.strength = 1.5});
    for (index_t layer = 0; layer < 3; ++layer) {
      const auto before = source.block<double>(layer).mlp_out, after = twice.template block<double>(layer).mlp_out;
      CHECK(largest_difference(before.weight, after.weight) < 1e-15);
      CHECK(largest_difference(before.bias, after.bias) < 1e-15);
      CHECK(largest_difference(before.bias, once.template block<double>(layer).mlp_out.bias) > 1e-3);
    }
  };
  check(policy::steer_vec{}, [](double x) { return -x; });
  check(policy::activ_scalar{}, [](double alpha) { return -alpha / (1 + 1.5 * alpha); });
}

TEST_CASE("A vector leaves weights alone, and a scalar multiplies weights and bias") {
  const auto source = random_weights(small_gpt2::config(), 3);
  const model_of<small_gpt2> model(source, B(1));
  const auto composition = steer(model, at(site::attn_out{}, policy::steer_vec{}, layers::all(), positions::shared()),
                                 at(site::mlp_out{}, policy::activ_scalar{}, layers::all(), positions::shared()));
  const auto values = random_parameters(composition.layout({}));
  const folded_weights folded(source, composition, values, {.strength = -2});
  const auto before = source.block<double>(1), after = folded.block<double>(1);
  CHECK(after.attn_out.weight.values == before.attn_out.weight.values);
  const double gain = 1 - 2 * values.theta[static_cast<std::size_t>(values.layout.blocks[1].layer_offset(1))];
  CHECK(after.mlp_out.weight(4, 2) == gain * before.mlp_out.weight(4, 2));
  CHECK(after.mlp_out.bias(0, 3) == gain * before.mlp_out.bias(0, 3));
}

}  // namespace trimtab::test::fold_tests
