// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/gate.hpp>
#include <trimtab/core/renamed_row.hpp>
#include <trimtab/core/settings.hpp>
#include <trimtab/row/math.hpp>

#include <string>
#include <string_view>
#include <type_traits>

/// A policy P that acts where a gate g exceeds a threshold t, smoothly, so that gate and policy learn together:
///
///     out = h + σ((g(h) − t) / τ) (P(h) − h),   σ(x) = 1 / (1 + e^−x)
///
/// In files the gate's parameters carry the prefix `gate.`. Minimality weighs the policy's parameters alone, because
/// where they are zero the gate means nothing.

namespace trimtab::policy {

namespace detail {

/// The policy's names: its output, and in the adjoint its gradient of h, are in scratch memory.
struct to_inner {
  template <typename Name>
  constexpr Name operator()(Name n) const {
    return n;
  }
  constexpr scratch_row<0> operator()(per_channel<"out">) const { return {}; }
  constexpr scratch_row<1> operator()(gradient_of<per_channel<"out">>) const { return {}; }
  constexpr scratch_row<2> operator()(gradient_of<per_channel<"h">>) const { return {}; }
  template <int K>
  constexpr scratch_row<K + 3> operator()(scratch_row<K>) const {
    return {};
  }
};

/// The gate's names.
template <typename Gate>
struct to_gate {
  template <typename Name>
  constexpr auto operator()(Name n) const {
    if constexpr (Gate::parameters.template contains<Name>)
      return of_gate<Name>{};
    else
      return n;
  }
  template <typename Name>
  constexpr auto operator()(gradient_of<Name>) const {
    return gradient_of<decltype((*this)(Name{}))>{};
  }
};

}  // namespace detail

template <gate_function Gate, intervention_policy Policy>
struct conditional {
  static constexpr std::string_view text = "conditional";
  static constexpr fit_defaults defaults = defaults_of<Policy>();
  static constexpr bool only_scales = scales_only<Policy>;
  static constexpr bool shared_by_positions = true;
  static constexpr bool in_place = true;
  static constexpr bool crosses_channels = crosses_channels_of<Policy>() or crosses_channels_of<Gate>();
  static constexpr int scratch_rows = 3 + scratch_rows_of<Policy>();
  static constexpr auto parameters = []<typename... A, typename... B>(parameter_list<A...>, parameter_list<B...>) {
    return parameter_list<A..., of_gate<B>...>{};
  }(Policy::parameters, Gate::parameters);

  Gate gate{};
  Policy inner{};
  double threshold = 0;
  double tau = 1;

  void each_setting(auto&& f) const {
    f("gate", std::string(policy_text<Gate>()));
    for (const named_setting& s : settings_of(gate)) f("gate." + s.name, s.value);
    f("inner", std::string(policy_text<Policy>()));
    for (const named_setting& s : settings_of(inner)) f("inner." + s.name, s.value);
    f("threshold", threshold);
    f("tau", tau);
  }
  template <typename Name>
  static double start(Name name, random_generator& random,
                      index_t width) requires trimtab::detail::says_start<Policy, Name> {
    return Policy::start(name, random, width);
  }
  template <typename Name>
  static double start(of_gate<Name>, random_generator& random,
                      index_t width) requires trimtab::detail::says_start<Gate, Name> {
    return Gate::start(Name{}, random, width);
  }
  template <typename Name>
  static constexpr weighing weighs(Name name) {
    return weighing_of<Policy>(name);
  }
  template <typename Name>
  static constexpr weighing weighs(of_gate<Name>) {
    return weighing::none;
  }

  constexpr void forward(row auto& r) const {
    using T = scalar_of<std::remove_reference_t<decltype(r)>>;
    renamed_row of_policy(r, detail::to_inner{});
    renamed_row of_gate(r, detail::to_gate<Gate>{});
    const T s = openness(static_cast<T>(gate.value(of_gate)));
    inner.forward(of_policy);
    r.each([&](auto j) { r.out(j) = r.h(j) + s * (r(steered, j) - r.h(j)); });
  }

  constexpr void backward(row auto& r) const {
    using T = scalar_of<std::remove_reference_t<decltype(r)>>;
    renamed_row of_policy(r, detail::to_inner{});
    renamed_row of_gate(r, detail::to_gate<Gate>{});
    const T g = static_cast<T>(gate.value(of_gate)), s = openness(g);
    inner.forward(of_policy);
    const T d_s = r.sum([&](auto j) { return (r(steered, j) - r.h(j)) * r.d_out(j); });
    r.each([&](auto j) { r(d_steered, j) = s * r.d_out(j); });
    inner.backward(of_policy);
    gate.backward(of_gate, g, d_s * s * (1 - s) / static_cast<T>(tau), 1 - s);
    r.each([&](auto j) { r.d_h(j) += r(d_by_policy, j); });
  }

 private:
  static constexpr scratch_row<0> steered{};
  static constexpr scratch_row<1> d_steered{};
  static constexpr scratch_row<2> d_by_policy{};

  /// σ((g − t) / τ)
  template <typename T>
  constexpr T openness(T g) const {
    using math::exp;
    return 1 / (1 + exp((static_cast<T>(threshold) - g) / static_cast<T>(tau)));
  }
};

}  // namespace trimtab::policy
