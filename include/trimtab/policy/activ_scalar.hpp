// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/policy.hpp>

#include <string_view>

/// The static scalar, Eq. 5 of arXiv 2410.04962: out = (1 + β α) h, the paper's ActivScalar. One number per place; it
/// shows where an answer is decided, because it only scales what the model itself computed there.

namespace trimtab::policy {

struct activ_scalar {
  static constexpr std::string_view text = "activ-scalar";
  static constexpr std::string_view formula = "out = (1 + beta * alpha) * h";
  static constexpr fit_defaults defaults{.lambda_m = 0.03, .learning_rate = 0.03};
  static constexpr bool only_scales = true;
  static constexpr bool in_place = true;
  static constexpr per_row<"alpha"> alpha{};
  static constexpr parameter_list parameters{alpha};
  static constexpr parameter_list<> offsets = parameter_list<>();  // nvcc 13 fails at {}

  constexpr void forward(row auto& r) const {
    const auto gain = 1 + r.beta() * r(alpha);
    r.each([&](auto j) { r.out(j) = gain * r.h(j); });
  }

  constexpr void backward(row auto& r) const {
    const auto gain = 1 + r.beta() * r(alpha);
    r.each([&](auto j) { r.d_h(j) = gain * r.d_out(j); });
    r.d(alpha) += r.beta() * r.sum([&](auto j) { return r.h(j) * r.d_out(j); });
  }
};

}  // namespace trimtab::policy
