// SPDX-License-Identifier: Apache-2.0
#include <trimtab/row/gelu.hpp>

#include "support/gradients.hpp"

#include <cmath>

using namespace trimtab;
using namespace trimtab::test;

TEST_CASE("Both forms of the GELU have the right adjoint") {
  for (index_t width : {1, 3, 17, 64}) {
    check_row_function(gelu_tanh{}, width);
    check_row_function(gelu_erf{}, width);
  }
}

TEST_CASE("Both forms of the GELU work in place") {
  check_in_place<float>(gelu_tanh{}, 17);
  check_in_place<double>(gelu_tanh{}, 64);
  check_in_place<float>(gelu_erf{}, 17);
  check_in_place<double>(gelu_erf{}, 64);
}

TEST_CASE("The GELU has the values of its definition, from one tail to the other") {
  host_matrix<double> h(1, 4001);
  for (index_t j = 0; j < h.cols; ++j) h(0, j) = static_cast<double>(j - 2000) / 100;
  const auto by_tanh = checks::run_forward(gelu_tanh{}, h, {});
  const auto by_erf = checks::run_forward(gelu_erf{}, h, {});
  double worst_tanh = 0, worst_erf = 0;
  for (index_t j = 0; j < h.cols; ++j) {
    const double x = h(0, j);
    const double tanh_form = x / 2 * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x)));
    const double erf_form = x / 2 * (1 + std::erf(x / std::sqrt(2.0)));
    worst_tanh = std::max(worst_tanh, std::abs(by_tanh(0, j) - tanh_form));
    worst_erf = std::max(worst_erf, std::abs(by_erf(0, j) - erf_form));
  }
  CHECK(worst_tanh < 1e-14);
  CHECK(worst_erf < 1e-14);
}

TEST_CASE("The GELU of huge numbers is finite") {
  host_matrix<float> h(1, 4);
  h.values = {1e30f, -1e30f, 1e10f, -1e10f};  // the cube of the first overflows
  for (const auto& out : {checks::run_forward(gelu_tanh{}, h, {}), checks::run_forward(gelu_erf{}, h, {})}) {
    CHECK(out(0, 0) == 1e30f);
    CHECK(out(0, 1) == 0);
    CHECK(out(0, 2) == 1e10f);
    CHECK(out(0, 3) == 0);
  }
}
