// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/model/hooks.hpp>
#include <trimtab/steer/binding.hpp>

#include <cstddef>
#include <tuple>

/// Hooks whose sites and policies are known at compile time; a site without one costs nothing.

namespace trimtab {

template <tensor_backend B, typename... Interventions>
class static_hooks {
 public:
  using T = typename B::scalar;

  static_hooks(const std::tuple<Interventions...>& interventions, const binding<B>& bound)
      : interventions_(&interventions), bound_(&bound), lowest_layer_(bound.lowest_layer()) {}

  using sites = site::list<typename Interventions::site_type...>;

  template <hook_site Site>
  static constexpr bool has = sites::template contains<Site>;

  /// The index of the intervention at the site.
  template <hook_site Site>
  static constexpr std::size_t index = sites::template index_of<Site>;

  template <hook_site Site>
  bool active(index_t layer) const {
    return bound_->layer_offset(index<Site>, layer) >= 0;
  }
  /// Whether the policy works in place; never where terms read `h` after the hook has written `out`.
  template <hook_site Site>
  bool in_place(index_t) const {
    return works_in_place<decltype(std::tuple_element_t<index<Site>, std::tuple<Interventions...>>::policy)> and
           bound_->measure() == nullptr;
  }
  index_t lowest_layer() const { return lowest_layer_; }

  template <hook_site Site, typename On>
  void forward(const On& on, index_t layer, matrix_view<const T> h, matrix_view<T> out) const {
    run<Site>(on, layer, h, out);
    if (const auto* terms = bound_->measure()) terms->template forward<Site>(on, layer, h, out);
  }
  template <hook_site Site>
  void backward(index_t layer, matrix_view<const T> h, matrix_view<const T> d_out, matrix_view<T> d_h) const {
    const auto back = [&](matrix_view<const T> from, matrix_view<T> to) {
      bound_->template backward<Site>(index<Site>, std::get<index<Site>>(*interventions_).policy, layer, h, from, to);
    };
    if (const auto* terms = bound_->measure())
      terms->template backward<Site>(
          layer, h, d_out, d_h, [&](matrix_view<T> out) { run<Site>(bound_->backend(), layer, h, out); }, back);
    else
      back(d_out, d_h);
  }

 private:
  template <hook_site Site, typename On>
  void run(const On& on, index_t layer, matrix_view<const T> h, matrix_view<T> out) const {
    bound_->template forward<Site>(on, index<Site>, std::get<index<Site>>(*interventions_).policy, layer, h, out);
  }

  const std::tuple<Interventions...>* interventions_;
  const binding<B>* bound_;
  index_t lowest_layer_;
};

}  // namespace trimtab
