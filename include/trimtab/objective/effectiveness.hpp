// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/objective.hpp>
#include <trimtab/objective/logit_difference.hpp>
#include <trimtab/row/math.hpp>

#include <string_view>
#include <type_traits>

/// L_E of arXiv 2410.04962: the steered logits prefer the token that β points at, by a margin m:
///
///     ψ(m − sign(β) · D),   D = z[correct] − z[wrong],   ψ(u) = max(0, u), u, or log(1 + e^u)
///
/// With sets of answers D compares the logarithms of their summed probabilities (logit_difference.hpp).
/// The hinge has slope 0 at its kink.

namespace trimtab::objective {

enum class psi { hinge, identity, softplus };

struct effectiveness {
  static constexpr std::string_view text = "effectiveness";

  double margin = 1;
  psi shape = psi::hinge;

  constexpr void each_setting(auto&& f) const {
    f("margin", margin);
    f("psi", shape);
  }

  constexpr auto value(row auto& r) const {
    using T = scalar_of<std::remove_reference_t<decltype(r)>>;
    using math::exp, math::abs;
    const T u = shortfall(r);
    const T positive = u <= 0 ? T(0) : u;  // NaN stays NaN instead of becoming a loss of 0
    if (shape == psi::identity) return u;
    if (shape == psi::softplus) return positive + log_1_plus(exp(-abs(u)));
    return positive;
  }

  constexpr void gradient(row auto& r) const {
    using T = scalar_of<std::remove_reference_t<decltype(r)>>;
    using math::exp, math::abs;
    const T u = shortfall(r);
    T slope = u > 0 ? T(1) : T(0);
    if (shape == psi::identity) slope = 1;
    if (shape == psi::softplus) {
      const T e = exp(-abs(u));
      slope = (u > 0 ? T(1) : e) / (1 + e);
    }
    const T d = r.d_value() * slope * direction(r);
    add_logit_difference_gradient(r, -d);
  }

  /// The sign of β: +1, −1 or 0.
  template <row R>
  static constexpr scalar_of<R> direction(const R& r) {
    using T = scalar_of<R>;
    return r.beta() > 0 ? T(1) : r.beta() < 0 ? T(-1) : T(0);
  }
  /// u: by how much the row falls short of the margin.
  template <row R>
  constexpr scalar_of<R> shortfall(const R& r) const {
    return static_cast<scalar_of<R>>(margin) - direction(r) * logit_difference(r);
  }

 private:
  /// log(1 + e) for 0 < e <= 1, accurate also where 1 + e rounds to 1 (Kahan: the rounding errors cancel).
  template <typename T>
  static constexpr T log_1_plus(T e) {
    using math::log;
    const T w = 1 + e;
    return w == T(1) ? e : log(w) * e / (w - 1);
  }
};

}  // namespace trimtab::objective

template <>
inline constexpr bool trimtab::enable_objective_term<trimtab::objective::effectiveness> = true;
