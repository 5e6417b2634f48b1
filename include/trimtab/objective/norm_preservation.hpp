// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/objective.hpp>
#include <trimtab/row/math.hpp>

#include <string_view>
#include <type_traits>

/// An intervention keeps the length of the activations that it changes:
///
///     N = (‖out‖ / ‖h‖ − 1)²        ∂N/∂out = 2 (‖out‖ / ‖h‖ − 1) out / (‖out‖ ‖h‖)
///                                   ∂N/∂h = −2 (‖out‖ / ‖h‖ − 1) ‖out‖ h / ‖h‖³
///
/// N is 0 where h is zero, because there is nothing to compare with, and has slope 0 where out is zero. Of a policy
/// that only scales, and does not turn h around, N is the square of β times the scalar.

namespace trimtab::objective {

struct norm_preservation {
  static constexpr std::string_view text = "norm_preservation";
  static constexpr bool of_hooks = true;

  constexpr auto value(row auto& r) const {
    const auto l = lengths_of(r);
    using T = std::remove_const_t<decltype(l.h)>;
    if (l.h == 0) return T(0);
    const T change = l.out / l.h - 1;
    return T(change * change);
  }

  constexpr void gradient(row auto& r) const {
    const auto l = lengths_of(r);
    using T = std::remove_const_t<decltype(l.h)>;
    if (l.h == 0 or l.out == 0) return;
    const T d = 2 * r.d_value() * (l.out / l.h - 1) / l.h;
    const T along_out = d / l.out, along_h = d * (l.out / l.h) / l.h;
    r.each([&](auto j) {
      r.d_out(j) += along_out * r.out(j);
      r.d_h(j) -= along_h * r.h(j);
    });
  }

 private:
  template <typename T>
  struct lengths {
    T h, out;
  };

  template <row R>
  static constexpr lengths<scalar_of<R>> lengths_of(const R& r) {
    using math::sqrt;
    return {sqrt(r.sum([&](auto j) { return r.h(j) * r.h(j); })),
            sqrt(r.sum([&](auto j) { return r.out(j) * r.out(j); }))};
  }
};

}  // namespace trimtab::objective

template <>
inline constexpr bool trimtab::enable_objective_term<trimtab::objective::norm_preservation> = true;
