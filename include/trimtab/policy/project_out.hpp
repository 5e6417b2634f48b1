// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/policy.hpp>
#include <trimtab/core/settings.hpp>

#include <cmath>
#include <string_view>
#include <type_traits>

/// Takes a direction away at β = 1, doubles it at β = −1: out = h − β (u·h) u / (u·u + ε), one direction per place.
///
/// Only the direction of u matters and there is no gradient at u = 0, so it starts at u ~ N(0, 1/D), which is not the
/// identity: a fit does not start with the untouched model, and no weight of minimality keeps it there. Minimality
/// weighs ‖u‖.

namespace trimtab::policy {

struct project_out {
  static constexpr std::string_view text = "project-out";
  static constexpr std::string_view formula =
      "out = h - beta * (direction . h) / (direction . direction + 1e-6) * direction";
  static constexpr fit_defaults defaults{.lambda_m = 0.003, .learning_rate = 0.01};  // as steer_vec, which is as large
  static constexpr bool shared_by_positions = true;
  static constexpr bool in_place = true;
  static constexpr per_channel<"direction"> direction{};
  static constexpr parameter_list parameters{direction};
  static constexpr parameter_list<> offsets = parameter_list<>();  // nvcc 13 fails at {}

  double epsilon = 1e-6;

  constexpr void each_setting(auto&& f) const { f("epsilon", epsilon); }
  static double start(decltype(direction), random_generator& random, index_t width) {
    return random.normal() / std::sqrt(static_cast<double>(width));
  }
  static constexpr weighing weighs(decltype(direction)) { return weighing::together; }

  constexpr void forward(row auto& r) const {
    const auto share = r.beta() * along(r) / square(r);
    r.each([&](auto j) { r.out(j) = r.h(j) - share * r(direction, j); });
  }

  constexpr void backward(row auto& r) const {
    using T = scalar_of<std::remove_reference_t<decltype(r)>>;
    const T uu = square(r);
    const T in_h = along(r) / uu;  // how much of u is in h, and in d_out
    const T in_d = r.sum([&](auto j) { return r(direction, j) * r.d_out(j); }) / uu;
    r.each([&](auto j) {
      r.d_h(j) = r.d_out(j) - r.beta() * in_d * r(direction, j);
      r.d(direction, j) += r.beta() * (2 * in_h * in_d * r(direction, j) - in_d * r.h(j) - in_h * r.d_out(j));
    });
  }

 private:
  template <row R>
  static constexpr scalar_of<R> along(const R& r) {
    return r.sum([&](auto j) { return r(direction, j) * r.h(j); });
  }
  template <row R>
  constexpr scalar_of<R> square(const R& r) const {
    return r.sum([&](auto j) { return r(direction, j) * r(direction, j); }) + static_cast<scalar_of<R>>(epsilon);
  }
};

}  // namespace trimtab::policy
