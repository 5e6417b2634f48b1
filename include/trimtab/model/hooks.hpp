// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/site.hpp>
#include <trimtab/core/view.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <vector>

/// What a pass requires of interventions and observers. Which sites can be hooked is known at compile time, so a pass
/// without hooks compiles to the same instructions as if hooks did not exist.

namespace trimtab {

/// The interventions of a pass.
///
/// Satisfied by: `no_hooks`, `static_hooks<...>`, `dynamic_hooks<...>`.
/// `forward` sets `out` from `h`; `backward` sets `d_h` and stores the parameters' gradients. `lowest_layer()` is the
/// first layer with an active hook: no backward pass goes below it.
template <typename H, typename T>
concept hook_set = requires(H& hooks, index_t layer, matrix_view<const T> h, matrix_view<T> out) {
  { H::template has<site::attn_out> } -> std::convertible_to<bool>;
  { hooks.template active<site::attn_out>(layer) } -> std::same_as<bool>;
  hooks.template forward<site::attn_out>(layer, h, out);
  hooks.template backward<site::attn_out>(layer, h, h, out);
  { hooks.lowest_layer() } -> std::same_as<index_t>;
};

struct no_hooks {
  template <hook_site>
  static constexpr bool has = false;

  template <hook_site>
  static constexpr bool active(index_t) {
    return false;
  }
  template <hook_site, typename T>
  static void forward(index_t, matrix_view<const T>, matrix_view<T>) {}
  template <hook_site, typename T>
  static void backward(index_t, matrix_view<const T>, matrix_view<const T>, matrix_view<T>) {}
  static index_t lowest_layer() { return 0; }
};

/// Sees activations as they are computed: `h` before a site's hook and `out` after it, both [rows, width] of the site
/// (at `attn_z` a row per head); without an intervention they are equal. Both are valid only during the call.
///
/// Satisfied by: `no_observer`, `geometry_observer`, and what `observe` makes of a function.
template <typename O, typename T>
concept pass_observer = requires(O& o, index_t layer, matrix_view<const T> h) {
  { O::is_watching } -> std::convertible_to<bool>;
  o.template saw<site::attn_out>(layer, h, h);
};

struct no_observer {
  static constexpr bool is_watching = false;

  template <hook_site, typename T>
  static void saw(index_t, matrix_view<const T>, matrix_view<const T>) {}
};

template <hook_site Site, typename Hooks>
bool is_active(const Hooks& hooks, index_t layer) {
  if constexpr (Hooks::template has<Site>)
    return hooks.template active<Site>(layer);
  else
    return false;
}

/// Which sites of which layers are hooked, as data.
class hooked_sites {
 public:
  template <typename Hooks>
  hooked_sites(const Hooks& hooks, index_t layers)
      : active_(static_cast<std::size_t>(layers)), lowest_layer_(hooks.lowest_layer()) {
    for (index_t l = 0; l < layers; ++l)
      site::all::each(
          [&]<typename S>(S) { active_[static_cast<std::size_t>(l)][site_index<S>] = is_active<S>(hooks, l); });
  }

  template <hook_site Site>
  bool active(index_t layer) const {
    return active_[static_cast<std::size_t>(layer)][site_index<Site>];
  }
  index_t lowest_layer() const { return lowest_layer_; }

 private:
  std::vector<std::array<bool, site::count>> active_;
  index_t lowest_layer_;
};

}  // namespace trimtab
