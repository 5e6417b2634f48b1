// SPDX-License-Identifier: Apache-2.0

#include "support/catch.hpp"

#include <trimtab/report/token_names.hpp>

#include <algorithm>
#include <string>
#include <vector>

namespace trimtab::test::token_names_tests {

namespace {

using names = std::vector<std::string>;

/// Names two people in either order, the subject again, and ends: token 9 is the same in all prompts.
std::vector<prompt_pair> two_orders() {
  return {{.ids = {9, 1, 2, 1, 5}, .roles = {{"s1", {1, 2}}, {"io", {2, 3}}, {"s2", {3, 4}}}},
          {.ids = {9, 3, 4, 4, 5}, .roles = {{"io", {1, 2}}, {"s1", {2, 3}}, {"s2", {3, 4}}}},
          {.ids = {9, 2, 1, 1, 6}, .roles = {{"io", {1, 2}}, {"s1", {2, 3}}, {"s2", {3, 4}}}}};
}

/// A model without a tokenizer.
constexpr struct { } no_text; }  // namespace

TEST_CASE("A place is named by what all prompts share there, else by its position and the shares of roles",
          "[report]") {
  auto prompts = two_orders();
  const names expected = {"#9", "1 [io 67 %, s1 33 %]", "2 [s1 67 %, io 33 %]", "[s2]", "4"};
  CHECK(report::common_tokens(no_text, positions::absolute(5), prompts) == expected);
  // The order of the prompts changes no name.
  std::ranges::reverse(prompts);
  CHECK(report::common_tokens(no_text, positions::absolute(5), prompts) == expected);
}

TEST_CASE("Places from the end are named in prompts of different lengths, too", "[report]") {
  auto prompts = two_orders();
  prompts[0].ids.insert(prompts[0].ids.begin(), 8);
  prompts[0].roles = {{"s1", {2, 3}}, {"io", {3, 4}}, {"s2", {4, 5}}};
  CHECK(report::common_tokens(no_text, positions::from_end(6), prompts) ==
        names{"end", "[s2]", "end-2 [s1 67 %, io 33 %]", "end-3 [io 67 %, s1 33 %]", "#9", "end-5"});
}

TEST_CASE("Without prompts places have the names of their key", "[report]") {
  CHECK(report::common_tokens(no_text, positions::absolute(2), {}) == names{"0", "1"});
  CHECK(report::common_tokens(no_text, positions::role({"s1"}), two_orders()) == names{"s1"});
}

TEST_CASE("A share that is not quite none or all is not rounded to either") {
  CHECK(report::share_text(1, 3) == "33 %");
  CHECK(report::share_text(1, 1000) == "<1 %");
  CHECK(report::share_text(999, 1000) == ">99 %");
  CHECK(report::share_text(0, 4) == "0 %");
  CHECK(report::share_text(4, 4) == "100 %");
}

}  // namespace trimtab::test::token_names_tests
