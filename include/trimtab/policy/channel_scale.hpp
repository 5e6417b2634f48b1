// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/policy.hpp>

#include <string_view>

/// A scalar for each channel: out = (1 + β s) ⊙ h, one number per channel and place. It changes the direction of h, but
/// only by what is there; at `mlp_post` it turns single neurons up and down.

namespace trimtab::policy {

struct channel_scale {
  static constexpr std::string_view text = "channel-scale";
  static constexpr std::string_view formula = "out = (1 + beta * scale) * h";
  static constexpr fit_defaults defaults{.lambda_m = 0.003, .learning_rate = 0.01};  // as steer_vec, which is as large
  static constexpr bool in_place = true;
  static constexpr per_channel<"scale"> scale{};
  static constexpr parameter_list parameters{scale};
  static constexpr parameter_list<> offsets = parameter_list<>();  // nvcc 13 fails at {}

  constexpr void forward(row auto& r) const {
    r.each([&](auto j) { r.out(j) = (1 + r.beta() * r(scale, j)) * r.h(j); });
  }

  constexpr void backward(row auto& r) const {
    r.each([&](auto j) {
      r.d_h(j) = (1 + r.beta() * r(scale, j)) * r.d_out(j);
      r.d(scale, j) += r.beta() * r.h(j) * r.d_out(j);
    });
  }
};

}  // namespace trimtab::policy
