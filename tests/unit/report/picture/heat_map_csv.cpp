// SPDX-License-Identifier: Apache-2.0

#include "support/catch.hpp"

#include <trimtab/report/picture/heat_map_csv.hpp>

#include <cmath>

namespace trimtab::test::heat_map_csv_tests {

TEST_CASE("Numbers of heat maps are written in full, names in quotes where they need them", "[report]") {
  const report::fit_report fit{.name = "a, b",
                               .maps = {{"title",
                                         "note",
                                         "alpha",
                                         {{.title = "attn_out",
                                           .rows = {"3"},
                                           .columns = {",", "\""},
                                           .values = {{0.1, std::nan("")}},
                                           .places = {1, 0}}}}}};
  CHECK(report::csv_of({fit}) ==
        "fit,quantity,site,layer,place,token,value\n"
        "\"a, b\",alpha,attn_out,3,1,\",\",0.1\n"
        "\"a, b\",alpha,attn_out,3,0,\"\"\"\",\n");
}

TEST_CASE("Maps of one quantity are told apart by what they are of", "[report]") {
  const report::heat_map map{.title = "mlp_out", .rows = {"0"}, .columns = {"a"}, .values = {{2}}, .places = {0}};
  const report::fit_report fit{
      .name = "f", .maps = {{"g(h) on prompt 1", "", "gate", {map}}, {"g(h) on prompt 2", "", "gate", {map}}}};
  CHECK(report::csv_of({fit}) ==
        "fit,quantity,site,layer,place,token,value\n"
        "f,\"gate, g(h) on prompt 1\",mlp_out,0,0,a,2\n"
        "f,\"gate, g(h) on prompt 2\",mlp_out,0,0,a,2\n");
}

}  // namespace trimtab::test::heat_map_csv_tests
