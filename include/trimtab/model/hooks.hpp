// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/backend.hpp>
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
/// first layer with an active hook: no backward pass goes below it. Hooks may also have `in_place<Site>(layer)`: whether
/// `h` and `out` may be the same memory there.
template <typename H, typename B>
concept hook_set = requires(H& hooks, const B& on, index_t layer, matrix_view<const typename B::scalar> h,
                            matrix_view<typename B::scalar> out) {
  { H::template has<site::attn_out> } -> std::convertible_to<bool>;
  { hooks.template active<site::attn_out>(layer) } -> std::same_as<bool>;
  hooks.template forward<site::attn_out>(on, layer, h, out);
  hooks.template backward<site::attn_out>(layer, h, h, out);
  { hooks.lowest_layer() } -> std::same_as<index_t>;
};

/// Hooks that can run on one row alone. `forward(on, layer, h, out)` then gets the whole matrices and, as `on`, a row
/// of the backend: it may touch that row only, works through `on` alone, and may run for several rows at once. Hooks
/// for whole matrices take the backend's type instead of any `on`.
///
/// Satisfied by: `static_hooks<...>`, `dynamic_hooks<...>`, and those of exact runs in `explain`.
template <typename H, typename B>
concept rowwise_hooks = hook_set<H, B> and rowwise_backend<B> and
    requires(H& hooks, const typename B::one_row& row, index_t layer, matrix_view<const typename B::scalar> h,
             matrix_view<typename B::scalar> out) {
  hooks.template forward<site::attn_out>(row, layer, h, out);
};

struct no_hooks {
  template <hook_site>
  static constexpr bool has = false;

  template <hook_site>
  static constexpr bool active(index_t) {
    return false;
  }
  template <hook_site, typename On, typename T>
  static void forward(const On&, index_t, matrix_view<const T>, matrix_view<T>) {}
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

/// Whether a site's hook may find `h` and `out` in the same memory; hooks that do not say so may not.
template <hook_site Site, typename Hooks>
bool is_in_place(const Hooks& hooks, index_t layer) {
  if constexpr (Hooks::template has<Site>)
    if constexpr (requires { hooks.template in_place<Site>(layer); }) return hooks.template in_place<Site>(layer);
  return false;
}

/// Which sites of which layers are hooked, as data.
class hooked_sites {
 public:
  /// An observer that is `watching` sees `h` beside `out`, so no hook works in place.
  template <typename Hooks>
  hooked_sites(const Hooks& hooks, index_t layers, bool watching = false)
      : hooks_(static_cast<std::size_t>(layers)), lowest_layer_(hooks.lowest_layer()) {
    for (index_t l = 0; l < layers; ++l)
      site::all::each([&]<typename S>(S) {
        if (is_active<S>(hooks, l))
          hooks_[static_cast<std::size_t>(l)][site_index<S>] =
              not watching and is_in_place<S>(hooks, l) ? hook::in_place : hook::beside;
      });
  }

  template <hook_site Site>
  bool active(index_t layer) const {
    return at<Site>(layer) != hook::none;
  }
  template <hook_site Site>
  bool in_place(index_t layer) const {
    return at<Site>(layer) == hook::in_place;
  }
  index_t lowest_layer() const { return lowest_layer_; }

 private:
  enum class hook { none, beside, in_place };

  template <hook_site Site>
  hook at(index_t layer) const {
    return hooks_[static_cast<std::size_t>(layer)][site_index<Site>];
  }

  std::vector<std::array<hook, site::count>> hooks_;
  index_t lowest_layer_;
};

}  // namespace trimtab
