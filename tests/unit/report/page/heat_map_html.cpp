// SPDX-License-Identifier: Apache-2.0

#include "support/catch.hpp"
#include "support/occurrences.hpp"

#include <trimtab/report/page/heat_map_html.hpp>

#include <cmath>

namespace trimtab::test::heat_map_html_tests {

using Catch::Matchers::ContainsSubstring;
using trimtab::test::occurrences;

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

TEST_CASE("A wide map flows into pieces, and those without a number that matters are folded away", "[report]") {
  const auto wide = [](std::vector<double> row) {
    report::heat_map map{.title = "m", .rows = {"0"}, .columns = std::vector<std::string>(row.size(), "t")};
    map.values = {std::move(row)};
    return report::html_of(report::map_group{"g", "", "q", {map}});
  };
  std::vector<double> row(40);
  row[20] = 2;
  const auto html = wide(row);
  CHECK(occurrences(html, "<table class=\"heat\"") == 3);
  CHECK(occurrences(html, "data-continued") == 2);
  CHECK(occurrences(html, "<details>") == 2);
  CHECK_THAT(html, ContainsSubstring("<summary>columns 0 to 15: exactly 0</summary>"));
  CHECK_THAT(html, ContainsSubstring("<summary>columns 32 to 39: exactly 0</summary>"));
  CHECK_THAT(html, ContainsSubstring("data-place=\"20\" data-value=\"2\""));
  CHECK(wide(std::vector<double>(40)).find("<details>") == std::string::npos);  // nothing is better than anything
  CHECK(occurrences(wide(std::vector<double>(24)), "<table") == 1);
}

TEST_CASE("A cell can show a word, with the number in its colour and its title", "[report]") {
  auto group = group_of({{0, -2}, {3, 1}});
  group.maps[0].words = {{"<x>", "b"}, {"c", ""}};
  group.maps[0].row_kind = "token";
  const auto html = report::html_of(group);
  CHECK_THAT(html, ContainsSubstring("<span class=\"word\">&lt;x&gt;</span>"));
  CHECK_THAT(html, ContainsSubstring("title=\"token 1, a, &lt;x&gt;: exactly 0\""));
  CHECK_THAT(html, ContainsSubstring("class=\"p10\""));
  CHECK_THAT(html, ContainsSubstring("tokens upward"));
}

TEST_CASE("Maps with scales of their own say where each ends", "[report]") {
  auto group = group_of({{0, -2}, {3, 1}});
  group.maps.push_back(group.maps[0]);
  group.maps[1].reach = 30;
  const auto html = report::html_of(group);
  CHECK_THAT(html, ContainsSubstring("attn_out, largest 3.00") and ContainsSubstring("attn_out, largest 30.0"));
  CHECK_THAT(html, ContainsSubstring("+largest"));
  CHECK(occurrences(html, "class=\"p10\"") == 2);  // the largest of the first map, and the legend's
}

TEST_CASE("Small cells are colours, whose numbers are for those who cannot see them", "[report]") {
  const auto html = report::html_of(group_of({{0, -2}, {3, 1}}), report::cell_size::small);
  CHECK_THAT(html, ContainsSubstring("<table class=\"heat small\""));
  CHECK_THAT(html, ContainsSubstring("title=\"layer 1, &lt;b&gt;: −2\"><span class=\"unseen\">-2</span></td>"));
}

}  // namespace trimtab::test::heat_map_html_tests
