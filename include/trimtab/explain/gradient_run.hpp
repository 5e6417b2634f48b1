// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/explain/metric.hpp>
#include <trimtab/explain/place_map.hpp>
#include <trimtab/model/pass.hpp>

#include <vector>

/// One run of the untouched model forward and of a metric D backward, which shows h and ∂D/∂h at every place of a map.

namespace trimtab::explain::detail {

/// Hooks that change nothing: each hands the gradient of its site to see(site, layer, h, d_out).
template <typename Model, typename See>
class gradient_hooks {
 public:
  using B = typename Model::backend_type;
  using T = typename Model::scalar;

  gradient_hooks(const B& backend, const placed_sites& sites, See& see)
      : backend_(&backend), sites_(&sites), see_(&see) {}

  template <hook_site Site>
  static constexpr bool has = exposes<Site, Model::architecture::residual>;

  template <hook_site Site>
  bool active(index_t layer) const {
    return sites_->template active<Site>(layer);
  }
  index_t lowest_layer() const { return sites_->lowest_layer(); }

  template <hook_site Site>
  void forward(const B& on, index_t, matrix_view<const T> h, matrix_view<T> out) const {
    on.copy(h, out);
  }
  template <hook_site Site>
  void backward(index_t layer, matrix_view<const T> h, matrix_view<const T> d_out, matrix_view<T> d_h) const {
    backend_->copy(d_out, d_h);
    (*see_)(Site{}, layer, h, d_out);
  }

 private:
  const B* backend_;
  const placed_sites* sites_;
  See* see_;
};

/// Runs the model forward from the stream x [rows, D] before the first layer, and the metric backward; calls see(site,
/// layer, h, d_out) at each site of the map, downward. Returns the metric of each sequence, whose prompt is
/// `prompt[sequence]`.
template <typename Model, typename See>
std::vector<double> run_backward(const Model& model, const batch<typename Model::backend_type>& rows,
                                 matrix_view<typename Model::scalar> x, const placed_sites& sites,
                                 const scorer<typename Model::backend_type>& score, const int* prompt, See see) {
  using hooks = gradient_hooks<Model, See>;
  const index_t layers = model.config().layers, lowest = sites.lowest_layer();
  workspace<typename Model::backend_type> memory(model.backend());
  const auto logits = memory.take(rows.queries(), model.config().vocabulary);
  const auto d_logits = memory.take(rows.queries(), model.config().vocabulary);
  pass<Model> below(model, rows, {0, lowest});
  pass<Model, hooks> above(model, rows, {lowest, layers}, hooks(model.backend(), sites, see),
                           pass_use::forward_and_backward);
  above.unembed(above.forward(below.forward(x)), logits);
  std::vector<double> values = score.values(logits, prompt);
  score.gradient(logits, prompt, d_logits);
  above.backward(d_logits);
  return values;
}

}  // namespace trimtab::explain::detail
