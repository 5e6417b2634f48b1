// SPDX-License-Identifier: Apache-2.0
#include <trimtab/row/gelu.hpp>

#include "support/gradients.hpp"

#include <cmath>

namespace trimtab::test::gelu_tests {

namespace {

/// The definitions, as the transformers library writes them.
double tanh_form(double x, double root_2_over_pi) {
  return x / 2 * (1 + std::tanh(root_2_over_pi * (x + 0.044715 * x * x * x)));
}
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

double definition(gelu_tanh, double x) { return tanh_form(x, std::sqrt(2 / std::acos(-1.0))); }
double definition(gelu_fast, double x) { return tanh_form(x, 0.7978845608); }
double definition(gelu_erf, double x) { return x / 2 * (1 + std::erf(x / std::sqrt(2.0))); }
double definition(quick_gelu, double x) { return x * sigmoid(1.702 * x); }
double definition(silu, double x) { return x * sigmoid(x); }

/// The largest difference from the definition between -20 and 20.
template <typename T, typename F>
double worst_error(F f) {
  host_matrix<T> h(1, 4001);
  for (index_t j = 0; j < h.cols; ++j) h(0, j) = static_cast<T>(j - 2000) / 100;
  const auto out = checks::run_forward(f, h, {});
  double worst = 0;
  for (index_t j = 0; j < h.cols; ++j)
    worst = std::max(worst, std::abs(static_cast<double>(out(0, j)) - definition(f, static_cast<double>(h(0, j)))));
  return worst;
}

}  // namespace

TEMPLATE_TEST_CASE("Each GELU and SiLU has the right adjoint, in place too", "", gelu_tanh, gelu_fast, gelu_erf,
                   quick_gelu, silu) {
  for (index_t width : {1, 3, 17, 64}) check_row_function(TestType{}, width);
  check_in_place<float>(TestType{}, 17);
  check_in_place<double>(TestType{}, 64);
}

TEMPLATE_TEST_CASE("Each GELU and SiLU has the values of its definition, from one tail to the other", "", gelu_tanh,
                   gelu_fast, gelu_erf, quick_gelu, silu) {
  CHECK(worst_error<double>(TestType{}) < 1e-14);
  CHECK(worst_error<float>(TestType{}) < 4e-6);
}

TEMPLATE_TEST_CASE("Each GELU and SiLU of huge numbers is finite", "", gelu_tanh, gelu_fast, gelu_erf, quick_gelu,
                   silu) {
  host_matrix<float> h(1, 4);
  h.values = {1e30f, -1e30f, 1e10f, -1e10f};  // the cube of the first overflows
  const auto out = checks::run_forward(TestType{}, h, {});
  CHECK(out(0, 0) == 1e30f);
  CHECK(out(0, 1) == 0);
  CHECK(out(0, 2) == 1e10f);
  CHECK(out(0, 3) == 0);
}

TEST_CASE("The fast GELU is the tanh form with ten digits of its constant, not more") {
  host_matrix<double> h(1, 1);
  h.values = {1};
  const auto exact = checks::run_forward(gelu_tanh{}, h, {}), fast = checks::run_forward(gelu_fast{}, h, {});
  CHECK(exact(0, 0) != fast(0, 0));
  CHECK(std::abs(exact(0, 0) - fast(0, 0)) < 1e-10);
}

}  // namespace trimtab::test::gelu_tests
