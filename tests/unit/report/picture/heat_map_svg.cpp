// SPDX-License-Identifier: Apache-2.0

#include "support/catch.hpp"
#include "support/occurrences.hpp"

#include <trimtab/report/picture/heat_map_svg.hpp>

#include <cmath>
#include <string>

using namespace trimtab;
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
