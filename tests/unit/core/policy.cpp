// SPDX-License-Identifier: Apache-2.0
#include <trimtab/core/intervention.hpp>
#include <trimtab/core/policy.hpp>

#include "support/catch.hpp"

#include <vector>

namespace trimtab::test::policy_tests {

namespace {

constexpr per_row<"alpha"> alpha{};
constexpr per_channel<"vector"> vector{};
constexpr per_row<"beta_2"> other{};

/// A policy as a user writes it, in eleven lines: h̃ = h + β α.
struct shift {
  static constexpr parameter_list parameters{alpha};

  constexpr void forward(row auto& r) const {
    r.each([&](auto j) { r.out(j) = r.h(j) + r.beta() * r(alpha); });
  }
  constexpr void backward(row auto& r) const {
    r.each([&](auto j) { r.d_h(j) = r.d_out(j); });
    r.d(alpha) += r.beta() * r.sum([&](auto j) { return r.d_out(j); });
  }
};

struct without_backward {
  [[maybe_unused]] static constexpr parameter_list parameters{alpha};
  constexpr void forward(row auto&) const {}
};

struct without_parameters {
  constexpr void forward(row auto&) const {}
  constexpr void backward(row auto&) const {}
};

struct by_gate : shift {
  static constexpr bool shared_by_positions = true;
};

}  // namespace

TEST_CASE("Parameters lie one after another in a record") {
  constexpr parameter_list parameters{alpha, vector, other};
  STATIC_REQUIRE(parameters.size(5) == 7);
  STATIC_REQUIRE(parameters.count == 3);
  const auto places = parameters.apply(5, [](auto... p) { return std::vector<index_t>{p.offset..., p.extent...}; });
  CHECK(places == std::vector<index_t>{0, 1, 6, 1, 5, 1});

  constexpr parameter_list<> none{};
  STATIC_REQUIRE(none.size(5) == 0);
  CHECK(none.apply(5, [](auto... p) { return sizeof...(p); }) == 0);
}

TEST_CASE("A policy is what has parameters, a forward and its adjoint") {
  STATIC_REQUIRE(intervention_policy<shift>);
  STATIC_REQUIRE(not intervention_policy<without_backward>);
  STATIC_REQUIRE(not intervention_policy<without_parameters>);
  STATIC_REQUIRE(not intervention_policy<int>);
}

TEST_CASE("A policy that reads h itself is shared by positions unless the user says otherwise") {
  CHECK(at(site::attn_out{}, shift{}).positions == positions::absolute());
  CHECK(at(site::attn_out{}, by_gate{}).positions == positions::shared());
  CHECK(at(site::attn_out{}, by_gate{}, layers::all(), positions::from_end(2)).positions == positions::from_end(2));
  CHECK(label(alpha) == "alpha");
}

}  // namespace trimtab::test::policy_tests
