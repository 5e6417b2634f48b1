// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/policy.hpp>

#include <string_view>

/// The static vector, Eq. 4 of arXiv 2410.04962: out = h + β v, the steering vector of most work; one number per
/// channel and place.

namespace trimtab::policy {

struct steer_vec {
  static constexpr std::string_view text = "steer-vec";
  static constexpr std::string_view formula = "out = h + beta * vector";
  static constexpr fit_defaults defaults{.lambda_m = 0.003, .learning_rate = 0.01};
  static constexpr bool adds_only = true;
  static constexpr bool in_place = true;
  static constexpr per_channel<"vector"> vector{};
  static constexpr parameter_list parameters{vector};
  static constexpr parameter_list offsets{vector};

  constexpr void forward(row auto& r) const {
    r.each([&](auto j) { r.out(j) = r.h(j) + r.beta() * r(vector, j); });
  }

  constexpr void backward(row auto& r) const {
    r.each([&](auto j) {
      r.d_h(j) = r.d_out(j);
      r.d(vector, j) += r.beta() * r.d_out(j);
    });
  }
};

}  // namespace trimtab::policy
