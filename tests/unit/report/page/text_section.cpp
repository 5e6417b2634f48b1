// SPDX-License-Identifier: Apache-2.0

#include "support/catch.hpp"
#include "support/occurrences.hpp"

#include <trimtab/report/page/text_section.hpp>

#include <limits>
#include <vector>

namespace trimtab::test::text_section_tests {

using Catch::Matchers::ContainsSubstring;
using trimtab::test::occurrences;

TEST_CASE("Texts stand beside each other with their answers marked and what they cost in fluency", "[report]") {
  const double unknown = std::numeric_limits<double>::quiet_NaN();
  const std::vector<report::continued_prompt> prompts{
      {"Then <Mary>",
       {{.strength = 0, .pieces = {{" Mary", 1}, {" & co", 0}}, .stopped = "ended by itself", .perplexity = 2},
        {.strength = -1, .pieces = {{" John", -1}, {" John", -1}}, .stopped = "interrupted", .perplexity = 4}}},
      {"So",
       {{.strength = 0, .pieces = {{"\n", 0}}, .perplexity = 8},
        {.strength = -1, .sample = 2, .pieces = {{" Mary", 1}, {" John", -1}}, .perplexity = unknown}}}};
  const auto html = report::html_of(prompts);
  CHECK_THAT(html, ContainsSubstring("Then &lt;Mary&gt;") and ContainsSubstring(" &amp; co"));
  CHECK(occurrences(html, "title=\"the correct answer\"> Mary</mark>") == 2);
  CHECK(occurrences(html, "title=\"the wrong answer\"> John</mark>") == 3);
  CHECK(occurrences(html, "<div class=\"texts\">") == 2);
  CHECK_THAT(html, ContainsSubstring("β = −1, sample 2"));
  CHECK_THAT(html, ContainsSubstring("perplexity 2.00, ended by itself") and ContainsSubstring("perplexity not known"));
  // β = 0: two texts, one with the correct answer, perplexity √(2 · 8); β = −1: one of two is measured.
  CHECK_THAT(html, ContainsSubstring("β = 0</th><td>2</td><td>1</td><td>0</td><td>4.00</td>"));
  CHECK_THAT(html, ContainsSubstring("β = −1</th><td>2</td><td>1</td><td>2</td><td>4.00</td>"));
}

}  // namespace trimtab::test::text_section_tests
