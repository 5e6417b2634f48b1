// SPDX-License-Identifier: Apache-2.0
#include <trimtab/policy/steer_vec.hpp>

#include "support/gradients.hpp"

namespace trimtab::test::steer_vec_tests {

TEST_CASE("steer_vec has the right adjoint and starts at the identity") { check_policy(policy::steer_vec{}); }

TEST_CASE("steer_vec is h + beta v") {
  const std::vector<double> h{1, -2, 3}, theta{0.5, 0, -1};
  const checks::policy_run<double, policy::steer_vec> run({}, {3, {0}, {2}});
  CHECK(run.forward(h, theta) == std::vector<double>{2, -2, 1});
}

}  // namespace trimtab::test::steer_vec_tests
