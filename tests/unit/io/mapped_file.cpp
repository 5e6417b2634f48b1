// SPDX-License-Identifier: Apache-2.0

#include <trimtab/io/mapped_file.hpp>

#include "support/catch.hpp"
#include "support/refusal.hpp"
#include "support/temporary_folder.hpp"

#include <utility>

#include <sys/stat.h>

using namespace trimtab;
using namespace trimtab::test;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("A mapped file shows the bytes of its file, also when it has moved") {
  auto const folder = temporary_folder();
  auto first = io::mapped_file(folder.file("a", "hello"));
  auto second = std::move(first);
  CHECK(second.text() == "hello");
  CHECK(first.bytes().empty());
  first = io::mapped_file(folder.file("b", "other"));
  std::swap(first, second);
  CHECK(first.text() == "hello");
  CHECK(second.text() == "other");
  CHECK(second.path() == folder.path() / "b");
  CHECK(io::mapped_file(folder.file("empty", "")).bytes().empty());
}

TEST_CASE("Only regular files are mapped") {
  auto const folder = temporary_folder();
  auto const said = [&](std::string const& name) {
    return refusal(error_kind::io, [&] { io::mapped_file(folder.path() / name); });
  };
  CHECK_THAT(said("absent"), ContainsSubstring("absent': No such file"));
  CHECK_THAT(said(""), ContainsSubstring("is a folder"));
  ::mkfifo((folder.path() / "pipe").c_str(), 0600);
  CHECK_THAT(said("pipe"), ContainsSubstring("is a pipe or device"));
  CHECK_THAT(refusal(error_kind::io, [] { io::mapped_file("/dev/null"); }), ContainsSubstring("is a pipe or device"));
  auto const locked = folder.file("locked", "x");
  ::chmod(locked.c_str(), 0);
  if (::geteuid() != 0) CHECK_THAT(said("locked"), ContainsSubstring("Permission denied"));
}
