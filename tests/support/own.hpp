// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/objective.hpp>
#include <trimtab/core/policy.hpp>
#include <trimtab/core/row.hpp>

/// A policy and a term as users write them, the same as in examples/own_policy.cpp and examples/own_term.cpp, for tests
/// and benchmarks of code that is not part of the library.

namespace trimtab::test {

struct channel_gain {
  static constexpr per_channel<"scale"> scale{};
  static constexpr parameter_list parameters{scale};

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

struct conserved_sum {
  constexpr auto value(row auto& r) const {
    const auto moved = shift(r);
    return moved * moved / 2;
  }
  constexpr void gradient(row auto& r) const {
    const auto d = r.d_value() * shift(r);
    r.at(r.correct(), [&](auto j) { r.d_h(j) += d; });
    r.at(r.wrong(), [&](auto j) { r.d_h(j) += d; });
  }

 private:
  static constexpr auto shift(row auto& r) {
    return r.h(r.correct()) + r.h(r.wrong()) - r.reference(r.correct()) - r.reference(r.wrong());
  }
};

}  // namespace trimtab::test

template <>
inline constexpr bool trimtab::enable_objective_term<trimtab::test::conserved_sum> = true;
