// expected: a policy's parameters need distinct names other than h, out and beta
// SPDX-License-Identifier: Apache-2.0

#include "bare_model.hpp"

struct shift {
#ifdef TRIMTAB_MISUSE
  static constexpr per_row<"beta"> by{};
#else
  static constexpr per_row<"shift"> by{};
#endif
  static constexpr parameter_list parameters{by};
  constexpr void forward(row auto& r) const {
    r.each([&](auto j) { r.out(j) = r.h(j) + r(by); });
  }
  constexpr void backward(row auto& r) const {
    r.each([&](auto j) { r.d_h(j) = r.d_out(j); });
    r.d(by) += r.sum([&](auto j) { return r.d_out(j); });
  }
};

auto compose() { return at(site::attn_out{}, shift{}); }
