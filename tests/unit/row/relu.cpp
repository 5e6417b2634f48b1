// SPDX-License-Identifier: Apache-2.0
#include <trimtab/row/relu.hpp>

#include "support/gradients.hpp"

#include <cmath>
#include <limits>

namespace trimtab::test::relu_tests {

TEST_CASE("The rectifier has the right adjoint, in place too") {
  for (index_t width : {1, 3, 17, 64}) check_row_function(relu{}, width);
  check_in_place<float>(relu{}, 17);
  check_in_place<double>(relu{}, 64);
}

TEMPLATE_TEST_CASE("The rectifier and its slope are PyTorch's at 0, at infinity and of NaN", "", float, double) {
  using T = TestType;
  constexpr T inf = std::numeric_limits<T>::infinity(), nan = std::numeric_limits<T>::quiet_NaN();
  host_matrix<T> h(1, 7), d_out(1, 7), d_h(1, 7);
  h.values = {T(-2), T(-0.0), T(0), T(3), -inf, inf, nan};
  d_out.values = {1, 2, 3, 4, 5, 6, 7};
  const auto out = checks::run_forward(relu{}, h, {});
  std::vector<host_matrix<T>> none;
  checks::run_backward(relu{}, h, out, d_out, d_h, none, none);
  CHECK(std::equal(out.values.begin(), out.values.end() - 1, std::vector<T>{0, 0, 0, 3, 0, inf}.begin()));
  CHECK(std::isnan(out(0, 6)));
  CHECK(d_h.values == std::vector<T>{0, 0, 0, 4, 0, 6, 7});
}

}  // namespace trimtab::test::relu_tests
