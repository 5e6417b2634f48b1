// SPDX-License-Identifier: Apache-2.0
#include <trimtab/policy/activ_scalar.hpp>
#include <trimtab/policy/conditional.hpp>
#include <trimtab/policy/dyn_scalar.hpp>
#include <trimtab/policy/gate/cosine.hpp>
#include <trimtab/policy/gate/mlp.hpp>
#include <trimtab/policy/low_rank.hpp>
#include <trimtab/policy/sequence.hpp>
#include <trimtab/policy/steer_vec.hpp>

#include "support/gradients.hpp"

#include <cmath>
#include <string>

namespace trimtab::test::conditional_tests {

using policy::conditional, policy::steer_vec, policy::dyn_scalar;

TEST_CASE("conditional has the right adjoint and is the identity with zeros") {
  SECTION("of a vector") { check_policy(conditional<gate::linear<>, steer_vec>{}); }
  SECTION("with another threshold and temperature") {
    check_policy(conditional<gate::linear<>, steer_vec>{.threshold = -0.5, .tau = 0.5});
  }
  SECTION("of a policy with a gate of its own") { check_policy(conditional<gate::cosine, dyn_scalar<>>{}); }
  SECTION("of a policy with scratch rows") {
    check_policy(conditional<gate::mlp<2>, conditional<gate::linear<>, policy::low_rank<2>>>{});
  }
  SECTION("of a sequence, in a sequence") {
    using inner = policy::sequence<policy::activ_scalar, steer_vec>;
    check_policy(policy::sequence{conditional<gate::linear<>, inner>{}, steer_vec{}});
  }
}

TEST_CASE("conditional is h + sigma((g - t) / tau) (P(h) - h)") {
  const std::vector<double> h{1, -2}, theta{10, 20, 3, 1, -0.5};  // v, then the gate's w and b: g = 0.5
  using policy_type = conditional<gate::linear<>, steer_vec>;
  const auto out = [&](policy_type policy) {
    return checks::policy_run<double, policy_type>(policy, {2, {0}, {1}}).forward(h, theta);
  };
  const auto half = out({.threshold = 0.5});
  CHECK(half == std::vector<double>{1 + 5, -2 + 10});
  const double open = 1 / (1 + std::exp(-0.5 / 2));
  CHECK(largest_difference(out({.tau = 2}), {1 + 10 * open, -2 + 20 * open}) < 1e-14);
  CHECK(largest_difference(out({.threshold = -100, .tau = 0.1}), {11, 18}) < 1e-14);  // open
  CHECK(out({.threshold = 1000, .tau = 0.1}) == h);                                   // shut
}

TEST_CASE("Only the policy's parameters are weighed, and the gate's have names of their own") {
  using gated = conditional<gate::mlp<4>, policy::activ_scalar>;
  const auto labels = gated::parameters.apply(3, [](auto... p) { return std::vector<std::string>{label(p.name)...}; });
  CHECK(labels == std::vector<std::string>{"alpha", "gate.amplitude", "gate.weight", "gate.bias"});
  const auto weighed = gated::parameters.apply(
      3, [](auto... p) { return std::vector<bool>{weighing_of<gated>(p.name) != weighing::none...}; });
  CHECK(weighed == std::vector<bool>{true, false, false, false});
  STATIC_REQUIRE(starts_at_identity<gated>());
  STATIC_REQUIRE(names_are_free(conditional<gate::linear<>, dyn_scalar<>>::parameters));
  std::vector<std::string> lines;
  for (const named_setting& s : settings_of(gated{})) lines.push_back(s.name + " " + s.value);
  CHECK(lines == std::vector<std::string>{"gate mlp", "inner activ-scalar", "threshold 0", "tau 1"});
}

}  // namespace trimtab::test::conditional_tests
