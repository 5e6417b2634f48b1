// SPDX-License-Identifier: Apache-2.0

#include "support/catch.hpp"

#include <trimtab/report/page/fit_charts.hpp>

#include <cmath>

namespace trimtab::test::fit_charts_tests {

using Catch::Matchers::ContainsSubstring;

TEST_CASE("The loss is what its terms add to it, step by step", "[report]") {
  report::fit_report fit{.name = "fit"};
  for (int step = 0; step < 1000; ++step)
    fit.history.push_back({{{"effectiveness", 1, 8.0 - step / 200.0, {}}, {"minimality", 0.5, step / 100.0, {}}}});
  const auto chart = report::loss_chart(fit);
  REQUIRE(chart.lines.size() == 3);
  for (const auto& line : chart.lines) {
    CHECK(line.points.size() == 400);
    CHECK(line.points.front().x == 0);
    CHECK(line.points.back().x == 999);
  }
  for (std::size_t i = 0; i < 400; ++i)
    CHECK(std::abs(chart.lines[0].points[i].y - chart.lines[1].points[i].y - chart.lines[2].points[i].y) < 1e-12);
  CHECK(chart.lines[2].points.back().y == 0.5 * 9.99);
  CHECK(chart.table.rows.size() == 21);
}

TEST_CASE("Prompt pairs stand in the order of the untouched model's differences", "[report]") {
  report::measured_set set{
      .name = "test", .prompts = {{{"a"}, "x", "y"}, {{"b"}, "x", "y"}, {{"c"}, "x", "y"}}, .measured = {}};
  set.measured.logit_diffs = {{0, {3, -1, 2}}, {1, {4, 5, 6}}, {-1, {-4, -5, -6}}};
  const auto chart = report::pair_chart(set);
  const auto heights = [&](std::size_t line) {
    std::vector<double> y;
    for (const auto& p : chart.lines[line].points) y.push_back(p.y);
    return y;
  };
  CHECK(heights(0) == std::vector<double>{-1, 2, 3});
  CHECK(heights(1) == std::vector<double>{5, 6, 4});
  CHECK(heights(2) == std::vector<double>{-5, -6, -4});
  CHECK(chart.table.rows[0] == std::vector<std::string>{"b", "−1.00", "+5.00", "−5.00"});
  CHECK_THAT(chart.lines[1].points[2].title, ContainsSubstring("a"));
}

TEST_CASE("A sweep goes from the untouched model both ways, and where nothing can be followed there is a gap",
          "[report]") {
  report::fit_report fit{.name = "fit"};
  fit.sweep.at[-1] = {.logit_diff = -3, .flip_rate = 0.75, .kl_masked = 0.5};
  fit.sweep.at[0] = {.logit_diff = 1};
  fit.sweep.at[2] = {.logit_diff = 4, .flip_rate = 1, .kl_masked = 0.25};
  const auto trade = report::trade_off_chart({&fit});
  REQUIRE(trade.lines.front().points.size() == 3);
  CHECK(trade.lines.front().points[0].x == 0.5);
  CHECK(trade.lines.front().points[0].label == "−1");
  CHECK(trade.lines.front().points[2].label == "+2");
  const auto flips = report::flip_chart({&fit});
  CHECK(flips.lines.front().points[0].y == 0.75);
  CHECK(std::isnan(flips.lines.front().points[1].y));
  const auto html = report::html_of(flips);
  CHECK(html.find("nan") == std::string::npos);
  CHECK_THAT(html, ContainsSubstring("aria-label=\"Prompts that follow each strength"));
}

TEST_CASE("Axes end at round numbers and contain everything", "[report]") {
  for (double high : {0.003, 0.7, 1.0, 9.99, 1234.0})
    for (double low : {0.0, -0.3, -77.0}) {
      report::detail::axis axis{0, 0, 0, 100};
      axis.widen(high), axis.widen(low), axis.round();
      CAPTURE(low, high, axis.low, axis.high);
      CHECK((axis.low <= low and axis.high >= high));
      const auto ticks = axis.ticks();
      CHECK((ticks.size() >= 3 and ticks.size() <= 12));
      CHECK(std::abs(axis.at(axis.high) - 100) < 1e-9);
    }
  report::detail::axis empty{0, 0, 0, 100};
  empty.round();
  CHECK(empty.high == 1);
}

}  // namespace trimtab::test::fit_charts_tests
