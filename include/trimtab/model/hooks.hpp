// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/site.hpp>
#include <trimtab/core/view.hpp>

#include <concepts>

/// What a pass asks of the interventions that ride on it. Whether a site is hooked at all is known to the compiler:
/// where it is not, nothing is left of the question, and a pass without hooks is the same instructions as if hooks did
/// not exist.

namespace trimtab {

/// Interventions, as a pass meets them.
///
/// Satisfied by: `no_hooks`, `bound_steering<...>`.
/// `forward` sets `out` from `h`; `backward` sets `d_h` and keeps the gradients of its parameters to itself.
/// `lowest_layer()` is the first layer with an active hook: nothing below it is run backwards.
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

}  // namespace trimtab
