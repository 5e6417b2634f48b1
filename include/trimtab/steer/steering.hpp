// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/intervention.hpp>
#include <trimtab/core/prompt_pair.hpp>
#include <trimtab/model/transformer.hpp>
#include <trimtab/steer/lay_out.hpp>
#include <trimtab/steer/static_hooks.hpp>

#include <cstdint>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

/// A composition: a model and the interventions on it. Sites and policies are types, so that a wrong composition is a
/// readable compile error; layers, positions and parameters are values.

namespace trimtab {

namespace detail {

template <typename T>
struct is_intervention : std::false_type {};
template <typename Site, typename Policy>
struct is_intervention<intervention<Site, Policy>> : std::true_type {};

/// Checks one intervention of a composition on its own, so that the message names it.
template <typename Model, typename Intervention>
struct checked {
  static_assert(
      is_intervention<Intervention>::value,
      "an intervention is made by at(site, policy), for example at(site::attn_out{}, policy::activ_scalar{})");
  static_assert(
      exposes<typename Intervention::site_type, Model::architecture::residual>,
      "this architecture lacks the site: in a parallel block attention and MLP read the same stream, there is no "
      "resid_mid between them; hook resid_pre or resid_post instead");
};

template <typename Site, typename... Interventions>
inline constexpr int times_hooked = (0 + ... + std::is_same_v<Site, typename Interventions::site_type>);

}  // namespace detail

template <typename Model, typename... Interventions>
class steering {
  static_assert((sizeof(detail::checked<Model, Interventions>) + ... + 0) > 0,
                "a steering needs at least one at(site, policy)");
  static_assert(((detail::times_hooked<typename Interventions::site_type, Interventions...> == 1) and ...),
                "a site is hooked twice: give it one intervention, and policy::sequence if it takes several policies");

 public:
  using model_type = Model;
  using backend_type = typename Model::backend_type;
  using hooks_type = static_hooks<backend_type, Interventions...>;

  explicit steering(const Model& model, Interventions... interventions)
      : model_(&model), interventions_(std::move(interventions)...) {}

  const Model& model() const { return *model_; }

  /// The layout of the parameters for a fit on these prompts. Throws `bad_argument` for a layer that the model lacks,
  /// `mismatch` for absolute positions and prompts of different lengths, `bad_data` for a role that no prompt has.
  parameter_layout layout(std::span<const prompt_pair> prompts) const {
    return lay_out(model_->config(), chosen(), prompts);
  }

  /// Throws `mismatch` for parameters that were made for another composition.
  void check(const parameter_layout& given, std::size_t numbers) const {
    require_same_composition(model_->config(), chosen(), given, numbers);
  }

  /// The parameters that a fit starts from; `seed` is for policies that start at random.
  std::vector<double> starting_parameters(const parameter_layout& layout, std::uint64_t seed) const {
    return start_records(layout, seed, [this](std::size_t k, auto... record) {
      std::size_t number = 0;
      std::apply(
          [&](const auto&... i) {
            ((number++ == k ? start_record<typename std::remove_cvref_t<decltype(i)>::policy_type>(record...) : void()),
             ...);
          },
          interventions_);
    });
  }

  /// The hooks of a pass, which refer to this steering and to the binding.
  hooks_type hooks(const binding<backend_type>& bound) const { return {interventions_, bound}; }

 private:
  std::vector<chosen_intervention> chosen() const {
    std::vector<chosen_intervention> all;
    const auto add = [&]<typename Site, typename Policy>(const intervention<Site, Policy>& i) {
      const index_t width = site_width<Site>(model_->config());
      if constexpr (requires { i.policy.require_width(width); }) i.policy.require_width(width);
      all.push_back({site::table[site_index<Site>], describe(i.policy, width), i.layers, i.positions, i.part});
    };
    std::apply([&](const auto&... i) { (add(i), ...); }, interventions_);
    return all;
  }

  const Model* model_;
  std::tuple<Interventions...> interventions_;
};

/// Composes interventions on a model, which must outlive the result. They act in forward order, whatever their order
/// here. A `pretrained` model is taken as its `transformer`, so that the type does not depend on where the weights came
/// from.
template <tensor_backend B, model_architecture A, typename... Interventions>
steering<transformer<B, A>, Interventions...> steer(const transformer<B, A>& model, Interventions... interventions) {
  return steering<transformer<B, A>, Interventions...>(model, std::move(interventions)...);
}
template <tensor_backend B, model_architecture A, typename... Interventions>
void steer(const transformer<B, A>&& temporary, Interventions...) = delete;  // it would be gone before the steering

}  // namespace trimtab
