// SPDX-License-Identifier: Apache-2.0

#include <trimtab/io/files/atomic_file.hpp>
#include <trimtab/io/files/input_file.hpp>

#include "support/catch.hpp"
#include "support/refusal.hpp"
#include "support/temporary_folder.hpp"

#include <csignal>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace trimtab::test::atomic_file_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

std::string content(const std::filesystem::path& path) { return io::input_file(path).text(); }
auto files_in(const std::filesystem::path& path) {
  return std::distance(std::filesystem::directory_iterator(path), std::filesystem::directory_iterator());
}

/// Whether both `require_writable` and writing the file throw this sentence.
bool is_refused(const std::filesystem::path& path, const std::string& sentence) {
  for (const bool only_ask : {false, true}) try {
      only_ask ? io::require_writable(path) : io::write_file_atomically(path, "new");
      return false;
    } catch (const error& problem) {
      if (problem.what() != "cannot write '" + path.string() + "': " + sentence) return false;
    }
  return true;
}

/// Runs `call()` in a child process, as the user nobody if this is root, who may write everywhere; returns its result.
int wrong_for_nobody(const std::function<int()>& call) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(::geteuid() == 0 and ::setuid(65534) != 0 ? 100 : call());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

TEST_CASE("A file is written whole and replaced whole, and nothing else is left in its folder") {
  const auto folder = temporary_folder();
  const auto path = folder.path() / "a.txt";
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

TEST_CASE("A temporary file left by a process with the same id is neither used nor changed") {
  const auto folder = temporary_folder();
  const auto left = [](int serial) {
    return ".trimtab-" + std::to_string(::getpid()) + "-" + std::to_string(serial) + ".tmp";
  };
  for (int serial = 0; serial < 1000; ++serial) std::ofstream(folder.path() / left(serial)) << "theirs";
  io::write_file_atomically(folder.path() / "a", "mine");
  CHECK(content(folder.path() / "a") == "mine");
  CHECK(files_in(folder.path()) == 1001);
  CHECK(content(folder.path() / left(999)) == "theirs");
}

TEST_CASE("A name without a folder is a file of the current folder") {
  const auto folder = temporary_folder();
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  io::write_file_atomically("plain.txt", "x");
  std::filesystem::current_path(before);
  CHECK(content(folder.path() / "plain.txt") == "x");
}

TEST_CASE("A symbolic link stays one, and what it points to is written") {
  const auto folder = temporary_folder();
  folder.file("real", "old");
  std::filesystem::create_symlink("real", folder.path() / "link");
  io::write_file_atomically(folder.path() / "link", "new");
  CHECK(std::filesystem::is_symlink(folder.path() / "link"));
  CHECK(content(folder.path() / "real") == "new");
}

TEST_CASE("A symbolic link to nothing makes the file that it points to") {
  const auto folder = temporary_folder();
  std::filesystem::create_directory(folder.path() / "sub");
  std::filesystem::create_symlink("sub/second", folder.path() / "first");
  std::filesystem::create_symlink("third", folder.path() / "sub" / "second");
  io::write_file_atomically(folder.path() / "first", "new");
  CHECK(std::filesystem::is_symlink(folder.path() / "first"));
  CHECK(std::filesystem::is_symlink(folder.path() / "sub" / "second"));
  CHECK(content(folder.path() / "sub" / "third") == "new");

  std::filesystem::create_symlink("circle", folder.path() / "circle");
  CHECK_THAT(refusal(error_kind::io, [&] { io::write_file_atomically(folder.path() / "circle", "x"); }),
             ContainsSubstring("circle': Too many levels of symbolic links"));
}

TEST_CASE("A new file has the mode that the umask leaves") {
  const auto folder = temporary_folder();
  const auto old = ::umask(027);
  io::write_file_atomically(folder.path() / "a", "x");
  ::umask(old);
  CHECK(std::filesystem::status(folder.path() / "a").permissions() == std::filesystem::perms(0640));
}

TEST_CASE("Without permission nothing is written, and the sentence says so") {
  const auto folder = temporary_folder();
  const auto closed = folder.path() / "closed";
  std::filesystem::create_directory(closed);
  folder.file("closed/a", "old");
  folder.file("read-only", "old");
  ::chmod((folder.path() / "read-only").c_str(), 0444);
  ::chmod(closed.c_str(), 0555);
  ::chmod(folder.path().c_str(), 0777);
  CHECK(wrong_for_nobody([&] {
          const std::string sentence = "Permission denied; write to a folder where you have permission";
          int wrong = 0;
          for (const auto& path : {folder.path() / "read-only", closed / "a", closed / "b"})
            wrong += not is_refused(path, sentence);
          return wrong;
        }) == 0);
  ::chmod(closed.c_str(), 0755);
  CHECK(content(folder.path() / "read-only") == "old");
  CHECK(content(closed / "a") == "old");
  CHECK(files_in(closed) == 1);
  CHECK(files_in(folder.path()) == 2);
}

TEST_CASE("In a sticky folder require_writable refuses another user's file but not one's own") {
  const auto folder = temporary_folder();
  const auto theirs = folder.file("theirs", "old"), mine = folder.path() / "mine";
  ::chmod(theirs.c_str(), 0666);
  ::chmod(folder.path().c_str(), 01777);
  const bool is_root = ::geteuid() == 0;
  CHECK(wrong_for_nobody([&] {
          for (int i = 0; i < 2; ++i) {  // first a new file, then an existing one
            io::require_writable(mine);
            io::write_file_atomically(mine, "new");
          }
          return is_root and
                         not is_refused(theirs, "Operation not permitted; write to a folder where you have permission")
                     ? 1
                     : 0;
        }) == 0);
  CHECK(content(theirs) == "old");
  CHECK(content(mine) == "new");
  io::require_writable(mine);  // as root or as its owner
  CHECK(files_in(folder.path()) == 2);
}

TEST_CASE("Processes that write one file at once leave the whole of one of them") {
  const auto folder = temporary_folder();
  const auto path = folder.path() / "a";
  std::vector<pid_t> children;
  for (char letter = 'a'; letter < 'e'; ++letter) {
    children.push_back(::fork());
    if (children.back() != 0) continue;
    const std::string text(100'000, letter);
    for (int i = 0; i < 25; ++i) io::write_file_atomically(path, text);
    ::_exit(0);
  }
  int running = static_cast<int>(children.size()), seen = 0;
  while (running > 0) {
    int status = 0;
    if (::waitpid(-1, &status, WNOHANG) > 0) {
      CHECK(status == 0);
      --running;
    }
    if (not std::filesystem::exists(path)) continue;
    const auto text = content(path);
    const bool whole = text.size() == 100'000 and text.find_first_not_of(text[0]) == text.npos;
    CHECK(whole);
    ++seen;
  }
  CHECK(seen > 0);
  CHECK(files_in(folder.path()) == 1);
}

TEST_CASE("require_writable throws before any work") {
  const auto folder = temporary_folder();
  io::require_writable(folder.path() / "new");
  CHECK(files_in(folder.path()) == 0);
  CHECK_THAT(
      refusal(error_kind::io, [&] { io::require_writable(folder.path() / "absent" / "x"); }),
      ContainsSubstring("absent/x': No such file or directory; there is no folder") && ContainsSubstring("absent'"));
  CHECK_THAT(refusal(error_kind::io, [&] { io::require_writable(folder.path()); }),
             ContainsSubstring("it is not a regular file"));
  // Root may write to this folder, but files cannot be made in it.
  CHECK_THAT(refusal(error_kind::io, [&] { io::require_writable("/proc/new"); }),
             ContainsSubstring("cannot write '/proc/new': "));
}

TEST_CASE("What cannot be written is refused with its name and the reason") {
  const auto folder = temporary_folder();
  const auto said = [](const std::filesystem::path& path) {
    return refusal(error_kind::io, [&] { io::write_file_atomically(path, "x"); });
  };
  CHECK_THAT(said(folder.path() / "absent" / "x"), ContainsSubstring("absent/x': No such file or directory"));
  CHECK_THAT(said(folder.path()), ContainsSubstring("it is not a regular file"));
  CHECK_THAT(said(folder.path() / ""), ContainsSubstring("the path has no file name"));
  CHECK_THAT(said(""), ContainsSubstring("the path has no file name"));
  CHECK_THAT(said("/dev/null"), ContainsSubstring("it is not a regular file"));
  CHECK_THAT(said(folder.path() / std::string(300, 'x')), ContainsSubstring("File name too long"));
  folder.file("file", "");
  CHECK_THAT(said(folder.path() / "file" / "x"), ContainsSubstring("Not a directory"));
  CHECK(files_in(folder.path()) == 1);
}

TEST_CASE("When the disk is full the old file stays") {
  const auto folder = temporary_folder();
  const auto path = folder.file("a", "old");
  // With a limit on the size of files, writes fail after a while, as on a full disk.
  struct rlimit old_limit = {};
  ::getrlimit(RLIMIT_FSIZE, &old_limit);
  auto limit = old_limit;
  limit.rlim_cur = 1000;
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  ::setrlimit(RLIMIT_FSIZE, &limit);
  const auto said = refusal(error_kind::io, [&] { io::write_file_atomically(path, std::string(5000, 'x')); });
  ::setrlimit(RLIMIT_FSIZE, &old_limit);
  std::signal(SIGXFSZ, old_handler);
  CHECK_THAT(said, ContainsSubstring("a': File too large"));
  CHECK(content(path) == "old");
  CHECK(files_in(folder.path()) == 1);
}

}  // namespace trimtab::test::atomic_file_tests
