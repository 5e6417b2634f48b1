// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/measure/evaluate.hpp>
#include <trimtab/policy/activ_scalar.hpp>
#include <trimtab/policy/affine.hpp>
#include <trimtab/policy/dyn_scalar.hpp>
#include <trimtab/policy/sequence.hpp>
#include <trimtab/policy/steer_vec.hpp>

#include "gradients.hpp"
#include "small_models.hpp"

#include <tuple>
#include <utility>
#include <vector>

/// Compositions that hook every site of a kind of model, each with another policy. Site s gets policy (s + shift) mod
/// 5, so five shifts cover every pair of site and policy.

namespace trimtab::test {

using policies_in_turn = std::tuple<policy::activ_scalar, policy::steer_vec, policy::dyn_scalar<>, policy::affine,
                                    policy::sequence<policy::steer_vec, policy::dyn_scalar<gate::tanh_rms<>>>>;

using sequential_sites = std::tuple<site::resid_pre, site::attn_z, site::attn_out, site::resid_mid, site::mlp_post,
                                    site::mlp_out, site::resid_post>;
using parallel_sites =
    std::tuple<site::resid_pre, site::attn_z, site::attn_out, site::mlp_post, site::mlp_out, site::resid_post>;

template <typename Kind>
using sites_of = std::conditional_t<Kind::parallel, parallel_sites, sequential_sites>;

/// The layers and positions of each site.
struct hooked_places {
  std::vector<layer_set> layers;
  std::vector<position_key> positions;

  template <typename Kind>
  static hooked_places everywhere(std::vector<position_key> keys_in_turn) {
    hooked_places places;
    for (std::size_t k = 0; k < std::tuple_size_v<sites_of<Kind>>; ++k) {
      places.layers.push_back(layers::all());
      places.positions.push_back(keys_in_turn[k % keys_in_turn.size()]);
    }
    return places;
  }
  template <typename Kind>
  static hooked_places only(std::size_t site, layer_set chosen, position_key key) {
    auto places = everywhere<Kind>({std::move(key)});
    for (std::size_t k = 0; k < places.layers.size(); ++k) places.layers[k] = k == site ? chosen : layers::none();
    return places;
  }
};

template <typename Kind, int Shift, typename Model>
auto hook_all_sites(const Model& model, const hooked_places& places) {
  return [&]<std::size_t... K>(std::index_sequence<K...>) {
    return steer(
        model, at(std::tuple_element_t<K, sites_of<Kind>>{}, std::tuple_element_t<(K + Shift) % 5, policies_in_turn>{},
                  places.layers[K], places.positions[K])...);
  }
  (std::make_index_sequence<std::tuple_size_v<sites_of<Kind>>>{});
}

/// Small random parameters, none of which is 0.
inline parameters random_parameters(const parameter_layout& layout, std::uint64_t seed = 1, double scale = 0.2) {
  return {layout, random_matrix<double>(1, layout.size(), seed, scale).values};
}

template <typename Kind, typename T>
auto small_model(int threads = 1) {
  return typename Kind::template model<eigen_backend<T>>(random_weights(Kind::config(), 3), eigen_backend<T>(threads));
}

/// A steered pass that can be run repeatedly with other parameters, forward and backward.
template <typename Steering>
class repeated_pass {
 public:
  using T = typename Steering::model_type::scalar;

  repeated_pass(const Steering& composition, std::span<const prompt_pair> prompts, const std::vector<double>& strengths,
                scored where = scored::last)
      : layout_(composition.layout(prompts)),
        run_(composition, {layout_}, prompts, every_strength(static_cast<index_t>(prompts.size()), strengths),
             pass_use::forward_and_backward, where) {}

  const parameter_layout& layout() const { return layout_; }
  std::vector<T> logits(const std::vector<T>& theta) {
    std::ranges::copy(theta, run_.theta().data);
    const auto z = run_.forward();
    return {z.data, z.data + z.size()};
  }
  /// The gradient of Σ d_logits · logits.
  std::vector<T> gradient(const std::vector<T>& theta, const std::vector<T>& d_logits) {
    logits(theta);
    std::ranges::copy(d_logits, run_.d_logits().data);
    run_.backward();
    return {run_.gradient().data, run_.gradient().data + layout_.size()};
  }

 private:
  parameter_layout layout_;
  steered<Steering> run_;
};

/// Compares the gradient of all parameters of the composition that compose(model) makes with complex-step derivatives
/// and central differences.
template <typename Kind, typename Compose>
void check_model_gradient(Compose compose, std::span<const prompt_pair> prompts, scored where = scored::last) {
  const std::vector<double> strengths{1, -0.7};
  const auto model = small_model<Kind, double>();
  const auto complex_model = small_model<Kind, dual>();
  const auto composition = compose(model);
  const auto complex_composition = compose(complex_model);
  repeated_pass pass(composition, prompts, strengths, where);
  repeated_pass complex_pass(complex_composition, prompts, strengths, where);
  const auto theta = random_parameters(pass.layout()).theta;
  const auto d_logits = random_matrix<double>(1, static_cast<index_t>(pass.logits(theta).size()), 8).values;
  const auto weighted_logits = [&]<typename T>(const std::vector<T>& x) {
    std::vector<T> z;
    if constexpr (std::is_same_v<T, double>)
      z = pass.logits(x);
    else
      z = complex_pass.logits(x);
    T sum = 0;
    for (std::size_t i = 0; i < z.size(); ++i) sum += z[i] * d_logits[i];
    return sum;
  };
  REQUIRE(not theta.empty());
  check_gradient(weighted_logits, theta, pass.gradient(theta, d_logits));
}

/// Checks the gradient of every parameter at every site, with the policies of one shift.
template <typename Kind, int Shift>
void check_all_sites() {
  CAPTURE(Shift);
  const auto prompts = random_prompts(Kind::config(), {4, 1, 3});
  const auto check = [&](const hooked_places& places, scored where = scored::last) {
    check_model_gradient<Kind>([&](const auto& model) { return hook_all_sites<Kind, Shift>(model, places); }, prompts,
                               where);
  };
  check(hooked_places::everywhere<Kind>(
      {positions::from_end(2), positions::shared(), positions::role({"subject", "end"})}));
  // With one site only, the backward pass ends at that site.
  for (std::size_t k = 0; k < std::tuple_size_v<sites_of<Kind>>; ++k) {
    CAPTURE(k);
    check(hooked_places::only<Kind>(k, layers::list({static_cast<index_t>(k + Shift) % 3}), positions::shared()),
          k % 2 == 0 ? scored::last : scored::all);
  }
}

}  // namespace trimtab::test
