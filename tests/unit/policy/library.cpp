// SPDX-License-Identifier: Apache-2.0
#include <trimtab/policy/library.hpp>
#include <trimtab/policy/on_channels.hpp>
#include <trimtab/policy/sequence.hpp>
#include <trimtab/policy/symbols.hpp>

#include "support/catch.hpp"
#include "support/own.hpp"
#include "support/refusal.hpp"

namespace trimtab::test::library_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

/// The parameters of the policy that these options choose, "name" or "name x count".
std::vector<std::string> chosen(std::string_view name, const policy::options& options) {
  std::vector<std::string> found;
  policy::visit_with(name, options, [&]<typename P>(P) {
    for (const auto& p : policy::declared_parameters<P>())
      found.push_back(p.name + (p.count > 1 ? " x " + std::to_string(p.count) : ""));
  });
  return found;
}

using list = std::vector<std::string>;

}  // namespace

TEST_CASE("Options choose a variant of a policy, the first one where they are silent") {
  CHECK(chosen("dyn-scalar", {}) == list{"weight", "bias"});
  CHECK(chosen("dyn-scalar", {{"bias", "no"}}) == list{"weight"});
  CHECK(chosen("dyn-scalar", {{"gate", "mlp"}}) == list{"amplitude x 4", "weight x 4", "bias x 4"});
  CHECK(chosen("dyn-scalar", {{"bias", "no"}, {"gate", "tanh-rms"}}) == list{"weight"});
  CHECK(chosen("low-rank", {}) == list{"write x 4", "read x 4", "bias x 4"});
  CHECK(chosen("low-rank", {{"rank", "1"}}) == list{"write", "read", "bias"});
  CHECK(chosen("conditional", {}) == list{"vector", "gate.weight", "gate.bias"});
  CHECK(chosen("conditional", {{"inner", "activ-scalar"}, {"gate", "cosine"}}) ==
        list{"alpha", "gate.amplitude", "gate.weight"});
}

TEST_CASE("Options that no policy has are refused with those that there are") {
  const auto refused = [](std::string_view name, const policy::options& options) {
    return refusal(error_kind::bad_argument, [&] { policy::visit_with(name, options, [](auto) {}); });
  };
  CHECK_THAT(refused("low-rank", {{"rank", "3"}}), ContainsSubstring("takes rank=4, 1, 2, 8, found '3'"));
  CHECK_THAT(refused("low-rank", {{"gate", "tanh"}}), ContainsSubstring("has no option 'gate'"));
  CHECK_THAT(refused("dyn-scalar", {{"gate", "mlp"}, {"bias", "no"}}),
             ContainsSubstring("has no variant with gate=mlp, bias=no"));
  CHECK_THAT(refused("lora", {}), ContainsSubstring("is unknown; the policies are activ-scalar, steer-vec"));
}

TEST_CASE("Each policy of the list is found by its name and parameters") {
  int found = 0, policies = 0;
  policy::all::each([&]<typename P>(P) {
    ++policies;
    policy::visit(policy_text<P>(), policy::declared_parameters<P>(),
                  [&]<typename Q>(Q) { found += std::is_same_v<P, Q> ? 1 : 0; });
  });
  CHECK(found == policies);
  CHECK_FALSE(policy::visit("low-rank", {{"write", 3, true}, {"read", 3, true}, {"bias", 3, false}}, [](auto) {}));
}

TEST_CASE("Policies give the formulas that they declare, and affine ones what they add") {
  policy::all::each([]<typename P>(P) {
    CAPTURE(policy_text<P>());
    const auto declared = policy::declared_parameters<P>();
    const auto formula = policy::formula_of(policy_text<P>(), declared);
    if constexpr (requires { P::formula; })
      CHECK_THAT(formula, Catch::Matchers::StartsWith("out = "));
    else
      CHECK(formula.empty());
    CHECK(policy::offsets_of(policy_text<P>(), declared).has_value() == is_affine<P>);
  });
  const auto affine = policy::declared_parameters<policy::affine>();
  CHECK(policy::offsets_of("affine", affine) == std::vector<std::string>{"vector"});
  CHECK(policy::offsets_of("activ-scalar", policy::declared_parameters<policy::activ_scalar>())->empty());
  CHECK_FALSE(policy::offsets_of("steer-vec", affine));
  CHECK(policy::formula_of("custom", affine).empty());
  CHECK(policy::formula_of("steer-vec", policy::declared_parameters<policy::steer_vec>()) == "out = h + beta * vector");
}

TEST_CASE("Every policy of the library works in place, and one that does not say so does not") {
  policy::all::each([]<typename P>(P) { STATIC_REQUIRE(works_in_place<P>); });
  STATIC_REQUIRE_FALSE(works_in_place<channel_gain>);
  STATIC_REQUIRE_FALSE(works_in_place<policy::on_channels<channel_gain>>);
  STATIC_REQUIRE_FALSE(works_in_place<policy::sequence<channel_gain>>);
  STATIC_REQUIRE(works_in_place<policy::sequence<channel_gain, channel_gain>>);
}

TEST_CASE("Parameters have symbols, whoever they belong to") {
  CHECK(policy::symbol_of("vector") == "v");
  CHECK(policy::symbol_of("gate.weight") == "w of the gate");
  CHECK(policy::symbol_of("1.gate.amplitude") == "a of the gate of policy 1");
  CHECK(policy::symbol_of("gain") == "gain");
}

}  // namespace trimtab::test::library_tests
