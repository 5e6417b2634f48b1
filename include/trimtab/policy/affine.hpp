// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/policy.hpp>

#include <string_view>

/// Magnitude and direction at once: out = (1 + β α) h + β v, `activ_scalar` and `steer_vec` in one record.

namespace trimtab::policy {

struct affine {
  static constexpr std::string_view text = "affine";
  static constexpr std::string_view formula = "out = (1 + beta * alpha) * h + beta * vector";
  static constexpr fit_defaults defaults{.lambda_m = 0.003, .learning_rate = 0.01};
  static constexpr bool in_place = true;
  static constexpr per_row<"alpha"> alpha{};
  static constexpr per_channel<"vector"> vector{};
  static constexpr parameter_list parameters{alpha, vector};
  static constexpr parameter_list offsets{vector};

  constexpr void forward(row auto& r) const {
    const auto gain = 1 + r.beta() * r(alpha);
    r.each([&](auto j) { r.out(j) = gain * r.h(j) + r.beta() * r(vector, j); });
  }

  constexpr void backward(row auto& r) const {
    const auto gain = 1 + r.beta() * r(alpha);
    r.each([&](auto j) {
      r.d_h(j) = gain * r.d_out(j);
      r.d(vector, j) += r.beta() * r.d_out(j);
    });
    r.d(alpha) += r.beta() * r.sum([&](auto j) { return r.h(j) * r.d_out(j); });
  }
};

}  // namespace trimtab::policy
