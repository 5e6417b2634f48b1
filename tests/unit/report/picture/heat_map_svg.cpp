// SPDX-License-Identifier: Apache-2.0

#include "support/catch.hpp"
#include "support/occurrences.hpp"

#include <trimtab/report/picture/heat_map_svg.hpp>

#include <cmath>
#include <string>

namespace trimtab::test::heat_map_svg_tests {

using Catch::Matchers::ContainsSubstring;
using trimtab::test::occurrences;

TEST_CASE("A picture for papers has a box for every place, and strikes through what is exactly zero", "[report]") {
  const report::map_group group{
      "<α>",
      "",
      "alpha",
      {{.title = "attn_out", .rows = {"0", "1"}, .columns = {"␣a", "&"}, .values = {{0, -2}, {std::nan(""), 0.5}}}}};
  const auto svg = report::svg_of("a \"title\"", std::vector{group});
  CHECK(svg.starts_with("<?xml version=\"1.0\""));
  CHECK_THAT(svg, ContainsSubstring("xmlns=\"http://www.w3.org/2000/svg\""));
  CHECK(occurrences(svg, "<title>layer ") == 4);
  CHECK(occurrences(svg, "<line ") == 2);  // one through the zero, one in the legend
  CHECK_THAT(svg, ContainsSubstring("<title>layer 0, &amp;: -2</title>"));
  CHECK_THAT(svg, ContainsSubstring("<title>layer 1, ␣a: nothing measured</title>"));
  CHECK_THAT(svg, ContainsSubstring("fill=\"" + report::hex(report::shade(report::light, -10)) + "\""));
  CHECK_THAT(svg, ContainsSubstring("&lt;α&gt;"));
  CHECK_THAT(svg, ContainsSubstring("exactly 0, empty: not measured"));
  CHECK(svg.find("nan") == std::string::npos);
  CHECK(occurrences(svg, "http") == 1);  // only the namespace of SVG
}

TEST_CASE("Maps that are wider than the picture go on below", "[report]") {
  const auto map_of = [](std::size_t columns) {
    return report::heat_map{.title = "m",
                            .rows = {"0"},
                            .columns = std::vector<std::string>(columns, "t"),
                            .values = {std::vector<double>(columns, 1.0)}};
  };
  const auto svg_of = [](std::vector<report::heat_map> maps, double width) {
    return report::svg_of("t", std::vector<report::map_group>{{"g", "", "q", std::move(maps)}}, width);
  };
  const auto width_in = [](const std::string& svg) { return std::stod(svg.substr(svg.find(" width=\"") + 8)); };
  const auto wide = svg_of({map_of(10), map_of(10)}, 1000), narrow = svg_of({map_of(10), map_of(10)}, 400);
  CHECK(width_in(wide) > 400);
  CHECK(width_in(narrow) <= 400);
  const auto cut = svg_of({map_of(25)}, 400);
  CHECK(width_in(cut) <= 420);
  CHECK(occurrences(cut, "<title>layer ") == 25);
  CHECK(occurrences(cut, "m, continued") == 1);
}

TEST_CASE("Words stand in the cells of a picture, shortened to what fits", "[report]") {
  report::heat_map map{.title = "m", .rows = {"0"}, .columns = {"a", "b"}, .values = {{1, 0}}};
  map.words = {{"extraordinary", "␣it"}};
  const auto svg = report::svg_of("t", std::vector<report::map_group>{{"g", "", "q", {map}}});
  CHECK_THAT(svg, ContainsSubstring(">extraord…<") and ContainsSubstring(">␣it<"));
  CHECK_THAT(svg, ContainsSubstring("<title>layer 0, a, extraordinary: 1</title>"));
}

TEST_CASE("Fits that show the same stand side by side on one scale", "[report]") {
  const auto fit_of = [](const std::string& name, const std::string& quantity, double x) {
    return report::fit_report{
        .name = name,
        .maps = {{quantity, "", quantity, {{.title = "m", .rows = {"0"}, .columns = {"t"}, .values = {{x}}}}}}};
  };
  const auto svg = report::svg_of("t", {fit_of("a", "α", 1), fit_of("b", "α", 10), fit_of("c", "v", 3)});
  CHECK_THAT(svg, ContainsSubstring(">α at m<") and ContainsSubstring(">m, a<") and ContainsSubstring(">m, b<"));
  CHECK_THAT(svg, ContainsSubstring(">c: v<"));
  // On the scale that ends at 10, a 1 has the first colour.
  CHECK_THAT(svg, ContainsSubstring("fill=\"" + report::hex(report::shade(report::light, 1)) +
                                    "\" stroke=\"#d9dde3\" stroke-width=\"0.5\"><title>layer 0, t: 1</title>"));
}

}  // namespace trimtab::test::heat_map_svg_tests
