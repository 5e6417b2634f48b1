// SPDX-License-Identifier: Apache-2.0

#include "support/catch.hpp"
#include "support/occurrences.hpp"

#include <trimtab/report/page/html.hpp>

namespace trimtab::test::html_tests {

using Catch::Matchers::ContainsSubstring;
using trimtab::test::occurrences;

namespace {

/// Prompts, names and settings that contain markup, which the page must escape.
report::fit_report hostile(const std::string& name) {
  const std::string bad = "</script><script>alert(1)</script>\"'&\xFF\x01";
  report::fit_report fit{.name = name + bad};
  fit.asked = {{"task" + bad, bad}, {"steps", "3"}};
  fit.history = {{{{bad, 1, 2, {}}}}, {{{bad, 1, 1, {}}}}};
  report::measured_set set{.name = "test" + bad, .prompts = {{{report::visible(bad)}, bad, bad}}, .measured = {}};
  set.measured.prompts = 1;
  set.measured.logit_diffs = {{0, {1}}, {1, {2}}, {-1, {-2}}};
  set.measured.at[0] = {.logit_diff = 1}, set.measured.at[1] = {.logit_diff = 2, .flip_rate = 1},
  set.measured.at[-1] = {.logit_diff = -2};
  fit.sweep = set.measured;
  fit.swept = set.name;
  fit.sets = {set};
  fit.maps = {{bad, bad, bad, {{.title = bad, .rows = {"0"}, .columns = {bad}, .values = {{1}}}}}};
  return fit;
}

}  // namespace

TEST_CASE("Nothing that prompts or names hold becomes part of the page's markup", "[report]") {
  const auto page = report::page_of("<title>", {{"<one>", {hostile("a"), hostile("b")}}, {"<two>", {hostile("c")}}});
  CHECK(occurrences(page, "<script>") == 1);  // only the page's own
  CHECK(occurrences(page, "</script>") == 1);
  CHECK(page.find("<one>") == std::string::npos);
  CHECK_THAT(page, ContainsSubstring("<title>&lt;title&gt;</title>"));
  CHECK_THAT(page, ContainsSubstring("default-src 'none'"));
  CHECK(page.find("http:") == std::string::npos);
  CHECK(page.find("https:") == std::string::npos);
  CHECK(page.find('\xFF') == std::string::npos);
  CHECK(page.find('\x01') == std::string::npos);
}

TEST_CASE("Fits on the same prompts share their row of the untouched model, and others have one of their own",
          "[report]") {
  auto a = hostile("a"), b = hostile("b");
  auto c = hostile("c");
  a.name = "one", b.name = "two", c.name = "three";
  for (report::fit_report* fit : {&a, &b, &c}) fit->sets[0].name = "test";
  const auto same = report::page_of("t", {{"c", {a, b}}});
  CHECK(occurrences(same, "untouched model</th>") == 1);
  c.sets[0].measured.logit_diffs[0] = {5};
  c.sets[0].measured.prompts = 7;
  const auto count = report::counted(static_cast<std::size_t>(a.sets[0].measured.prompts), "prompt");
  CHECK_THAT(same, ContainsSubstring(">test, " + count + "</th>"));
  const auto other = report::page_of("t", {{"c", {a, c, b}}});
  CHECK(occurrences(other, "untouched model</th>") == 0);
  CHECK_THAT(other, ContainsSubstring(">untouched model on the " + count + " of one, two</th>") and
                        ContainsSubstring(">untouched model on the 7 prompts of three</th>"));
  auto d = c, e = c, f = c, g = c;
  f.name = "<f>", g.name = "g";
  CHECK_THAT(report::page_of("t", {{"c", {a, f, g, c, d, e}}}),
             ContainsSubstring(">untouched model on the 7 prompts of &lt;f&gt;, g, three and 2 more</th>"));
}

TEST_CASE("A fit without prompts is still shown: what was asked, and its maps", "[report]") {
  report::fit_report fit{.name = "fit", .asked = {{"policy", "activ-scalar"}}};
  const auto page = report::page_of("t", {{"c", {fit}}});
  CHECK_THAT(page, ContainsSubstring("activ-scalar"));
  CHECK(page.find(">Metrics</h3>") == std::string::npos);
  CHECK_THAT(page, ContainsSubstring("<h2 id=\"chapter-1\" class=\"unseen\">c</h2>"));  // no heading skips a level
}

TEST_CASE("What several fits show stands side by side on one scale, above each fit", "[report]") {
  const auto fit_of = [](const std::string& name, double x) {
    return report::fit_report{
        .name = name, .maps = {{"α", "", "alpha", {{.title = "m", .rows = {"0"}, .columns = {"t"}, .values = {{x}}}}}}};
  };
  const auto page = report::page_of("t", {{"c", {fit_of("a", 1), fit_of("b", 10)}}});
  CHECK_THAT(page, ContainsSubstring(">Side by side</h3>") and ContainsSubstring("data-site=\"m, a\""));
  CHECK(occurrences(page, "class=\"p1\" tabindex") == 1);   // 1 of 10
  CHECK(occurrences(page, "class=\"p10\" tabindex") == 3);  // 10 of 10, and each on its own
  CHECK(report::page_of("t", {{"c", {fit_of("a", 1)}}}).find("Side by side") == std::string::npos);
}

TEST_CASE("One is not many", "[report]") {
  report::fit_report fit{.name = "f", .counts = {.parameters = 1, .nonzero_parameters = 1, .sites = 1}};
  fit.counts.nonzero_sites = 1;
  CHECK_THAT(report::page_of("t", {{"c", {fit}}}),
             ContainsSubstring("1 of 1 parameter is not zero, at 1 of 1 place; its ℓ1 norm"));
  fit.counts.parameters = fit.counts.sites = 2;
  fit.counts.nonzero_parameters = 0;
  CHECK_THAT(report::page_of("t", {{"c", {fit}}}),
             ContainsSubstring("0 of 2 parameters are not zero, at 1 of 2 places"));
}

}  // namespace trimtab::test::html_tests
