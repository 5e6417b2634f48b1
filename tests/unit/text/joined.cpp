// SPDX-License-Identifier: Apache-2.0
#include <trimtab/text/joined.hpp>

#include "support/catch.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace trimtab::test::joined_tests {

TEST_CASE("words with a separator between them and none at the ends") {
  CHECK(text::joined(std::vector<std::string>{}, ", ") == "");
  CHECK(text::joined(std::vector<std::string>{"one"}, ", ") == "one");
  CHECK(text::joined(std::vector<std::string_view>{"one", "two", "three"}, ", ") == "one, two, three");
  CHECK(text::joined(std::vector<std::string>{"", "two", ""}, "+") == "+two+");
  CHECK(text::joined(std::vector<std::string>{"one", "two"}, "") == "onetwo");
}

TEST_CASE("words that are made on the way") {
  const std::vector<int> numbers{1, 20, 3};
  CHECK(text::joined(numbers, " ", [](int n) { return std::to_string(n); }) == "1 20 3");
}

}  // namespace trimtab::test::joined_tests
