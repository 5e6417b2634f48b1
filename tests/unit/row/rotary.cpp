// SPDX-License-Identifier: Apache-2.0
#include <trimtab/row/rotary.hpp>

#include "support/gradients.hpp"

#include <cmath>

namespace trimtab::test::rotary_tests {

TEST_CASE("Rotary positions have the right adjoint") {
  check_row_function(rotary{2}, 3, rotary::cosine, rotary::sine);
  check_row_function(rotary{16}, 17, rotary::cosine, rotary::sine);
  check_row_function(rotary{16}, 64, rotary::cosine, rotary::sine);
  check_row_function(rotary{64}, 64, rotary::cosine, rotary::sine);  // the whole head
  check_row_function(rotary{0}, 3, rotary::cosine, rotary::sine);    // nothing turns
}

TEST_CASE("Rotary positions work in place") {
  check_in_place<float>(rotary{16}, 17, rotary::cosine, rotary::sine);
  check_in_place<double>(rotary{64}, 64, rotary::cosine, rotary::sine);
}

TEST_CASE("Channel i turns together with channel i + r/2, and those from r on stay") {
  host_matrix<double> h(1, 5), cosine(1, 2), sine(1, 2);
  h.values = {1, 2, 3, 4, 5};
  const double a = 0.3, b = 1.1;
  cosine.values = {std::cos(a), std::cos(b)};
  sine.values = {std::sin(a), std::sin(b)};
  const auto out = checks::run_forward(rotary{4}, h, {cosine, sine}, rotary::cosine, rotary::sine);
  const std::vector<double> expected{std::cos(a) - 3 * std::sin(a), 2 * std::cos(b) - 4 * std::sin(b),
                                     3 * std::cos(a) + std::sin(a), 4 * std::cos(b) + 2 * std::sin(b), 5};
  CHECK(largest_difference(out.values, expected) < 1e-15);
}

}  // namespace trimtab::test::rotary_tests
