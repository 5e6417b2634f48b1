// SPDX-License-Identifier: Apache-2.0
#include <trimtab/io/sweep_folder.hpp>

#include "support/refusal.hpp"
#include "support/small_intervention.hpp"
#include "support/temporary_folder.hpp"

#include <filesystem>

namespace trimtab::test::sweep_folder_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

intervention_file found() {
  return small_intervention("activ-scalar", positions::from_end(2), {{"mlp_out.alpha", {{1, 2}, {0.5, 0}}}});
}

}  // namespace

TEST_CASE("The folder of a sweep keeps finished points for its next run") {
  const temporary_folder temporary;
  const auto path = temporary.path() / "a" / "sweep";
  const fit_facts asked{{"lambda-m", "0.1,0.01"}, {"model", "small"}};
  {
    const io::sweep_folder folder(path, asked);
    CHECK(not folder.figures(0));
    folder.write(1, found(), "{\"z\": 1, \"a\": 0.1}\n");
  }
  const io::sweep_folder again(path, asked);
  CHECK(not again.figures(0));
  CHECK(again.figures(1) == "{\"z\": 1, \"a\": 0.1}\n");
  CHECK(again.intervention(1).interventions == found().interventions);
  CHECK(again.file("point", 12, ".json").filename() == "point-0012.json");
}

TEST_CASE("A sweep says what differs from the one in its folder") {
  const temporary_folder temporary;
  const auto path = temporary.path() / "sweep";
  const io::sweep_folder folder(path, {{"lambda-m", "0.1,0.01"}, {"steps", "10"}});
  CHECK_THAT(refusal(error_kind::mismatch,
                     [&] {
                       io::sweep_folder(path, {{"lambda-m", "0.1,0.02"}, {"seed", "1"}});
                     }),
             ContainsSubstring("lambda-m was 0.1,0.01 and is now 0.1,0.02; seed was nothing and is now 1; steps was 10 "
                               "and is now nothing; give another folder"));
  CHECK_NOTHROW(io::sweep_folder(path, {{"lambda-m", "0.1,0.01"}, {"steps", "10"}}));
}

TEST_CASE("A folder that is no sweep's is refused, and what a killed sweep leaves is not in the way") {
  const temporary_folder temporary;
  temporary.file(".trimtab-1-0.tmp", "half a fi");
  CHECK_NOTHROW(io::sweep_folder(temporary.path(), {}));

  const temporary_folder other;
  other.file("thesis.tex", "");
  CHECK_THAT(refusal(error_kind::mismatch, [&] { io::sweep_folder(other.path(), {}); }),
             ContainsSubstring("holds 'thesis.tex' and no sweep"));
  const auto file = other.file("file", "");
  CHECK_THAT(refusal(error_kind::io, [&] { io::sweep_folder(file, {}); }), ContainsSubstring("cannot make the folder"));
}

TEST_CASE("A folder that is only read says how long its paths are") {
  const temporary_folder temporary;
  const auto path = temporary.path() / "path";
  const fit_facts asked{{"path", io::sweep_folder::path_text(20, "0.001")}};
  CHECK(io::sweep_folder(path, asked).path_values() == 20);
  CHECK(io::sweep_folder(path).path_values() == 20);
  const auto grid = temporary.path() / "grid";
  CHECK(io::sweep_folder(grid, {{"steps", "3"}}).path_values() == 0);
  CHECK(io::sweep_folder(grid).path_values() == 0);
  const auto none = temporary.path() / "none";
  CHECK_THAT(refusal(error_kind::mismatch, [&] { io::sweep_folder{none}; }), ContainsSubstring("it has no sweep.json"));
  CHECK(not std::filesystem::exists(none));
  temporary.file("sweep.json", "{\"format\": \"trimtab-sweep-1\", \"asked\": {\"path\": \"many\"}}");
  CHECK_THAT(refusal(error_kind::bad_file, [&] { io::sweep_folder{temporary.path()}; }),
             ContainsSubstring("does not begin with a number"));
}

TEST_CASE("Files of a sweep that are no longer whole are named") {
  const temporary_folder temporary;
  const io::sweep_folder folder(temporary.path(), {});
  temporary.file("point-0003.json", "{\"nonzero\":");
  CHECK_THAT(refusal(error_kind::bad_file, [&] { folder.figures(3); }), ContainsSubstring("point-0003.json"));
  for (const auto content : {"[]", "{}", "{\"format\": \"trimtab-sweep-9\", \"asked\": {}}",
                             "{\"format\": \"trimtab-sweep-1\", \"asked\": {\"steps\": 3}}"}) {
    CAPTURE(content);
    temporary.file("sweep.json", content);
    CHECK_THAT(refusal(error_kind::bad_file, [&] { io::sweep_folder(temporary.path(), {}); }),
               ContainsSubstring("sweep.json"));
  }
}

}  // namespace trimtab::test::sweep_folder_tests
