// SPDX-License-Identifier: Apache-2.0

#include "support/catch.hpp"

#include <trimtab/report/picture/heat_map.hpp>

#include <cmath>

namespace trimtab::test::heat_map_tests {

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

TEST_CASE("A heat map shows a single number with its sign, and a vector by its norm", "[report]") {
  const parameters scalars = two_layers_of(1, {0, -2, 3, 0.5});
  const auto map = report::map_of(scalars, scalars.layout.blocks[0], {" a", "b"});
  CHECK(map.rows == std::vector<std::string>{"1", "4"});
  CHECK(map.columns == std::vector<std::string>{" a", "b"});
  CHECK(map.values == std::vector<std::vector<double>>{{0, -2}, {3, 0.5}});

  const parameters vectors = two_layers_of(2, {3, -4, 0, 0, 1, 0, 0, 2});
  CHECK(report::map_of(vectors, vectors.layout.blocks[0]).values == std::vector<std::vector<double>>{{5, 0}, {1, 2}});
}

TEST_CASE("A record of several parameters has a map for each") {
  const parameters p = two_layers_of(3, {1, 3, -4, 0, 0, 0, 5, 0, 0, -7, 0, 2});
  const auto& block = p.layout.blocks[0];
  CHECK(report::map_of(p, block, {"alpha", 0, 1}).values == std::vector<std::vector<double>>{{1, 0}, {5, -7}});
  CHECK(report::map_of(p, block, {"vector", 1, 2}).values == std::vector<std::vector<double>>{{5, 0}, {0, 2}});
}

TEST_CASE("Places that are counted from the end stand in the order of reading, and know which they are") {
  parameters p = two_layers_of(1, {1, 2, 3, 4});
  p.layout.blocks[0].positions = positions::from_end(2);
  const auto key = p.layout.blocks[0].positions;
  const auto map = report::in_reading_order(report::map_of(p, p.layout.blocks[0]), key);
  CHECK(map.columns == std::vector<std::string>{"end-1", "end"});
  CHECK(map.values == std::vector<std::vector<double>>{{2, 1}, {4, 3}});
  CHECK(map.place(0) == 1);
  CHECK(map.place(1) == 0);
}

TEST_CASE("Maps that are compared have the scale of the number furthest from their centre") {
  const report::heat_map a{.values = {{1, 0.25}, {std::nan(""), 1.5}}, .centre = 1},
      b{.values = {{1.125}}, .centre = 1};
  CHECK(report::map_group{.maps = {a, b}}.reach() == 0.75);
  CHECK(report::map_group{}.reach() == 0);
}

TEST_CASE("Places are called what their key calls them") {
  CHECK(report::names_of(positions::role({"subject", "end"})) == std::vector<std::string>{"subject", "end"});
  CHECK(report::names_of(positions::from_end(3)) == std::vector<std::string>{"end", "end-1", "end-2"});
  CHECK(report::names_of(positions::absolute(1)) == std::vector<std::string>{"0"});
  CHECK(report::names_of(positions::shared()) == std::vector<std::string>{"all tokens"});
}

TEST_CASE("A wide map is cut into pieces whose columns keep their places", "[report]") {
  const report::heat_map map{.title = "m",
                             .rows = {"0"},
                             .columns = {"a", "b", "c", "d", "e"},
                             .values = {{1, 2, 3, 4, 5}},
                             .centre = 1,
                             .words = {{"v", "w", "x", "y", "z"}},
                             .reach = 7};
  const auto pieces = report::pieces_of(map, 2);
  REQUIRE(pieces.size() == 3);
  CHECK(pieces[1].columns == std::vector<std::string>{"c", "d"});
  CHECK(pieces[1].values == std::vector<std::vector<double>>{{3, 4}});
  CHECK(pieces[1].words == std::vector<std::vector<std::string>>{{"x", "y"}});
  CHECK(pieces[2].place(0) == 4);
  CHECK((pieces[2].centre == 1 and pieces[2].reach == 7));
  CHECK(report::pieces_of(map, 5).size() == 1);
  // Places counted from the end stay what they are.
  auto turned = map;
  turned.places = {9, 8, 7, 6, 5};
  CHECK(report::pieces_of(turned, 2)[1].place(0) == 7);
}

TEST_CASE("The maps of one site stand beside each other, on one scale or each on its own", "[report]") {
  const auto group_of = [](double a, double b) {
    return report::map_group{"g",
                             "",
                             "q",
                             {{.title = "attn_out", .rows = {"0"}, .columns = {"t"}, .values = {{a}}},
                              {.title = "mlp_out", .rows = {"0"}, .columns = {"t"}, .values = {{b}}}}};
  };
  const std::vector<report::named_group> groups{{"one", group_of(1, -2)}, {"two", group_of(3, 0.5)}};
  const auto own = report::by_site(groups, report::map_scales::own);
  REQUIRE(own.size() == 2);
  CHECK(own[0].title == "attn_out");
  CHECK((own[0].maps[0].title == "attn_out, one" and own[0].maps[1].title == "attn_out, two"));
  CHECK((own[0].reach_of(own[0].maps[0]) == 2 and own[1].reach_of(own[1].maps[1]) == 3));
  CHECK_FALSE(own[0].has_one_scale());
  const auto shared = report::by_site(groups, report::map_scales::shared);
  for (const auto& site : shared) {
    CHECK(site.has_one_scale());
    CHECK(site.reach_of(site.maps[0]) == 3);
  }
}

}  // namespace trimtab::test::heat_map_tests
