// SPDX-License-Identifier: Apache-2.0

#include <trimtab/io/files/input_file.hpp>

#include "support/catch.hpp"
#include "support/refusal.hpp"
#include "support/temporary_folder.hpp"

#include <array>
#include <utility>

#include <sys/stat.h>

namespace trimtab::test::input_file_tests {

using Catch::Matchers::ContainsSubstring;

TEST_CASE("A file is read whole or in pieces, also when it has moved") {
  const auto folder = temporary_folder();
  auto first = io::input_file(folder.file("a", "hello"));
  auto second = std::move(first);
  CHECK(second.text() == "hello");
  first = io::input_file(folder.file("b", "other"));
  std::swap(first, second);
  CHECK(first.text() == "hello");
  CHECK(second.text() == "other");
  CHECK(second.path() == folder.path() / "b");
  std::array<std::byte, 2> piece = {};
  first.read(3, piece);
  CHECK(piece == std::array{std::byte{'l'}, std::byte{'o'}});
  CHECK(io::input_file(folder.file("empty", "")).text().empty());
}

TEST_CASE("A file that another program shortens is refused where it ends") {
  const auto folder = temporary_folder();
  const auto path = folder.file("a", std::string(10'000, 'x'));
  const auto file = io::input_file(path);
  std::filesystem::resize_file(path, 4'000);
  CHECK(file.size() == 10'000);
  CHECK_THAT(refusal(error_kind::io, [&] { file.text(); }),
             ContainsSubstring("a' ended at byte 4000 while it was read, though it should hold 10000 bytes"));
  std::array<std::byte, 1> piece = {};
  file.read(3'999, piece);
  CHECK_THAT(refusal(error_kind::io, [&] { file.read(4'000, piece); }), ContainsSubstring("ended at byte 4000"));
}

TEST_CASE("Only regular files are read") {
  const auto folder = temporary_folder();
  const auto said = [&](const std::string& name) {
    return refusal(error_kind::io, [&] { io::input_file(folder.path() / name); });
  };
  CHECK_THAT(said("absent"), ContainsSubstring("absent': No such file"));
  CHECK_THAT(said(""), ContainsSubstring("is a folder"));
  ::mkfifo((folder.path() / "pipe").c_str(), 0600);
  CHECK_THAT(said("pipe"), ContainsSubstring("is a pipe or device"));
  CHECK_THAT(refusal(error_kind::io, [] { io::input_file("/dev/null"); }), ContainsSubstring("is a pipe or device"));
  const auto locked = folder.file("locked", "x");
  ::chmod(locked.c_str(), 0);
  if (::geteuid() != 0) CHECK_THAT(said("locked"), ContainsSubstring("Permission denied"));
}

TEST_CASE("What has a name in a folder is present, whether it can be opened or not") {
  const auto folder = temporary_folder();
  CHECK(io::is_present(folder.file("file", "x")));
  CHECK(io::is_present(folder.path()));
  CHECK_FALSE(io::is_present(folder.path() / "absent"));
  CHECK_FALSE(io::is_present(folder.path() / "file" / "within"));
  std::filesystem::create_symlink("nowhere", folder.path() / "dangling");
  std::filesystem::create_symlink("circle", folder.path() / "circle");
  CHECK(io::is_present(folder.path() / "dangling"));
  CHECK(io::is_present(folder.path() / "circle"));
}

}  // namespace trimtab::test::input_file_tests
