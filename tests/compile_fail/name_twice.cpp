// expected: a policy's parameters need distinct names other than h, out and beta
// SPDX-License-Identifier: Apache-2.0
// The two parameters have different types but the same name in a file.

#include "bare_model.hpp"

struct scale_and_shift {
#ifdef TRIMTAB_MISUSE
  static constexpr per_row<"a"> scale{};
#else
  static constexpr per_row<"b"> scale{};
#endif
  static constexpr per_channel<"a"> shift{};
  static constexpr parameter_list parameters{scale, shift};
  constexpr void forward(row auto& r) const {
    r.each([&](auto j) { r.out(j) = r.h(j) + r.beta() * (r(scale) * r.h(j) + r(shift, j)); });
  }
  constexpr void backward(row auto& r) const {
    r.each([&](auto j) {
      r.d_h(j) = (1 + r.beta() * r(scale)) * r.d_out(j);
      r.d(shift, j) += r.beta() * r.d_out(j);
    });
    r.d(scale) += r.beta() * r.sum([&](auto j) { return r.h(j) * r.d_out(j); });
  }
};

auto compose() { return at(site::attn_out{}, scale_and_shift{}); }
