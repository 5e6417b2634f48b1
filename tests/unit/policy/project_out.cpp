// SPDX-License-Identifier: Apache-2.0
#include <trimtab/policy/project_out.hpp>

#include "support/gradients.hpp"

#include <cmath>

namespace trimtab::test::project_out_tests {

using policy::project_out;

TEST_CASE("project_out has the right adjoint, and a direction of zero leaves activations as they are") {
  check_policy(project_out{});
  check_policy(project_out{.epsilon = 0.5});
}

TEST_CASE("project_out takes a direction away at strength 1 and doubles it at -1, whatever its length") {
  const std::vector<double> h{1, -2, 3};
  for (const double length : {1.0, 10.0}) {
    const std::vector<double> u{2 * length, 0, length};  // h·u / u·u = 1 / length
    const checks::policy_run<double, project_out> away({.epsilon = 0}, {3, {0}, {1}}),
        twice({.epsilon = 0}, {3, {0}, {-1}});
    CHECK(largest_difference(away.forward(h, u), {-1, -2, 2}) < 1e-14);
    CHECK(largest_difference(twice.forward(h, u), {3, -2, 4}) < 1e-14);
    CHECK(largest_difference(away.forward(away.forward(h, u), u), away.forward(h, u)) < 1e-14);  // a projection
  }
}

TEST_CASE("project_out starts at a direction of about length 1, which is not the identity, and counts as a whole") {
  random_generator random(1);
  double square = 0;
  for (int j = 0; j < 4096; ++j) square += std::pow(start_of<project_out>(project_out::direction, random, 4096), 2);
  CHECK(std::abs(square - 1) < 0.1);
  STATIC_REQUIRE(not starts_at_identity<project_out>());
  STATIC_REQUIRE(weighing_of<project_out>(project_out::direction) == weighing::together);
}

}  // namespace trimtab::test::project_out_tests
