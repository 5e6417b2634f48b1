// expected: this row function uses a name that is not bound here
// SPDX-License-Identifier: Apache-2.0

#include "bare_model.hpp"

#include <trimtab/backend/eigen/rows.hpp>

struct reads {
  static constexpr per_channel<"weight"> weight{};
  constexpr void forward(row auto& r) const {
#ifdef TRIMTAB_MISUSE
    r.each([&](auto j) { r.out(j) = r(weight, j) * r.h(j); });
#else
    r.each([&](auto j) { r.out(j) = 2 * r.h(j); });
#endif
  }
};

void run(matrix_view<float> h, matrix_view<float> out) {
  auto r = eigen::row_of<float>(h.cols, 0, each_row(name::h, h), each_row(name::out, out));
  reads{}.forward(r);
}
