// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/gate.hpp>
#include <trimtab/core/settings.hpp>
#include <trimtab/policy/gate/linear.hpp>

#include <array>
#include <string_view>
#include <type_traits>

/// The dynamic scalar, Eq. 10 of arXiv 2410.04962: out = (1 + β g(h)) h. The gate g reads the activation itself, so one
/// record serves every position and prompts of any length. Any gate does: linear, w·h + b, is the paper's;
/// `dyn_scalar<gate::mlp<4>>` takes one of the others in policy/gate/, `dyn_scalar<my_gate>` one of yours.

namespace trimtab::policy {

namespace detail {

/// Three texts one after another.
template <const std::string_view& Before, const std::string_view& Middle, const std::string_view& After>
inline constexpr auto in_a_row = [] {
  std::array<char, Before.size() + Middle.size() + After.size()> all{};
  std::size_t n = 0;
  for (const std::string_view* one : {&Before, &Middle, &After})
    for (char c : *one) all[n++] = c;
  return all;
}();
template <const std::string_view& Before, const std::string_view& Middle, const std::string_view& After>
inline constexpr std::string_view text_in_a_row{in_a_row<Before, Middle, After>.data(),
                                                in_a_row<Before, Middle, After>.size()};

inline constexpr std::string_view name_before_gate = "dyn-scalar-", formula_before_gate = "out = (1 + beta * (",
                                  formula_after_gate = ")) * h", nothing{};

/// Different gates have different names in files; a bias shows in the parameters.
template <typename Gate>
constexpr std::string_view name_of_dyn_scalar() {
  if constexpr (not requires { Gate::text; })
    return "custom";
  else if constexpr (Gate::text == gate::linear<>::text)
    return "dyn-scalar";
  else
    return text_in_a_row<name_before_gate, Gate::text, nothing>;
}

template <typename Gate>
constexpr std::string_view formula_with_gate() {
  if constexpr (requires { Gate::formula; })
    return text_in_a_row<formula_before_gate, Gate::formula, formula_after_gate>;
  else
    return {};
}

}  // namespace detail

template <gate_function Gate = gate::linear<>>
struct dyn_scalar {
  static constexpr std::string_view text = detail::name_of_dyn_scalar<Gate>();
  static constexpr std::string_view formula = detail::formula_with_gate<Gate>();
  static constexpr fit_defaults defaults{.lambda_m = 0.01, .learning_rate = 0.001};
  static constexpr bool only_scales = true;
  static constexpr bool crosses_channels = crosses_channels_of<Gate>();
  static constexpr bool in_place = true;
  static constexpr bool shared_by_positions = true;
  static constexpr auto parameters = Gate::parameters;

  Gate g{};

  template <typename Name>
  static double start(Name name, random_generator& random,
                      index_t width) requires trimtab::detail::says_start<Gate, Name> {
    return Gate::start(name, random, width);
  }
  template <typename Name>
  static constexpr weighing weighs(Name name) {
    return weighing_of<Gate>(name);
  }
  void each_setting(auto&& f) const {
    for (const named_setting& s : settings_of(g)) f(s.name, s.value);
  }

  constexpr void forward(row auto& r) const {
    using T = scalar_of<std::remove_reference_t<decltype(r)>>;
    const T gain = 1 + r.beta() * static_cast<T>(g.value(r));
    r.each([&](auto j) { r.out(j) = gain * r.h(j); });
  }

  constexpr void backward(row auto& r) const {
    using T = scalar_of<std::remove_reference_t<decltype(r)>>;
    const T value = static_cast<T>(g.value(r)), gain = 1 + r.beta() * value;
    const T d_value = r.beta() * r.sum([&](auto j) { return r.h(j) * r.d_out(j); });
    g.backward(r, value, d_value, gain);
  }
};

}  // namespace trimtab::policy
