// SPDX-License-Identifier: Apache-2.0

#include <trimtab/report/terminal/progress.hpp>

#include "support/catch.hpp"

namespace trimtab::test::progress_tests {

using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;

TEST_CASE("Times read as a clock does", "[report]") {
  CHECK(report::duration(0) == "0:00");
  CHECK(report::duration(6.2) == "0:07");
  CHECK(report::duration(750) == "12:30");
  CHECK(report::duration(11100) == "3:05:00");
  CHECK(report::duration(1e300).size() < 20);
}

TEST_CASE("A progress line shows how far, how fast and how long", "[report]") {
  const auto line = [](index_t done, double seconds) {
    return report::progress_line("fit", done, 120, seconds, "loss 0.31", 200);
  };
  CHECK_THAT(line(60, 4), EndsWith(" 60/120  15/s  0:04 left  loss 0.31"));
  CHECK_THAT(line(6, 2), ContainsSubstring("3.0/s  0:38 left"));
  CHECK_THAT(line(2, 5), ContainsSubstring("2.5 s each  4:55 left"));
  CHECK_THAT(line(0, 5), EndsWith(" 0/120  loss 0.31"));  // no rate is known yet
  CHECK_THAT(line(120, 8), ContainsSubstring("0:00 left"));

  const auto filled = [&](index_t done) {
    int count = 0;
    const auto text = line(done, 1);
    for (auto at = text.find("\xE2\x96\x88"); at != text.npos; at = text.find("\xE2\x96\x88", at + 1)) ++count;
    return count;
  };
  CHECK(filled(0) == 0);
  CHECK(filled(60) == 12);
  CHECK(filled(120) == 24);
}

TEST_CASE("A progress line never wraps, and is cut between characters", "[report]") {
  CHECK(report::progress_line("fit", 1, 2, 1, "", 5) == "fit \xE2\x96\x88");
  CHECK(report::progress_line("fit", 1, 2, 1, "", 3) == "fit");
}

}  // namespace trimtab::test::progress_tests
