// SPDX-License-Identifier: Apache-2.0

#include "support/catch.hpp"

#include <trimtab/report/table.hpp>

namespace trimtab::test::table_tests {

TEST_CASE("A table lines up its columns, whatever bytes a character takes", "[report]") {
  report::table t({"name", "x"});
  t.add({"a", "1.00"});
  t.rule();
  t.add({"\xCE\xB2", "-10.00"});
  CHECK(t.text() ==
        "name       x\n"
        "--------------\n"
        "a       1.00\n"
        "--------------\n"
        "\xCE\xB2     -10.00\n");
}

TEST_CASE("A row of metrics has a place for every column", "[report]") {
  metrics m;
  m.at[0] = {1.5, 1, 0.5, 0.25};
  m.at[+1] = {2, 0.75, 0.6, 0.2};
  m.logit_diffs[0] = {1, 2, -1, 3};
  parameter_counts counts;
  counts.parameters = 12;
  counts.nonzero_parameters = 3;

  const auto header = report::metrics_header("x");
  const auto row = report::metrics_row("fit", m, counts);
  const auto untouched = report::untouched_row("none", m);
  REQUIRE(row.size() == header.size());
  REQUIRE(untouched.size() == header.size());
  m.prompts = 4;
  m.strengths = {+1};
  m.per_prompt[+1] = {{.logit_diff = 1}, {.logit_diff = 2}, {.logit_diff = 2}, {.logit_diff = 3}};
  const auto intervals = report::intervals_row(m);
  REQUIRE(intervals.size() == header.size());
  CHECK(intervals[1] == "0.30–0.95");
  CHECK(intervals[2] == "-");
  CHECK(intervals[4] == "±0.41");
  CHECK(row[1] == "0.75");
  CHECK(row[2] == "-");  // nothing was measured at -1
  CHECK(row[11] == "3");
  CHECK(row[12] == "12");
  CHECK(untouched[1] == "0.75");
  CHECK(untouched[2] == "0.25");
}

}  // namespace trimtab::test::table_tests
