// SPDX-License-Identifier: Apache-2.0
#include <trimtab/policy/dyn_scalar.hpp>

#include "support/gradients.hpp"

#include <cmath>

using namespace trimtab;
using namespace trimtab::test;
using policy::dyn_scalar, policy::gate, policy::squash;

TEST_CASE("dyn_scalar has the right adjoint and starts at the identity, whatever its gate") {
  SECTION("plain") { check_policy(dyn_scalar<>{}); }
  SECTION("no bias") { check_policy(dyn_scalar<gate{.bias = false}>{}); }
  SECTION("tanh") { check_policy(dyn_scalar<gate{.squash_by = squash::tanh}>{}); }
  SECTION("tanh, no bias") { check_policy(dyn_scalar<gate{.bias = false, .squash_by = squash::tanh}>{}); }
  SECTION("rms") { check_policy(dyn_scalar<gate{.rms_normalised = true}>{}); }
  SECTION("rms, no bias") { check_policy(dyn_scalar<gate{.bias = false, .rms_normalised = true}>{}); }
  SECTION("rms, tanh") { check_policy(dyn_scalar<gate{.squash_by = squash::tanh, .rms_normalised = true}>{}); }
  SECTION("rms, tanh, no bias") {
    check_policy(dyn_scalar<gate{.bias = false, .squash_by = squash::tanh, .rms_normalised = true}>{});
  }
}

namespace {

/// The gain of h = (3, 1) at strength 2, from a gate with w = (0.5, -1) and b = 0.25.
template <gate Gate>
double gain() {
  std::vector<double> theta{0.5, -1};
  if (Gate.bias) theta.push_back(0.25);
  const checks::policy_run<double, dyn_scalar<Gate>> run({}, {2, {0}, {2}});
  const auto out = run.forward({3, 1}, theta);
  CHECK(std::abs(out[0] - 3 * out[1]) < 1e-12);
  return out[1];
}

}  // namespace

TEST_CASE("The gain of dyn_scalar is 1 + beta g(h)") {
  const double rms = std::sqrt(5 + 1e-6);
  CHECK(gain<gate{}>() == 1 + 2 * 0.75);
  CHECK(gain<gate{.bias = false}>() == 1 + 2 * 0.5);
  CHECK(std::abs(gain<gate{.squash_by = squash::tanh}>() - (1 + 2 * std::tanh(0.75))) < 1e-14);
  CHECK(std::abs(gain<gate{.rms_normalised = true}>() - (1 + 2 * (0.5 / rms + 0.25))) < 1e-14);
  CHECK(std::abs(gain<gate{.bias = false, .squash_by = squash::tanh, .rms_normalised = true}>() -
                 (1 + 2 * std::tanh(0.5 / rms))) < 1e-14);
}

TEST_CASE("dyn_scalar serves all positions with one record") {
  STATIC_REQUIRE(shares_positions<dyn_scalar<>>);
  STATIC_REQUIRE(dyn_scalar<>::parameters.size(7) == 8);
  STATIC_REQUIRE(dyn_scalar<gate{.bias = false}>::parameters.size(7) == 7);
}
