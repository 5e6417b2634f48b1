// SPDX-License-Identifier: Apache-2.0

#include "support/catch.hpp"
#include "support/occurrences.hpp"

#include <trimtab/report/page/html.hpp>

using namespace trimtab;
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

TEST_CASE("Fits on the same prompts share their row of the untouched model; others have one of their own", "[report]") {
  auto a = hostile("a"), b = hostile("b");
  CHECK(occurrences(report::page_of("t", {{"c", {a, b}}}), "untouched model</th>") == 1);
  b.sets[0].measured.logit_diffs[0] = {5};
  CHECK(occurrences(report::page_of("t", {{"c", {a, b}}}), "untouched model</th>") == 2);
}

TEST_CASE("A fit without prompts is still shown: what was asked, and its maps", "[report]") {
  report::fit_report fit{.name = "fit", .asked = {{"policy", "activ-scalar"}}};
  const auto page = report::page_of("t", {{"c", {fit}}});
  CHECK_THAT(page, ContainsSubstring("activ-scalar"));
  CHECK(page.find(">Metrics</h3>") == std::string::npos);
  CHECK_THAT(page, ContainsSubstring("<h2 id=\"chapter-1\" class=\"unseen\">c</h2>"));  // no heading skips a level
}
