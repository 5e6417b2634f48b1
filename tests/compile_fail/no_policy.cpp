// expected: the second argument of at() is a policy: a trivially copyable type with `parameters`
// SPDX-License-Identifier: Apache-2.0

#include "bare_model.hpp"

struct one_way {
  static constexpr per_row<"alpha"> alpha{};
  static constexpr parameter_list parameters{alpha};
  constexpr void forward(row auto& r) const {
    r.each([&](auto j) { r.out(j) = (1 + r.beta() * r(alpha)) * r.h(j); });
  }
#ifndef TRIMTAB_MISUSE
  constexpr void backward(row auto& r) const {
    r.each([&](auto j) { r.d_h(j) = (1 + r.beta() * r(alpha)) * r.d_out(j); });
    r.d(alpha) += r.beta() * r.sum([&](auto j) { return r.h(j) * r.d_out(j); });
  }
#endif
};

auto compose() { return at(site::attn_out{}, one_way{}); }
