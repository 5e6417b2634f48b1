// SPDX-License-Identifier: Apache-2.0

#include "support/catch.hpp"
#include "support/occurrences.hpp"

#include <trimtab/report/page/sweep_section.hpp>

#include <cmath>
#include <string>

namespace trimtab::test::sweep_section_tests {

using Catch::Matchers::ContainsSubstring;
using trimtab::test::occurrences;

namespace {

report::sweep_report three_points() {
  report::sweep_report sweep{.varied = {"lambda_m"}, .hypervolume = 1.5};
  sweep.points = {{"point 0", {"<0.1>"}, {.5, .1, 3}, {.4, .6}, true, false, "#fit-1.1"},
                  {"point 1", {"0.01"}, {.9, .2, 7}, {.8, .95}, true, true, "#fit-1.2"},
                  {"point 2", {"0.001"}, {.4, .3, 9}, {.3, .5}, false, false, ""}};
  return sweep;
}

}  // namespace

TEST_CASE("The picture of a front has a mark for each point, and those on the front lead to their maps", "[report]") {
  const auto chart = report::front_chart(three_points());
  REQUIRE(chart.lines.size() == 3);
  for (const auto& line : chart.lines) CHECK(line.points.size() == 1);
  const auto& knee = chart.lines[2].points[0];
  CHECK((knee.x == .2 and knee.y == .9 and knee.label == "7" and knee.link == "#fit-1.2"));
  CHECK(chart.lines[0].points[0].label.empty());
  CHECK_THAT(knee.title, ContainsSubstring(", 7 places"));
  auto sparse = three_points();
  sparse.points[1].figures.places = 1;
  CHECK(report::front_chart(sparse).lines[2].points[0].title.ends_with(", 1 place"));

  const auto html = report::html_of(three_points());
  CHECK(occurrences(html, "href=\"#fit-1.2\"") == 2);  // the mark, and the row of the table
  CHECK_THAT(html, ContainsSubstring("<td>0.80–0.95</td>"));
  CHECK_THAT(html, ContainsSubstring("<td>&lt;0.1&gt;</td>"));
  CHECK(html.find("Path") == std::string::npos);
}

TEST_CASE("The picture of a path has a line for each place, over the logarithm of its weight", "[report]") {
  auto sweep = three_points();
  sweep.lambdas = {1, .1, .01};
  for (int k = 0; k < 15; ++k) sweep.places.push_back({"place " + std::to_string(k), {0, .25, .5}});
  const auto chart = report::path_chart(sweep);
  REQUIRE(chart.lines.size() == 12);
  CHECK(std::abs(chart.lines[3].points[2].x + 2) < 1e-15);
  CHECK(chart.lines[3].points[2].y == .5);
  CHECK_THAT(chart.note, ContainsSubstring("of 15 places, the first 12"));
  REQUIRE(chart.table.rows.size() == 3);
  CHECK(chart.table.rows[1].size() == 13);
  CHECK_THAT(report::html_of(sweep), ContainsSubstring("How places enter"));
}

}  // namespace trimtab::test::sweep_section_tests
