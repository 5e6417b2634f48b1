// SPDX-License-Identifier: Apache-2.0
#include <trimtab/check/adjoint.hpp>
#include <trimtab/objective/norm_preservation.hpp>

#include "support/gradients.hpp"

#include <cmath>
#include <limits>

namespace trimtab::test::norm_preservation_tests {

using objective::norm_preservation;

namespace {

struct reading {
  double value;
  std::vector<double> d_h, d_out;
};

/// Value and gradient of one row, for a d_value of 1.
reading read(std::vector<double> h, std::vector<double> out) {
  const auto width = std::ssize(h);
  reading r{0, std::vector<double>(h.size()), std::vector<double>(h.size())};
  const double one = 1;
  const eigen_backend<double> backend(1);
  const operand<per_channel<"h">, const double> before{h.data()};
  const operand<per_channel<"out">, const double> after{out.data()};
  backend.values(norm_preservation{}, 1, width, &r.value, before, after);
  backend.gradients(norm_preservation{}, 1, width, before, after,
                    operand<gradient_of<per_channel<"h">>, double>{r.d_h.data()},
                    operand<gradient_of<per_channel<"out">>, double>{r.d_out.data()},
                    operand<gradient_of<per_row<"value">>, const double>{&one});
  return r;
}

}  // namespace

TEST_CASE("Norm preservation has the right adjoint before and after a hook") {
  STATIC_REQUIRE(hook_term<norm_preservation> and objective_term<norm_preservation>);
  STATIC_REQUIRE(not logit_term<norm_preservation> and not parameter_term<norm_preservation>);
  for (index_t width : {1, 3, 17, 64})
    for (double scale : {0.3, 1.0, 30.0}) {
      const auto found = check_adjoint(norm_preservation{}, {.width = width, .scale = scale});
      CAPTURE(width, scale, found.text());
      REQUIRE(found.operands.size() == 2);
      CHECK(found.operands[0].operand == "d_h");
      CHECK(found.operands[1].operand == "d_out");
      for (const auto& operand : found.operands) CHECK(operand.max_difference <= 1e-12);
      CHECK(found.passes());
    }
}

TEST_CASE("Norm preservation is the square of the relative change of length") {
  CHECK(read({3, 4}, {6, 8}).value == 1);
  CHECK(std::abs(read({3, 4}, {0, -4}).value - 0.04) < 1e-15);
  const reading longer = read({3, 4}, {6, 8});  // 2 (2 - 1) out / (10 * 5), -2 (2 - 1) 10 h / 125
  CHECK(longer.d_out == std::vector<double>{0.24, 0.32});
  CHECK(std::abs(longer.d_h[0] + 0.48) < 1e-15);
  CHECK(std::abs(longer.d_h[1] + 0.64) < 1e-15);
  // A rotation is free, and so is leaving the row as it is, exactly.
  for (const auto& out : {std::vector<double>{0.1, 0.7}, {0.7, 0.1}, {-0.1, 0.7}}) {
    const reading same = read({0.1, 0.7}, out);
    CHECK(same.value == 0);
    CHECK(largest(same.d_h) == 0);
    CHECK(largest(same.d_out) == 0);
  }
}

TEST_CASE("Norm preservation is defined for rows of zeros and passes NaN on") {
  const reading from_nothing = read({0, 0}, {1, 2});
  CHECK(from_nothing.value == 0);
  CHECK(largest(from_nothing.d_out) == 0);
  const reading to_nothing = read({1, 2}, {0, 0});
  CHECK(to_nothing.value == 1);
  CHECK(largest(to_nothing.d_h) == 0);
  CHECK(largest(to_nothing.d_out) == 0);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(std::isnan(read({nan, 1}, {1, 1}).value));
  CHECK(std::isnan(read({1, 1}, {nan, 1}).value));
}

}  // namespace trimtab::test::norm_preservation_tests
