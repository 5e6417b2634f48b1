// SPDX-License-Identifier: Apache-2.0
#include <trimtab/core/position.hpp>

#include "support/refusal.hpp"

namespace trimtab::test::position_tests {

using Catch::Matchers::ContainsSubstring;

using list = std::vector<int>;

namespace {

prompt_pair prompt(int length, std::map<std::string, token_span> roles = {}) {
  prompt_pair p;
  p.ids.resize(static_cast<std::size_t>(length));
  p.roles = std::move(roles);
  return p;
}

}  // namespace

TEST_CASE("Absolute positions count from the first token") {
  const std::vector<prompt_pair> prompts{prompt(3), prompt(3)};
  const auto key = positions::absolute().resolved(prompts);
  CHECK(key.count() == 3);
  CHECK(key.records(prompts[0]) == list{0, 1, 2});
}

TEST_CASE("Absolute positions refuse prompts of another length") {
  const std::vector<prompt_pair> mixed{prompt(3), prompt(5)};
  CHECK_THAT(refusal(error_kind::mismatch, [&] { positions::absolute().resolved(mixed); }),
             ContainsSubstring("3 to 5 tokens") && ContainsSubstring("from_end"));
  CHECK_THAT(refusal(error_kind::mismatch, [] { positions::absolute(3).records(prompt(4)); }),
             ContainsSubstring("prompts of 3 tokens") && ContainsSubstring("has 4"));
}

TEST_CASE("Positions from the end count from the last token and leave those beyond alone") {
  const std::vector<prompt_pair> mixed{prompt(3), prompt(5)};
  CHECK(positions::from_end().resolved(mixed).count() == 5);
  CHECK(positions::from_end(2).resolved(mixed).count() == 2);
  CHECK(positions::from_end(2).records(mixed[0]) == list{-1, 1, 0});
  CHECK(positions::from_end(9).records(mixed[0]) == list{2, 1, 0});
}

TEST_CASE("Shared positions are one record for all tokens") {
  CHECK(positions::shared().count() == 1);
  CHECK(positions::shared().records(prompt(3)) == list{0, 0, 0});
}

TEST_CASE("Roles steer the tokens that have them") {
  const auto key = positions::role({"subject", "end"});
  CHECK(key.count() == 2);
  CHECK(key.records(prompt(5, {{"subject", {1, 3}}, {"end", {4, 5}}, {"other", {0, 1}}})) == list{-1, 0, 0, -1, 1});
  CHECK(key.records(prompt(3, {{"end", {2, 3}}})) == list{-1, -1, 1});
  CHECK(key.records(prompt(3, {{"subject", {-5, 1}}, {"end", {2, 99}}})) == list{0, -1, 1});  // cut to the prompt
  refusal(error_kind::bad_argument, [] { positions::role({}); });
}

TEST_CASE("A prompt without tokens has no records") {
  for (const auto& key : {positions::from_end(2), positions::shared(), positions::role({"end"})})
    CHECK(key.records(prompt(0)).empty());
}

TEST_CASE("Each key has its name") {
  CHECK(positions::absolute().text() == "absolute");
  CHECK(positions::from_end().text() == "from_end");
  CHECK(positions::role({"end"}).text() == "role");
  CHECK(positions::shared().text() == "shared");
}

TEST_CASE("A role that no prompt has, a role named twice and a negative count are refused") {
  prompt_pair p;
  p.ids = {1, 2, 3};
  p.roles["subject"] = {0, 1};
  const std::vector<prompt_pair> prompts{p};
  CHECK_NOTHROW(positions::role({"subject"}).resolved(prompts));
  CHECK_THROWS_WITH(positions::role({"subjct"}).resolved(prompts),
                    "no prompt has the role 'subjct'; the first prompt has subject");
  CHECK_THROWS_WITH(positions::role({"end", "end"}), "the role 'end' is named twice");
  CHECK_THROWS_WITH(positions::from_end(-3), "the number of positions is -3; it cannot be negative");
}

}  // namespace trimtab::test::position_tests
