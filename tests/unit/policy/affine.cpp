// SPDX-License-Identifier: Apache-2.0
#include <trimtab/policy/affine.hpp>

#include "support/gradients.hpp"

namespace trimtab::test::affine_tests {

TEST_CASE("affine has the right adjoint and starts at the identity") { check_policy(policy::affine{}); }

TEST_CASE("affine is (1 + beta alpha) h + beta v, with alpha before v in its record") {
  const std::vector<double> h{1, -2, 3}, theta{0.5, 0.25, 0, -1};
  const checks::policy_run<double, policy::affine> run({}, {3, {0}, {2}});
  CHECK(run.forward(h, theta) == std::vector<double>{2.5, -4, 4});
}

}  // namespace trimtab::test::affine_tests
