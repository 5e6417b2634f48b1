// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/row.hpp>
#include <trimtab/row/math.hpp>

/// What a further token of an answer adds to the difference of the answers: ± log p, with p its probability. Its
/// gradient is ±(e − softmax), e being 1 at the token and 0 elsewhere.

namespace trimtab::objective {

struct log_probability {
  static constexpr per_row<"sign"> sign{};  ///< +1 or -1

  constexpr auto value(row auto& r) const { return as_scalar(r, r(sign)) * (r.h(r.correct()) - log_sum_exp(r)); }
  constexpr void gradient(row auto& r) const {
    using math::exp;
    const auto whole = log_sum_exp(r);
    const auto d = as_scalar(r, r(sign)) * r.d_value();
    r.each([&](auto j) { r.d_h(j) -= d * exp(r.h(j) - whole); });
    r.at(r.correct(), [&](auto j) { r.d_h(j) += d; });
  }

 private:
  template <row R>
  static constexpr scalar_of<R> as_scalar(const R&, int x) {
    return x > 0 ? scalar_of<R>(1) : scalar_of<R>(-1);
  }
  template <row R>
  static constexpr scalar_of<R> log_sum_exp(const R& r) {
    using T = scalar_of<R>;
    using math::exp, math::log;
    const T top = r.max([&](auto j) { return r.h(j); });
    return top + log(r.sum([&](auto j) { return exp(r.h(j) - top); }));
  }
};

}  // namespace trimtab::objective
