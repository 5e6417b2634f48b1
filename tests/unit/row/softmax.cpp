// SPDX-License-Identifier: Apache-2.0
#include <trimtab/row/softmax.hpp>

#include "support/gradients.hpp"

#include <cmath>

namespace trimtab::test::softmax_tests {

TEST_CASE("The adjoint of softmax is right") {
  for (index_t width : {1, 3, 17, 64}) check_row_function(softmax{}, width);
}

TEST_CASE("Softmax works in place") {
  check_in_place<float>(softmax{}, 17);
  check_in_place<double>(softmax{}, 64);
}

TEST_CASE("Softmax is exp(h) over its sum") {
  const auto h = random_matrix<double>(1, 17, 1, 3);
  const auto out = checks::run_forward(softmax{}, h, {});
  double sum = 0;
  for (double x : h.values) sum += std::exp(x);
  for (index_t j = 0; j < 17; ++j) CHECK(std::abs(out(0, j) - std::exp(h(0, j)) / sum) < 1e-15);
}

TEST_CASE("Softmax is finite for logits beyond the range of exp") {
  host_matrix<float> h(1, 3);
  h.values = {1e6f, 1e6f, -1e6f};
  const auto out = checks::run_forward(softmax{}, h, {});
  CHECK(out(0, 0) == 0.5f);
  CHECK(out(0, 1) == 0.5f);
  CHECK(out(0, 2) < 1e-37f);
}

}  // namespace trimtab::test::softmax_tests
