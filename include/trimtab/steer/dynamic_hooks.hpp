// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/model/architecture.hpp>
#include <trimtab/model/hooks.hpp>
#include <trimtab/steer/any_policy.hpp>
#include <trimtab/steer/binding.hpp>

#include <array>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

/// Hooks that look up their policies in a table, at the cost of one virtual call per site and row. Several policies
/// at one site act one after another, each on the previous one's output.

namespace trimtab {

/// A policy at a site.
template <tensor_backend B>
struct any_placement {
  std::size_t site;  ///< its index in site::all
  any_policy<B> policy;
};

template <tensor_backend B, residual_form Form>
class dynamic_hooks {
 public:
  using T = typename B::scalar;

  dynamic_hooks(std::vector<any_placement<B>> interventions, const binding<B>& bound, const model_config& config)
      : table_(std::make_shared<table>(std::move(interventions), bound, config)) {}

  template <hook_site Site>
  static constexpr bool has = exposes<Site, Form>;

  template <hook_site Site>
  bool active(index_t layer) const {
    return not table_->template at<Site>(layer).interventions.empty();
  }
  /// Whether the policy works in place. Several policies always do: only the last writes `out`, from memory between
  /// them and not from `h`. Never where terms read `h` after the hook has written `out`.
  template <hook_site Site>
  bool in_place(index_t layer) const {
    if (table_->bound.measure()) return false;
    const std::vector<std::size_t>& all = table_->template at<Site>(layer).interventions;
    return all.size() > 1 or table_->policy(all.front()).in_place();
  }
  index_t lowest_layer() const { return table_->lowest_layer; }

  template <hook_site Site, typename On>
  void forward(const On& on, index_t layer, matrix_view<const T> h, matrix_view<T> out) const {
    run<Site>(on, layer, h, out);
    if (const auto* terms = table_->bound.measure()) terms->template forward<Site>(on, layer, h, out);
  }
  template <hook_site Site>
  void backward(index_t layer, matrix_view<const T> h, matrix_view<const T> d_out, matrix_view<T> d_h) const {
    const auto back = [&](matrix_view<const T> from, matrix_view<T> to) { run_back<Site>(layer, h, from, to); };
    if (const auto* terms = table_->bound.measure())
      terms->template backward<Site>(
          layer, h, d_out, d_h, [&](matrix_view<T> out) { run<Site>(table_->backend(), layer, h, out); }, back);
    else
      back(d_out, d_h);
  }

 private:
  /// The interventions at one site of one layer, in the order in which they act, and the activations between them.
  struct chain {
    std::vector<std::size_t> interventions = {};
    std::vector<matrix_view<T>> between = {};
    std::array<matrix_view<T>, 2> d_between = {};
  };

  struct table {
    std::vector<any_placement<B>> placements;
    const binding<B>& bound;
    workspace<B> memory;
    std::vector<std::array<chain, site::count>> layers;
    index_t lowest_layer;

    table(std::vector<any_placement<B>> interventions, const binding<B>& to, const model_config& config)
        : placements(std::move(interventions)),
          bound(to),
          memory(to.backend()),
          layers(static_cast<std::size_t>(config.layers)),
          lowest_layer(to.lowest_layer()) {
      for (index_t l = 0; l < config.layers; ++l)
        for (std::size_t k = 0; k < placements.size(); ++k)
          if (bound.layer_offset(k, l) >= 0)
            layers[static_cast<std::size_t>(l)][placements[k].site].interventions.push_back(k);
      std::array<matrix_view<T>, 2> d_between{};
      for (index_t l = 0; l < config.layers; ++l)
        site::all::each([&]<typename Site>(Site) {
          chain& c = layers[static_cast<std::size_t>(l)][site_index<Site>];
          if (c.interventions.size() < 2) return;
          const index_t count = rows<Site>(c.interventions.front(), l).records.rows;
          const index_t width = site_width<Site>(config);
          while (c.between.size() + 1 < c.interventions.size()) c.between.push_back(memory.take(count, width));
          for (matrix_view<T>& d : d_between) {
            if (d.size() < count * width) d = memory.take(count, width);
            c.d_between[static_cast<std::size_t>(&d - d_between.data())] = {d.data, count, width};
          }
        });
    }

    template <hook_site Site>
    const chain& at(index_t layer) const {
      return layers[static_cast<std::size_t>(layer)][site_index<Site>];
    }
    const B& backend() const { return bound.backend(); }
    const any_policy<B>& policy(std::size_t k) const { return placements[k].policy; }
    const T* theta(std::size_t k, index_t layer) const { return bound.theta().data + bound.layer_offset(k, layer); }
    T* gradient(std::size_t k, index_t layer) const { return bound.gradient().data + bound.layer_offset(k, layer); }
    template <hook_site Site>
    const bound_rows<T>& rows(std::size_t k, index_t layer) const {
      return bound.template rows<Site>(k, layer);
    }
  };

  template <hook_site Site, typename On>
  void run(const On& on, index_t layer, matrix_view<const T> h, matrix_view<T> out) const {
    const chain& c = table_->template at<Site>(layer);
    for (std::size_t n = 0; n < c.interventions.size(); ++n) {
      const bool is_last = n + 1 == c.interventions.size();
      const std::size_t k = c.interventions[n];
      table_->policy(k).forward(on, input(c, n, h), is_last ? out : c.between[n], table_->theta(k, layer),
                                table_->template rows<Site>(k, layer));
    }
  }
  template <hook_site Site>
  void run_back(index_t layer, matrix_view<const T> h, matrix_view<const T> d_out, matrix_view<T> d_h) const {
    const chain& c = table_->template at<Site>(layer);
    for (std::size_t n = c.interventions.size(); n-- > 0;) {
      const std::size_t k = c.interventions[n];
      const matrix_view<T> d_in = n == 0 ? d_h : c.d_between[n % 2];
      table_->policy(k).backward(table_->backend(), input(c, n, h), d_out, d_in, table_->theta(k, layer),
                                 table_->gradient(k, layer), table_->bound.partial(k),
                                 table_->template rows<Site>(k, layer));
      d_out = d_in;
    }
  }
  static matrix_view<const T> input(const chain& c, std::size_t n, matrix_view<const T> h) {
    return n == 0 ? h : c.between[n - 1].as_const();
  }

  std::shared_ptr<const table> table_;
};

}  // namespace trimtab
