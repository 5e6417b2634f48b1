// SPDX-License-Identifier: Apache-2.0

#include <trimtab/io/atomic_file.hpp>
#include <trimtab/io/mapped_file.hpp>

#include "support/catch.hpp"
#include "support/refusal.hpp"
#include "support/temporary_folder.hpp"

#include <csignal>
#include <iterator>

#include <sys/resource.h>
#include <sys/stat.h>

using namespace trimtab;
using namespace trimtab::test;
using Catch::Matchers::ContainsSubstring;

namespace {

std::string content(std::filesystem::path const& path) { return std::string(io::mapped_file(path).text()); }
auto files_in(std::filesystem::path const& path) {
  return std::distance(std::filesystem::directory_iterator(path), std::filesystem::directory_iterator());
}

}  // namespace

TEST_CASE("A file is written whole and replaced whole, and nothing else is left in its folder") {
  auto const folder = temporary_folder();
  auto const path = folder.path() / "a.txt";
  io::write_file_atomically(path, "first");
  CHECK(content(path) == "first");
  ::chmod(path.c_str(), 0640);
  io::write_file_atomically(path, "");
  CHECK(content(path).empty());
  struct stat status = {};
  ::stat(path.c_str(), &status);
  CHECK((status.st_mode & 0777) == 0640);
  CHECK(files_in(folder.path()) == 1);
}

TEST_CASE("A name without a folder is a file of the current folder") {
  auto const folder = temporary_folder();
  auto const before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  io::write_file_atomically("plain.txt", "x");
  std::filesystem::current_path(before);
  CHECK(content(folder.path() / "plain.txt") == "x");
}

TEST_CASE("A symbolic link stays one, and what it points to is written") {
  auto const folder = temporary_folder();
  folder.file("real", "old");
  std::filesystem::create_symlink("real", folder.path() / "link");
  io::write_file_atomically(folder.path() / "link", "new");
  CHECK(std::filesystem::is_symlink(folder.path() / "link"));
  CHECK(content(folder.path() / "real") == "new");
}

TEST_CASE("What cannot be written is refused with its name and the reason") {
  auto const folder = temporary_folder();
  auto const said = [](std::filesystem::path const& path) {
    return refusal(error_kind::io, [&] { io::write_file_atomically(path, "x"); });
  };
  CHECK_THAT(said(folder.path() / "absent" / "x"), ContainsSubstring("absent/x': No such file or directory"));
  CHECK_THAT(said(folder.path()), ContainsSubstring("no regular file"));
  CHECK_THAT(said(folder.path() / ""), ContainsSubstring("names no file"));
  CHECK_THAT(said(""), ContainsSubstring("names no file"));
  CHECK_THAT(said("/dev/null"), ContainsSubstring("no regular file"));
  CHECK_THAT(said(folder.path() / std::string(300, 'x')), ContainsSubstring("File name too long"));
  folder.file("file", "");
  CHECK_THAT(said(folder.path() / "file" / "x"), ContainsSubstring("Not a directory"));
  CHECK(files_in(folder.path()) == 1);
}

TEST_CASE("When the disk is full the old file stays") {
  auto const folder = temporary_folder();
  auto const path = folder.file("a", "old");
  // A limit on the size of files refuses writes as a full disk does, after some of them.
  struct rlimit old_limit = {};
  ::getrlimit(RLIMIT_FSIZE, &old_limit);
  auto limit = old_limit;
  limit.rlim_cur = 1000;
  auto const old_handler = std::signal(SIGXFSZ, SIG_IGN);
  ::setrlimit(RLIMIT_FSIZE, &limit);
  auto const said = refusal(error_kind::io, [&] { io::write_file_atomically(path, std::string(5000, 'x')); });
  ::setrlimit(RLIMIT_FSIZE, &old_limit);
  std::signal(SIGXFSZ, old_handler);
  CHECK_THAT(said, ContainsSubstring("a': File too large"));
  CHECK(content(path) == "old");
  CHECK(files_in(folder.path()) == 1);
}
