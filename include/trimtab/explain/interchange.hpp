// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/policy.hpp>

#include <string_view>

/// Activation patching as a policy: out = (1 − β) h + β source, at β = 1 the activations of another run. The record of
/// a place holds that run's activations there. It is not learned, and unlike a learned policy it is the identity only
/// at β = 0.

namespace trimtab::explain {

struct interchange {
  static constexpr std::string_view text = "interchange";
  static constexpr per_channel<"source"> source{};
  static constexpr parameter_list parameters{source};

  constexpr void forward(row auto& r) const {
    const auto kept = 1 - r.beta();
    r.each([&](auto j) { r.out(j) = kept * r.h(j) + r.beta() * r(source, j); });
  }

  constexpr void backward(row auto& r) const {
    const auto kept = 1 - r.beta();
    r.each([&](auto j) {
      r.d_h(j) = kept * r.d_out(j);
      r.d(source, j) += r.beta() * r.d_out(j);
    });
  }
};

}  // namespace trimtab::explain
