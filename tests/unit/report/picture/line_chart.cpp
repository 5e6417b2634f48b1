// SPDX-License-Identifier: Apache-2.0

#include "support/catch.hpp"
#include "support/occurrences.hpp"

#include <trimtab/report/picture/heat_map_svg.hpp>
#include <trimtab/report/picture/line_chart.hpp>

#include <cmath>
#include <string>
#include <vector>

namespace trimtab::test::line_chart_tests {

using Catch::Matchers::ContainsSubstring;
using trimtab::test::occurrences;

namespace {

report::line_chart chart_of(const std::vector<double>& values) {
  report::line_chart chart{.title = "t", .x_axis = "x", .y_axis = "y"};
  report::chart_line line{.name = "<line>", .style = 1};
  for (double y : values) line.points.push_back({static_cast<double>(line.points.size()), y, {}, {}, {}});
  chart.lines.push_back(line);
  return chart;
}

}  // namespace

TEST_CASE("An axis reaches to all numbers, but not to a few far beyond the others", "[report]") {
  const auto axis_of = [](std::vector<double> numbers) {
    report::detail::axis axis{0, 0, 0, 100};
    const auto beyond = report::detail::widen_to(axis, std::move(numbers));
    return std::pair(axis, beyond);
  };
  const auto [all, none] = axis_of({1, 2, 3, 4, 9});
  CHECK((all.low == 0 and all.high == 9 and none.count == 0));
  const auto [most, one] = axis_of({1, 2, std::nan(""), 3, 4, 5, -350, 80});
  CHECK((most.low == 0 and most.high == 5));
  CHECK((one.count == 2 and one.farthest == -350));
  CHECK(most.at(-350) == 0);  // at the edge
  CHECK(most.at(80) == 100);
  // Three of nine are no few; equal numbers have no distance to measure by.
  CHECK(axis_of({1, 2, 3, 4, 5, 6, 300, 300, 300}).first.high == 300);
  CHECK(axis_of({0, 0, 0, 0, 0, 7}).first.high == 7);
  CHECK(axis_of({}).second.count == 0);
}

TEST_CASE("A chart says what lies beyond its axis", "[report]") {
  const auto html = report::html_of(chart_of({1, 2, 3, 2, 1, 2, 500}));
  CHECK_THAT(html, ContainsSubstring("1 point beyond the axis, as far as 500"));
  CHECK_THAT(html, ContainsSubstring(">3<"));  // a tick
  CHECK(html.find(">400<") == std::string::npos);
  CHECK(report::html_of(chart_of({1, 2, 3, 2, 1, 2, 5})).find("beyond") == std::string::npos);
}

TEST_CASE("A chart in a file has its legend, and colours without variables", "[report]") {
  const auto svg = report::svg_of("t", std::vector<report::map_group>{}, 600, {chart_of({1, 2, 3})});
  CHECK_THAT(svg, ContainsSubstring("&lt;line&gt;"));
  CHECK(occurrences(svg, "class=\"path l1\"") == 2);  // the line, and its sample
  CHECK_THAT(svg, ContainsSubstring(".l1 { stroke: " + report::hex(report::light.marks[1])));
  CHECK(svg.find("var(") == std::string::npos);
  CHECK(occurrences(svg, "http") == 1);
}

}  // namespace trimtab::test::line_chart_tests
