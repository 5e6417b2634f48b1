// SPDX-License-Identifier: Apache-2.0

#include <trimtab/report/terminal/terminal_map.hpp>

#include "support/catch.hpp"

#include <limits>

namespace trimtab::test::terminal_map_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

report::heat_map some_map() {
  return {.title = "attn_out",
          .rows = {"0", "11"},
          .columns = {"The", " king", "."},
          .values = {{0, -2, 0.5}, {3, 1e-9, -1e-9}}};
}

}  // namespace

TEST_CASE("A map in a terminal has a sign and a size for each place, the highest layer on top", "[report]") {
  CHECK(report::text_of(some_map()) ==
        "attn_out\n"
        "11  +9 +0 -0\n"
        " 0   \xC2\xB7 -6 +2\n"
        "    The  king .   9 is 3, \xC2\xB7 is exactly 0\n");
}

TEST_CASE("Colours are added to the characters and replace none", "[report]") {
  const auto coloured = report::text_of(some_map(), true);
  CHECK_THAT(coloured, ContainsSubstring("48;5;"));
  CHECK(report::plain(coloured) == report::text_of(some_map()));
  // The largest number is deep red, its opposite deep blue, one near zero white.
  CHECK(report::detail::cell_style(3, 3) == "38;5;16;48;5;210");
  CHECK(report::detail::cell_style(-3, 3) == "38;5;16;48;5;105");
  CHECK(report::detail::cell_style(1e-9, 3) == "38;5;16;48;5;231");
}

TEST_CASE("Many places have numbers, which a list names", "[report]") {
  const report::heat_map map{.title = "mlp_out",
                             .rows = {"0"},
                             .columns = {"0", "1 [io 52 %, s1 48 %]", "c", "d", "e", "f", "end"},
                             .values = {{1, 1, 1, 1, 1, 1, 1}}};
  CHECK(report::text_of(map, false, 40) ==
        "mlp_out\n"
        "0  +9 +9 +9 +9 +9 +9 +9\n"
        "    0  1  2  3  4  5  6\n"
        "   0  1 [io 52 %, s1 48 %]  2 c  3 d\n"
        "   4 e  5 f  6 end\n"
        "   9 is 1, \xC2\xB7 is exactly 0\n");
}

TEST_CASE("A map that is too wide goes on below", "[report]") {
  CHECK(report::text_of(some_map(), false, 9) ==
        "attn_out\n"
        "11  +9 +0\n"
        " 0   \xC2\xB7 -6\n"
        "     0  1\n"
        "11  -0\n"
        " 0  +2\n"
        "     2\n"
        "    0 The\n"
        "    1  king\n"
        "    2 .\n"
        "    9 is 3, \xC2\xB7 is exactly 0\n");
}

TEST_CASE("A map of zeros, and of numbers that are none, can be drawn", "[report]") {
  auto map = some_map();
  map.values = {{0, 0, 0}, {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(), 1}};
  CHECK_THAT(report::text_of(map), ContainsSubstring("11   ?  ? +9\n"));
}

TEST_CASE("What steers a terminal is shown and not obeyed", "[report]") {
  auto map = some_map();
  map.columns[1] = "\x1b[31m\nking";
  const auto text = report::text_of(map);
  CHECK_THAT(text, ContainsSubstring("The \xEF\xBF\xBD[31m\xEF\xBF\xBDking ."));
  CHECK(text.find('\x1b') == text.npos);
}

TEST_CASE("Rows may be named by tokens, whose letters may take several bytes", "[report]") {
  const report::heat_map map{
      .title = "head 0.1", .rows = {"␣b", "a"}, .columns = {"a", "␣b"}, .values = {{1, 0.5}, {1, 0}}};
  CHECK(report::text_of(map) ==
        "head 0.1\n"
        " a  +9  \xC2\xB7\n"
        "␣b  +9 +5\n"
        "    a ␣b   9 is 1, \xC2\xB7 is exactly 0\n");
}

TEST_CASE("Maps of a group share a scale", "[report]") {
  auto larger = some_map();
  larger.title = "mlp_out";
  larger.values = {{0, 0, 0}, {0, 6, 0}};
  CHECK(report::text_of(report::map_group{.maps = {some_map(), larger}}) ==
        "\nattn_out\n"
        "11  +5 +0 -0\n"
        " 0   \xC2\xB7 -3 +1\n"
        "    The  king .   9 is 6, \xC2\xB7 is exactly 0\n"
        "\nmlp_out\n"
        "11   \xC2\xB7 +9  \xC2\xB7\n"
        " 0   \xC2\xB7  \xC2\xB7  \xC2\xB7\n"
        "    The  king .   9 is 6, \xC2\xB7 is exactly 0\n");
}

}  // namespace trimtab::test::terminal_map_tests
