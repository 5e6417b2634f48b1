// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/gate.hpp>
#include <trimtab/row/math.hpp>

#include <cmath>
#include <string_view>

/// A gate that reads the direction of h and not its length:
///
///     g(h) = a cos(w, h) = a (w·h) / (‖w‖ ‖h‖),   0 where w or h is 0
///
/// It starts at a = 0 with w ~ N(0, 1/D). A zero amplitude a is the identity, so minimality weighs only that.

namespace trimtab::gate {

struct cosine {
  static constexpr std::string_view text = "cosine";
  static constexpr std::string_view formula = "amplitude * weight . h / (norm(weight) * norm(h))";
  static constexpr per_row<"amplitude"> amplitude{};
  static constexpr per_channel<"weight"> weight{};
  static constexpr parameter_list parameters{amplitude, weight};

  static double start(decltype(weight), random_generator& random, index_t width) {
    return random.normal() / std::sqrt(static_cast<double>(width));
  }
  static constexpr weighing weighs(decltype(weight)) { return weighing::none; }

  template <row R>
  constexpr scalar_of<R> value(const R& r) const {
    return r(amplitude) * angle(r).cosine;
  }

  template <row R>
  constexpr void backward(R& r, scalar_of<R>, scalar_of<R> d_g, scalar_of<R> keep) const {
    using T = scalar_of<R>;
    const auto a = angle(r);
    r.d(amplitude) += d_g * a.cosine;
    const T d = d_g * r(amplitude), across = d * a.over_both, along_h = d * a.cosine * a.over_h * a.over_h,
            along_w = d * a.cosine * a.over_w * a.over_w;
    r.each([&](auto j) {
      r.d_h(j) = keep * r.d_out(j) + across * r(weight, j) - along_h * r.h(j);
      r.d(weight, j) += across * r.h(j) - along_w * r(weight, j);
    });
  }

 private:
  /// cos(w, h), 1 / ‖h‖, 1 / ‖w‖ and the product of the two; all 0 where there is no angle.
  template <typename T>
  struct angle_of {
    T cosine, over_h, over_w, over_both;
  };

  template <row R>
  static constexpr angle_of<scalar_of<R>> angle(const R& r) {
    using T = scalar_of<R>;
    using math::sqrt;
    const T hh = r.sum([&](auto j) { return r.h(j) * r.h(j); });
    const T ww = r.sum([&](auto j) { return r(weight, j) * r(weight, j); });
    const T wh = r.sum([&](auto j) { return r(weight, j) * r.h(j); });
    if (not(hh > 0 and ww > 0)) return {T(0), T(0), T(0), T(0)};
    const T over_h = 1 / sqrt(hh), over_w = 1 / sqrt(ww);
    return {wh * over_h * over_w, over_h, over_w, over_h * over_w};
  }
};

}  // namespace trimtab::gate
