// SPDX-License-Identifier: Apache-2.0
#include <trimtab/policy/activ_scalar.hpp>
#include <trimtab/policy/affine.hpp>
#include <trimtab/policy/dyn_scalar.hpp>
#include <trimtab/policy/sequence.hpp>
#include <trimtab/policy/steer_vec.hpp>

#include "support/gradients.hpp"

#include <string>

namespace trimtab::test::sequence_tests {

using policy::activ_scalar, policy::affine, policy::dyn_scalar, policy::steer_vec;

namespace {

struct clipped : activ_scalar {
  double at = 0.5;
  constexpr void each_setting(auto&& f) const { f("at", at); }
};

}  // namespace

TEST_CASE("A sequence has the right adjoint and starts at the identity") {
  SECTION("of one") { check_policy(policy::sequence{affine{}}); }
  SECTION("of two") { check_policy(policy::sequence{activ_scalar{}, steer_vec{}}); }
  SECTION("that ends with a gate, which reads what went before") {
    check_policy(policy::sequence{steer_vec{}, activ_scalar{}, dyn_scalar<>{}});
  }
  SECTION("of the same policy twice") { check_policy(policy::sequence{dyn_scalar<>{}, dyn_scalar<>{}}); }
  SECTION("nested at the end") {
    check_policy(policy::sequence{affine{}, policy::sequence<steer_vec, dyn_scalar<>>{}});
  }
  SECTION("nested at the beginning") {
    check_policy(policy::sequence{policy::sequence<steer_vec, dyn_scalar<>>{}, activ_scalar{}});
  }
  SECTION("nested twice, in the middle") {
    check_policy(policy::sequence{
        steer_vec{}, policy::sequence<activ_scalar, policy::sequence<dyn_scalar<>, steer_vec>>{}, dyn_scalar<>{}});
  }
}

TEST_CASE("A sequence is its policies one after another, with their records side by side") {
  const std::vector<double> h{1, -2, 3};
  SECTION("scale, then add") {
    const checks::policy_run<double, policy::sequence<activ_scalar, steer_vec>> run({}, {3, {0}, {2}});
    CHECK(run.forward(h, {0.5, 1, 2, 3}) == std::vector<double>{4, 0, 12});
  }
  SECTION("add, then scale") {
    const checks::policy_run<double, policy::sequence<steer_vec, activ_scalar>> run({}, {3, {0}, {2}});
    CHECK(run.forward(h, {1, 2, 3, 0.5}) == std::vector<double>{6, 4, 18});
  }
}

TEST_CASE("Parameters of a sequence carry the number of their policy") {
  using nested = policy::sequence<activ_scalar, policy::sequence<steer_vec, dyn_scalar<>>>;
  const auto labels = nested::parameters.apply(3, [](auto... p) { return std::vector<std::string>{label(p.name)...}; });
  CHECK(labels == std::vector<std::string>{"0.alpha", "1.0.vector", "1.1.weight", "1.1.bias"});
  STATIC_REQUIRE(nested::parameters.size(3) == 1 + 3 + 4);
  STATIC_REQUIRE(shares_positions<nested>);
  STATIC_REQUIRE(not shares_positions<policy::sequence<activ_scalar, steer_vec>>);
}

TEST_CASE("A sequence tells which policies it has, and their constants") {
  const auto settings = settings_of(policy::sequence{steer_vec{}, policy::sequence<clipped, activ_scalar>{}});
  std::vector<std::string> lines;
  for (const named_setting& s : settings) lines.push_back(s.name + " " + s.value);
  CHECK(lines ==
        std::vector<std::string>{"0 steer-vec", "1 sequence", "1.0 activ-scalar", "1.0.at 0.5", "1.1 activ-scalar"});
}

}  // namespace trimtab::test::sequence_tests
