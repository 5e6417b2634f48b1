// SPDX-License-Identifier: Apache-2.0
#include <trimtab/objective/effectiveness.hpp>
#include <trimtab/objective/faithfulness.hpp>
#include <trimtab/objective/minimality.hpp>
#include <trimtab/objective/weighted_sum.hpp>

#include "support/catch.hpp"

#include <vector>

using namespace trimtab;
using objective::effectiveness, objective::faithfulness, objective::minimality, objective::weighted_sum;

namespace user {

struct term {
  double scale = 2;

  constexpr auto value(row auto& r) const { return r.h(0); }
  constexpr void gradient(row auto&) const {}
};

}  // namespace user

template <>
inline constexpr bool trimtab::enable_objective_term<user::term> = true;

namespace {

template <typename Sum>
std::vector<double> weights(const Sum& sum) {
  std::vector<double> all;
  sum.each([&](const auto& t) { all.push_back(t.weight); });
  return all;
}

}  // namespace

TEST_CASE("Terms add up in the order in which they are written") {
  const auto sum = effectiveness{.margin = 0.5} + 2.0 * faithfulness{} + 0.03 * minimality{};
  STATIC_REQUIRE(std::is_same_v<decltype(sum), const weighted_sum<effectiveness, faithfulness, minimality>>);
  CHECK(weights(sum) == std::vector<double>{1, 2, 0.03});
  CHECK(std::get<0>(sum.terms).term.margin == 0.5);

  CHECK(weights(0.5 * minimality{} + effectiveness{}) == std::vector<double>{0.5, 1});
  CHECK(weights((effectiveness{} + minimality{}) + (3.0 * faithfulness{} + faithfulness{})) ==
        std::vector<double>{1, 1, 3, 1});
}

TEST_CASE("A user's term adds up like those of the library") {
  const auto sum = effectiveness{} + 4.0 * user::term{.scale = 7};
  CHECK(weights(sum) == std::vector<double>{1, 4});
  CHECK(std::get<1>(sum.terms).term.scale == 7);
  STATIC_REQUIRE(logit_term<user::term> and not parameter_term<user::term>);
}

TEST_CASE("minimality is a term of the parameters, the others are terms of the logits") {
  STATIC_REQUIRE(parameter_term<minimality> and not logit_term<minimality>);
  STATIC_REQUIRE(logit_term<effectiveness> and logit_term<faithfulness>);
  CHECK(minimality{}.norm == parameter_norm::sum);
}
