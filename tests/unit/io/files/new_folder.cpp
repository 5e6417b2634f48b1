// SPDX-License-Identifier: Apache-2.0

#include <trimtab/io/files/new_folder.hpp>

#include "support/catch.hpp"
#include "support/refusal.hpp"
#include "support/temporary_folder.hpp"

#include <set>

namespace trimtab::test::new_folder_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

std::set<std::string> names_in(const std::filesystem::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) names.insert(entry.path().filename());
  return names;
}

}  // namespace

TEST_CASE("A new folder appears when it is given its name, and not before") {
  const temporary_folder around;
  const auto name = around.path() / "out";
  {
    io::new_folder folder(name);
    io::write_file_atomically(folder.path() / "a", "1");
    CHECK_FALSE(std::filesystem::exists(name));
    CHECK_THAT(folder.path().filename().string(), Catch::Matchers::StartsWith("out.partial-"));
    folder.give_name();
    CHECK(names_in(name) == std::set<std::string>{"a"});
  }
  CHECK(names_in(around.path()) == std::set<std::string>{"out"});
}

TEST_CASE("A folder that is not given its name leaves nothing") {
  const temporary_folder around;
  { io::write_file_atomically(io::new_folder(around.path() / "out").path() / "a", "1"); }
  CHECK(names_in(around.path()).empty());
}

TEST_CASE("An empty folder is replaced, also behind a link and with a slash, and one with files is refused") {
  const temporary_folder around;
  const auto name = around.path() / "out";
  std::filesystem::create_directory(name);
  std::filesystem::create_directory_symlink("out", around.path() / "link");
  {
    io::new_folder folder(around.path() / "link/");
    io::write_file_atomically(folder.path() / "a", "1");
    folder.give_name();
  }
  CHECK(std::filesystem::is_symlink(around.path() / "link"));
  CHECK(names_in(name) == std::set<std::string>{"a"});
  CHECK_THAT(refusal(error_kind::mismatch, [&] { io::new_folder{name}; }),
             ContainsSubstring("holds files already; give a folder that is new or empty"));
  CHECK_THAT(refusal(error_kind::io, [&] { io::new_folder{name / "a"}; }), ContainsSubstring("it is not a folder"));
  CHECK_THAT(refusal(error_kind::io, [&] { io::new_folder{around.path() / "none" / "out"}; }),
             ContainsSubstring("there is no folder"));
}

TEST_CASE("A folder that was filled meanwhile is kept") {
  const temporary_folder around;
  const auto name = around.path() / "out";
  io::new_folder folder(name);
  std::filesystem::create_directory(name);
  io::write_file_atomically(name / "theirs", "1");
  refusal(error_kind::mismatch, [&] { folder.give_name(); });
  CHECK(names_in(name) == std::set<std::string>{"theirs"});
}

TEST_CASE("What a killed program left is removed, and what another one writes is not") {
  const temporary_folder around;
  std::filesystem::create_directory(around.path() / "out.partial-1-0");
  io::write_file_atomically(around.path() / "out.partial-1-0" / "a", "1");
  std::filesystem::create_directory(around.path() / "other.partial-1-0");
  const io::new_folder first(around.path() / "out"), second(around.path() / "out");
  CHECK(names_in(around.path()) ==
        std::set<std::string>{"other.partial-1-0", first.path().filename(), second.path().filename()});
}

}  // namespace trimtab::test::new_folder_tests
