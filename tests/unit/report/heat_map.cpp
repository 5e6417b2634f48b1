// SPDX-License-Identifier: Apache-2.0

#include "support/catch.hpp"

#include <trimtab/report/heat_map.hpp>

using namespace trimtab;

namespace {

parameters two_layers_of(index_t record_size, std::vector<double> theta) {
  parameter_block block{.site = "attn_out",
                        .policy = "p",
                        .layers = {1, 4},
                        .positions = positions::absolute(2),
                        .parts = 1,
                        .width = 2,
                        .record_size = record_size};
  return {{{block}}, std::move(theta)};
}

}  // namespace

TEST_CASE("A heat map shows one number a place with its sign, and a record by its length", "[report]") {
  const parameters scalars = two_layers_of(1, {0, -2, 3, 0.5});
  const auto map = report::map_of(scalars, scalars.layout.blocks[0], {" a", "b"});
  CHECK(map.rows == std::vector<std::string>{"1", "4"});
  CHECK(map.columns == std::vector<std::string>{" a", "b"});
  CHECK(map.values == std::vector<std::vector<double>>{{0, -2}, {3, 0.5}});

  const parameters vectors = two_layers_of(2, {3, -4, 0, 0, 1, 0, 0, 2});
  CHECK(report::map_of(vectors, vectors.layout.blocks[0]).values == std::vector<std::vector<double>>{{5, 0}, {1, 2}});
}

TEST_CASE("An exact zero looks different from a small number, and text cannot break the page", "[report]") {
  const parameters scalars = two_layers_of(1, {0, -2, 3, 0.001});
  const std::string html = report::html_of(report::map_of(scalars, scalars.layout.blocks[0], {"<b>", " & \"c\""}));
  CHECK(html.find("class=\"zero\"") != std::string::npos);
  CHECK(html.find("exactly 0") != std::string::npos);
  CHECK(html.find("class=\"down\" style=\"--s:0.667\" title=\"layer 1, ") != std::string::npos);
  CHECK(html.find(": 0.001\"") != std::string::npos);
  CHECK(html.find("<b>") == std::string::npos);
  CHECK(html.find("&lt;b&gt;") != std::string::npos);
  // The highest layer stands on top.
  CHECK(html.find("<th scope=\"row\">4</th>") < html.find("<th scope=\"row\">1</th>"));
}

TEST_CASE("A map of nothing but zeros divides by nothing", "[report]") {
  const parameters scalars = two_layers_of(1, {0, 0, 0, 0});
  const std::string html = report::html_of(report::map_of(scalars, scalars.layout.blocks[0]));
  CHECK(html.find("nan") == std::string::npos);
}

TEST_CASE("Places are called what their key calls them") {
  CHECK(report::names_of(positions::role({"subject", "end"})) == std::vector<std::string>{"subject", "end"});
  CHECK(report::names_of(positions::from_end(3)) == std::vector<std::string>{"end", "end-1", "end-2"});
  CHECK(report::names_of(positions::absolute(1)) == std::vector<std::string>{"0"});
  CHECK(report::names_of(positions::shared()) == std::vector<std::string>{"all tokens"});
}

TEST_CASE("Text keeps its lines in HTML; a token's white space is seen") {
  CHECK(report::escaped("a <b\nc") == "a &lt;b\nc");
  CHECK(report::escaped_token(" a\n") == "\xC2\xA0" "a\xE2\x86\xB5");
}
