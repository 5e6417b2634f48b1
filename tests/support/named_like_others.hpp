// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/policy.hpp>
#include <trimtab/core/row.hpp>

/// A policy of a user, for tests of files.

namespace trimtab::test {

/// A policy whose parameters are called like those of other policies but have other extents.
struct named_like_others {
  static constexpr per_channel<"alpha"> alpha{};
  static constexpr per_channel<"bias"> bias{};
  static constexpr per_row<"weight"> weight{};
  static constexpr per_row<"vector", 2> vector{};
  static constexpr per_channel<"matrix", 3> matrix{};
  static constexpr parameter_list parameters{alpha, bias, weight, vector, matrix};

  constexpr void forward(row auto& r) const {
    r.each([&](auto j) {
      r.out(j) = r.h(j) + r.beta() * (r(alpha, j) + r(bias, j) + r(weight) + r(vector, 0) - r(vector, 1) +
                                      r(matrix, 0, j) - r(matrix, 2, j));
    });
  }
  constexpr void backward(row auto& r) const {
    r.each([&](auto j) {
      r.d_h(j) = r.d_out(j);
      r.d(alpha, j) += r.beta() * r.d_out(j);
      r.d(bias, j) += r.beta() * r.d_out(j);
      r.d(matrix, 0, j) += r.beta() * r.d_out(j);
      r.d(matrix, 2, j) -= r.beta() * r.d_out(j);
    });
    const auto all = r.beta() * r.sum([&](auto j) { return r.d_out(j); });
    r.d(weight) += all;
    r.d(vector, 0) += all;
    r.d(vector, 1) -= all;
  }
};

}  // namespace trimtab::test
