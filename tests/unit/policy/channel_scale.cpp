// SPDX-License-Identifier: Apache-2.0
#include <trimtab/policy/channel_scale.hpp>

#include "support/gradients.hpp"

namespace trimtab::test::channel_scale_tests {

TEST_CASE("channel_scale has the right adjoint and starts at the identity") { check_policy(policy::channel_scale{}); }

TEST_CASE("channel_scale is (1 + beta s) h, channel by channel") {
  const std::vector<double> h{1, -2, 3}, theta{0.5, 0, -0.5};
  const checks::policy_run<double, policy::channel_scale> run({}, {3, {0}, {2}});
  CHECK(run.forward(h, theta) == std::vector<double>{2, -2, 0});
}

}  // namespace trimtab::test::channel_scale_tests
