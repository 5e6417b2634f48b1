// SPDX-License-Identifier: Apache-2.0
#include <trimtab/policy/activ_scalar.hpp>
#include <trimtab/policy/dyn_scalar.hpp>
#include <trimtab/policy/low_rank.hpp>
#include <trimtab/policy/on_channels.hpp>
#include <trimtab/policy/sequence.hpp>
#include <trimtab/policy/steer_vec.hpp>

#include "support/gradients.hpp"

namespace trimtab::test::on_channels_tests {

using policy::on_channels;

TEST_CASE("A policy on some channels has the right adjoint and starts at the identity") {
  check_policy(on_channels<policy::activ_scalar>{{}, 0, 1});
  check_policy(on_channels<policy::steer_vec>{{}, 0, 64});
  const steered_rows rows{17, {1, -1, 0, 2, 1, 0}, {1, 1, -1, 0.5, -1.5, 1}, 7};
  check_policy_gradient(on_channels<policy::activ_scalar>{{}, 3, 9}, rows);
  check_policy_gradient(on_channels<policy::dyn_scalar<gate::rms<>>>{{}, 3, 9}, rows);
  check_policy_gradient(on_channels<policy::low_rank<2>>{{}, 16, 17}, rows);
  check_policy_gradient(on_channels<policy::sequence<policy::activ_scalar, policy::steer_vec>>{{}, 0, 5}, rows);
}

TEST_CASE("Channels outside the span stay as they are, and a gate does not see them") {
  const std::vector<double> h{1, -2, 3, 4};
  const checks::policy_run<double, on_channels<policy::activ_scalar>> run({{}, 1, 3}, {4, {0}, {2}});
  CHECK(run.forward(h, {0.5}) == std::vector<double>{1, -4, 6, 4});
  const checks::policy_run<double, on_channels<policy::dyn_scalar<>>> gated({{}, 1, 3}, {4, {0}, {1}});
  CHECK(gated.forward(h, {100, 1, 1, 100, 0}) == std::vector<double>{1, -4, 6, 4});  // 1 + (-2 + 3)
  const auto d = gated.backward(h, {100, 1, 1, 100, 0}, {1, 1, 1, 1});
  CHECK(std::vector<double>(d.begin() + 4, d.end()) == std::vector<double>{0, -2, 3, 0, 1});
}

}  // namespace trimtab::test::on_channels_tests
