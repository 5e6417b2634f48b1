// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/prompt_pair.hpp>
#include <trimtab/model/transformer.hpp>
#include <trimtab/steer/dynamic_hooks.hpp>
#include <trimtab/steer/lay_out.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

/// A composition made at run time, from a file or a command line: any policies at any sites, also several at one site.
/// It gives the same bits as a `steering` of the same interventions.

namespace trimtab {

/// One intervention of a run-time composition.
template <tensor_backend B>
struct any_intervention {
  std::size_t site;  ///< its index in site::all
  any_policy<B> policy;
  layer_set layers = layers::all();
  position_key positions = policy.describe(1).shares_positions ? positions::shared() : positions::absolute();
  index_t part = -1;  ///< the head at `attn_z`; -1: all of them
};

template <typename Model>
class dynamic_steering {
 public:
  using model_type = Model;
  using backend_type = typename Model::backend_type;
  using hooks_type = dynamic_hooks<backend_type, Model::architecture::residual>;

  /// Throws `bad_argument` for an index without a site, `mismatch` for a site that the model's blocks lack.
  dynamic_steering(const Model& model, std::vector<any_intervention<backend_type>> interventions)
      : model_(&model), interventions_(std::move(interventions)) {
    for (const auto& i : interventions_) {
      if (i.site >= site::count)
        throw error(error_kind::bad_argument, "there is no site with index " + std::to_string(i.site) +
                                                  "; site::all has " + std::to_string(site::count) + " sites");
      if (model.config().parallel_residual and not site::table[i.site].in_parallel_blocks)
        throw error(error_kind::mismatch, "the model's blocks are parallel and have no " +
                                              std::string(site::table[i.site].text) +
                                              "; hook resid_pre or resid_post instead");
    }
  }

  const Model& model() const { return *model_; }
  const std::vector<any_intervention<backend_type>>& interventions() const { return interventions_; }

  /// The same as in `steering`.
  parameter_layout layout(std::span<const prompt_pair> prompts) const {
    return lay_out(model_->config(), chosen(), prompts);
  }
  void check(const parameter_layout& given, std::size_t numbers) const {
    require_same_composition(model_->config(), chosen(), given, numbers);
  }
  std::vector<double> starting_parameters(const parameter_layout& layout, std::uint64_t seed) const {
    return start_records(layout, seed, [this](std::size_t k, std::span<double> record, index_t width, auto& random) {
      interventions_[k].policy.start(record, width, random);
    });
  }
  hooks_type hooks(const binding<backend_type>& bound) const {
    std::vector<any_placement<backend_type>> placements;
    for (const auto& i : interventions_) placements.push_back({i.site, i.policy});
    return {std::move(placements), bound, model_->config()};
  }

 private:
  std::vector<chosen_intervention> chosen() const {
    std::vector<chosen_intervention> all;
    for (const auto& i : interventions_) {
      const site_description& at = site::table[i.site];
      all.push_back({at, i.policy.describe(site_width(at.rows, model_->config())), i.layers, i.positions, i.part});
    }
    return all;
  }

  const Model* model_;
  std::vector<any_intervention<backend_type>> interventions_;
};

/// Composes interventions that are known only at run time. Throws as the constructor does.
template <tensor_backend B, model_architecture A>
dynamic_steering<transformer<B, A>> steer(const transformer<B, A>& model,
                                          std::vector<any_intervention<B>> interventions) {
  return {model, std::move(interventions)};
}
template <tensor_backend B, model_architecture A>
void steer(const transformer<B, A>&& temporary, std::vector<any_intervention<B>>) = delete;

}  // namespace trimtab
