// SPDX-License-Identifier: Apache-2.0
#include <trimtab/report/picture/chart_svg.hpp>

#include "support/catch.hpp"
#include "support/occurrences.hpp"

#include <limits>
#include <string>

namespace trimtab::test::chart_svg_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

report::line_chart chart_of(double low, double high) {
  return {.title = "Flips & cost",
          .x_axis = "KL",
          .y_axis = "rate",
          .lines = {{"first <fit>", 0, true, true, {{0, 0.5, "a", {}, {}, low, high}, {1, 0.75, "b", {}, {}}}},
                    {"second", 2, false, true, {{0.5, 0.25, "c", {}, {}}}}}};
}

}  // namespace

TEST_CASE("A chart alone has its title, its legend and its colours, and needs nothing besides") {
  const std::string svg = report::svg_of(chart_of(0.25, 0.9));
  CHECK(svg.starts_with("<?xml"));
  CHECK(occurrences(svg, "<svg") == occurrences(svg, "</svg>"));
  for (const auto* text : {"Flips &amp; cost", "first &lt;fit&gt;", "second", ">KL<", ">rate<"})
    CHECK_THAT(svg, ContainsSubstring(text));
  CHECK_THAT(svg, not ContainsSubstring("var(") and not ContainsSubstring("url("));
  CHECK_THAT(svg, ContainsSubstring(report::hex(report::light.marks[2])));
}

TEST_CASE("Marks of a line are crosses where it says so, in its colour") {
  const double none = std::numeric_limits<double>::quiet_NaN();
  auto chart = chart_of(none, none);
  CHECK(occurrences(report::svg_of(chart), "class=\"cross") == 0);
  chart.lines[0].crossed = true;
  CHECK(occurrences(report::svg_of(chart), "class=\"cross l0\"") == 2 * 3);  // two points, and the legend
}

TEST_CASE("A point with an interval has a bar, which the axis makes room for") {
  const double none = std::numeric_limits<double>::quiet_NaN();
  CHECK(occurrences(report::svg_of(chart_of(none, none)), "class=\"bar l0\"") == 0);
  const std::string svg = report::svg_of(chart_of(-3, 4));
  CHECK(occurrences(svg, "class=\"bar l0\"") == 1);
  CHECK_THAT(svg, ContainsSubstring(">4<") and ContainsSubstring(">−2<"));
}

}  // namespace trimtab::test::chart_svg_tests
