// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/intervention.hpp>
#include <trimtab/core/prompt_pair.hpp>
#include <trimtab/model/architecture.hpp>
#include <trimtab/steer/parameter_layout.hpp>

#include <span>
#include <string>
#include <tuple>
#include <utility>

/// A composition: a model and the interventions on it. The types carry which sites and policies there are, so that a
/// wrong composition is a sentence from the compiler; layers, positions and parameters are values.

namespace trimtab {

namespace detail {

template <typename T>
struct is_intervention : std::false_type {};
template <typename Site, typename Policy>
struct is_intervention<intervention<Site, Policy>> : std::true_type {};

/// One element of a composition, checked on its own so that the message names it.
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
  using interventions_type = std::tuple<Interventions...>;

  explicit steering(const Model& model, Interventions... interventions)
      : model_(&model), interventions_(std::move(interventions)...) {}

  const Model& model() const { return *model_; }
  const std::tuple<Interventions...>& interventions() const { return interventions_; }

  /// Where the parameters lie for a fit on these prompts. Throws `bad_argument` for a layer that the model lacks, and
  /// `mismatch` where prompts of different lengths cannot share absolute positions.
  parameter_layout layout(std::span<const prompt_pair> prompts) const {
    parameter_layout all;
    const auto append = [&]<typename Site, typename Policy>(const intervention<Site, Policy>& i) {
      parameter_block block = places_of(i);
      block.layers = i.layers.resolve(model_->config().layers);
      block.positions = block.layers.empty() ? positions::shared() : i.positions.resolved(prompts);
      block.offset = all.lane_size();
      all.blocks.push_back(std::move(block));
    };
    std::apply([&](const auto&... i) { (append(i), ...); }, interventions_);
    return all;
  }

  /// Throws `mismatch` for parameters that were made for another composition.
  void check(const parameter_layout& layout, std::size_t numbers) const {
    bool fits =
        layout.blocks.size() == sizeof...(Interventions) and numbers == static_cast<std::size_t>(layout.lane_size());
    std::size_t k = 0;
    const auto compare = [&](const auto& i) {
      if (not fits) return;
      const parameter_block& given = layout.blocks[k++];
      const parameter_block own = places_of(i);
      fits = given.site == own.site and given.policy == own.policy and given.width == own.width and
             given.parts == own.parts and given.record_size == own.record_size and given.slices == own.slices and
             (given.layers.empty() or given.layers.back() < model_->config().layers);
    };
    std::apply([&](const auto&... i) { (compare(i), ...); }, interventions_);
    if (not fits)
      throw error(error_kind::mismatch,
                  "the parameters were made for another composition or another model: sites, policies, "
                  "widths and the number of parameters must be those of this one");
  }

 private:
  /// What an intervention's block is before layers and positions are known.
  template <typename Site, typename Policy>
  parameter_block places_of(const intervention<Site, Policy>&) const {
    parameter_block block;
    block.site = Site::text;
    block.policy = policy_text<Policy>();
    block.parts = site_parts<Site>(model_->config());
    block.width = site_width<Site>(model_->config());
    block.record_size = Policy::parameters.size(block.width);
    Policy::parameters.apply(block.width, [&](auto... p) {
      (block.slices.push_back({label(p.name), p.offset, p.extent}), ...);
    });
    return block;
  }

  /// A user's policy needs no name; files then call it "custom".
  template <typename Policy>
  static std::string policy_text() {
    if constexpr (requires { Policy::text; })
      return std::string(Policy::text);
    else
      return "custom";
  }

  const Model* model_;
  std::tuple<Interventions...> interventions_;
};

/// Composes interventions on a model, which must outlive the result. They are applied where they are, in the order in
/// which a forward pass meets them, whatever the order here.
template <typename Model, typename... Interventions>
steering<Model, Interventions...> steer(const Model& model, Interventions... interventions) {
  return steering<Model, Interventions...>(model, std::move(interventions)...);
}
template <typename Model, typename... Interventions>
void steer(const Model&& temporary, Interventions...) = delete;  // the model would be gone before the steering

}  // namespace trimtab
