// SPDX-License-Identifier: Apache-2.0
#include <trimtab/policy/activ_scalar.hpp>

#include "support/gradients.hpp"

namespace trimtab::test::activ_scalar_tests {

TEST_CASE("activ_scalar has the right adjoint and starts at the identity") { check_policy(policy::activ_scalar{}); }

TEST_CASE("activ_scalar is (1 + beta alpha) h") {
  const std::vector<double> h{1, -2, 3}, theta{0.5};
  const checks::policy_run<double, policy::activ_scalar> run({}, {3, {0}, {2}});
  CHECK(run.forward(h, theta) == std::vector<double>{2, -4, 6});
}

}  // namespace trimtab::test::activ_scalar_tests
