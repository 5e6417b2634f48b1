// SPDX-License-Identifier: Apache-2.0

#include "support/catch.hpp"

#include <trimtab/report/page/heat_map_html.hpp>

#include <cmath>

using namespace trimtab;
using Catch::Matchers::ContainsSubstring;

namespace {

report::map_group group_of(std::vector<std::vector<double>> values, double centre = 0) {
  return {"title",
          "note",
          "alpha",
          {{.title = "attn_out",
            .rows = {"1", "4"},
            .columns = {"a", "<b>"},
            .values = std::move(values),
            .centre = centre}}};
}

}  // namespace

TEST_CASE("A cell tells its exact value, and an exact zero looks different from a small number", "[report]") {
  const auto html = report::html_of(group_of({{0, -2}, {3, 0.0012}}));
  CHECK_THAT(html, ContainsSubstring("<td class=\"z\" tabindex=\"-1\" data-row=\"1\" data-place=\"0\" data-value=\"0\" "
                                     "title=\"layer 1, a: exactly 0\">"));
  CHECK_THAT(html,
             ContainsSubstring("<td class=\"n7\" tabindex=\"-1\" data-row=\"1\" data-place=\"1\" data-value=\"-2\""));
  CHECK_THAT(html, ContainsSubstring("class=\"p10\" tabindex=\"0\" data-row=\"4\" data-place=\"0\" data-value=\"3\""));
  CHECK_THAT(html, ContainsSubstring("title=\"layer 4, &lt;b&gt;: 0.0012\">+0.00</td>"));
  CHECK_THAT(html, ContainsSubstring("<td class=\"p1\""));
  CHECK(html.find("<b>") == std::string::npos);
  // The highest layer stands on top.
  CHECK(html.find("<th scope=\"row\">4</th>") < html.find("<th scope=\"row\">1</th>"));
}

TEST_CASE("On a scale around 1, the value 1 is blank and missing values look different", "[report]") {
  const auto html = report::html_of(group_of({{1, 0.5}, {std::nan(""), 1.25}}, 1));
  CHECK_THAT(html, ContainsSubstring("layer 1, a: exactly 1"));
  CHECK_THAT(html, ContainsSubstring("class=\"n10\""));
  CHECK_THAT(html, ContainsSubstring("class=\"p5\""));
  CHECK_THAT(
      html,
      ContainsSubstring(
          "<td class=\"none\" tabindex=\"0\" data-row=\"4\" data-place=\"0\" title=\"layer 4, a: nothing measured\">"));
  CHECK_THAT(html, ContainsSubstring("not measured"));
  CHECK(html.find("nan") == std::string::npos);
}

TEST_CASE("A map of nothing but zeros divides by nothing", "[report]") {
  const auto html = report::html_of(group_of({{0, 0}, {0, 0}}));
  CHECK(html.find("nan") == std::string::npos);
  CHECK(html.find("class=\"p") == std::string::npos);
}
