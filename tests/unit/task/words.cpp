// SPDX-License-Identifier: Apache-2.0
#include <trimtab/task/words.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <string_view>

namespace trimtab::test::words_tests {

using namespace trimtab::task;

namespace {

template <typename List>
bool all_different(const List& list) {
  return std::set<std::string_view>(list.begin(), list.end()).size() == list.size();
}

std::set<std::string> slots(std::string_view pattern) {
  std::set<std::string> found;
  for (auto open = pattern.find('['); open != pattern.npos; open = pattern.find('[', open + 1))
    found.emplace(pattern.substr(open + 1, pattern.find(']', open) - open - 1));
  return found;
}

/// Checks that every template has all slots in `needed`, and otherwise only slots in `allowed`.
template <typename List>
void check_slots(const List& templates, const std::set<std::string>& needed, const std::set<std::string>& allowed) {
  for (const auto pattern : templates) {
    CAPTURE(std::string(pattern));
    const auto found = slots(pattern);
    CHECK(std::ranges::includes(found, needed));
    for (const auto& slot : found) CHECK((needed.contains(slot) or allowed.contains(slot)));
  }
}

}  // namespace

TEST_CASE("No word is in its list twice") {
  CHECK(all_different(words::names));
  CHECK(all_different(words::places));
  CHECK(all_different(words::objects));
  CHECK(all_different(words::ioi_templates));

  std::set<std::string_view> countries, capitals;
  for (const auto& [country, capital] : words::capitals) {
    countries.insert(country);
    capitals.insert(capital);
  }
  CHECK(countries.size() == words::capitals.size());
  CHECK(capitals.size() == words::capitals.size());
}

TEST_CASE("The lists are long enough for train and test prompts that share no entity") {
  CHECK(words::names.size() >= 80);
  CHECK(words::places.size() >= 10);
  CHECK(words::objects.size() >= 10);
  CHECK(words::ioi_templates.size() >= 12);
  CHECK(words::capitals.size() >= 100);
}

TEST_CASE("\"a\" goes before every object") {
  for (const auto object : words::objects)
    CHECK(std::string_view("aeiou").find(object.front()) == std::string_view::npos);
}

TEST_CASE("Templates have the slots that the tasks fill") {
  check_slots(words::ioi_templates, {"FIRST", "SECOND", "SUBJECT"}, {"PLACE", "OBJECT"});
  check_slots(words::capital_templates, {"CLAIM", "SUBJECT"}, {});
  check_slots(words::country_templates, {"CLAIM", "SUBJECT"}, {});
  check_slots(words::capital_other_templates, {"CLAIM", "SUBJECT"}, {"OTHER", "OTHER_ANSWER"});
  check_slots(words::country_other_templates, {"CLAIM", "SUBJECT"}, {"OTHER", "OTHER_ANSWER"});
  check_slots(words::capital_recall_templates, {"SUBJECT"}, {});
  check_slots(words::country_recall_templates, {"SUBJECT"}, {});
  check_slots(words::capital_recall_other_templates, {"SUBJECT"}, {});
  check_slots(words::country_recall_other_templates, {"SUBJECT"}, {});
}

TEST_CASE("No template of indirect objects begins with a name, and none ends with a space") {
  for (const auto pattern : words::ioi_templates) {
    CHECK_FALSE(pattern.starts_with('['));
    CHECK_FALSE(pattern.ends_with(' '));
  }
}

}  // namespace trimtab::test::words_tests
