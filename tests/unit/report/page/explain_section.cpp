// SPDX-License-Identifier: Apache-2.0

#include "support/catch.hpp"
#include "support/occurrences.hpp"

#include <trimtab/report/page/explain_section.hpp>
#include <trimtab/report/picture/attention_map.hpp>

#include <cmath>
#include <string>
#include <vector>

namespace trimtab::test::explain_section_tests {

using Catch::Matchers::ContainsSubstring;
using trimtab::test::occurrences;

namespace {

report::fit_report method_of(const std::string& name, double score) {
  return {.name = name,
          .asked = {{"method", name}},
          .maps = {{name,
                    "",
                    "logit difference",
                    {{.title = "mlp_out", .rows = {"0"}, .columns = {"a"}, .values = {{score}}}}}}};
}

report::explain_report two_methods() {
  report::explain_report report{.methods = {method_of("patching", 2), method_of("<gradient>", -30)}};
  report.agreement = {{"patching", "<gradient>", 9, {{.5, .25, .75}, {.4, .2, .6}, {1, 1, 1}, 3}}};
  faithfulness_curve curve;
  for (const double share : faithfulness_curve::shares)
    curve.kept.push_back(share), curve.faithfulness.push_back(share);
  report.curves = {{"patching", curve, {.9, .8, .95}, {.1, .05, .2}},
                   {"<gradient>", curve, {.8, .7, .9}, {.2, .1, .3}}};
  report.random_mean = report.random_low = report.random_high = curve.faithfulness;
  report.differences = {{"patching", "<gradient>", {.1, -.02, .2}, {-.1, -.2, 0}}};
  return report;
}

}  // namespace

TEST_CASE("Several methods have a section with their maps beside each other, agreement and curves", "[report]") {
  const auto html = report::html_of(two_methods(), "1");
  CHECK_THAT(html, ContainsSubstring("mlp_out, patching, largest 2.00"));
  CHECK_THAT(html, ContainsSubstring("mlp_out, &lt;gradient&gt;, largest 30.0"));
  CHECK_THAT(html, ContainsSubstring("<th scope=\"row\">patching</th><td>1</td><td>0.50</td>"));
  CHECK_THAT(html, ContainsSubstring("<td>9</td><td>0.50 (0.25 to 0.75)</td><td>0.40 (0.20 to 0.60)</td>"
                                     "<td>1.00 (1.00 to 1.00) of 3</td>"));
  CHECK_THAT(html, ContainsSubstring("<th scope=\"row\">patching less &lt;gradient&gt;</th>"
                                     "<td>0.10 (−0.02 to 0.20)</td><td>−0.10 (−0.20 to 0.00)</td>"));
  CHECK_THAT(html, ContainsSubstring("How much of the answer the first places explain"));
  CHECK(html.find("<gradient>") == std::string::npos);
}

TEST_CASE("Methods that share no place have no correlation", "[report]") {
  auto report = two_methods();
  report.methods.push_back(method_of("logit-lens", 1));
  CHECK_THAT(report::html_of(report, "1"),
             ContainsSubstring("<th scope=\"row\">logit-lens</th><td>–</td><td>–</td><td>1</td>"));
  report.curves.clear(), report.agreement.clear();
  const auto html = report::html_of(report, "1");
  CHECK(html.find("Faithfulness") == std::string::npos);
  CHECK(html.find("agree") == std::string::npos);
}

TEST_CASE("The curves are lines over the logarithm of the share that is kept, the random band behind them",
          "[report]") {
  const auto chart = report::faithfulness_chart(two_methods());
  REQUIRE(chart.lines.size() == 5);
  CHECK(chart.lines[0].name == "patching");
  CHECK(chart.lines[4].style == 4);
  CHECK(std::abs(chart.lines[1].points[3].x + 2) < 1e-12);  // 0.01
  CHECK(chart.lines[1].points[3].y == 0.01);
  REQUIRE(chart.table.rows.size() == 10);
  CHECK(chart.table.rows[3] == std::vector<std::string>{"0.01", "0.010", "0.010", "0.010", "0.010", "0.010"});
}

TEST_CASE("A pattern of attention is read downward, each token by those after it", "[report]") {
  host_matrix<double> pattern(2, 2);
  pattern(0, 0) = 1, pattern(1, 0) = 0.25, pattern(1, 1) = 0.75;
  const auto map = report::attention_map("head 3.1", pattern, {"a", "a"});
  CHECK(map.rows == std::vector<std::string>{"1 a", "0 a"});  // from below
  CHECK(map.values == std::vector<std::vector<double>>{{0.25, 0.75}, {1, 0}});
  CHECK(map.row_kind == "token");
}

}  // namespace trimtab::test::explain_section_tests
