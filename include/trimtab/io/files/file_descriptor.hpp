// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include <unistd.h>

/// An owned POSIX file descriptor, and errors for failed system calls.

namespace trimtab::io {

/// Throws `io`, "cannot open 'x': No such file or directory"; call it at once, because it reads errno.
[[noreturn]] inline void throw_system_error(const std::string& what, const std::string& file) {
  const auto reason = std::generic_category().message(errno);
  throw error(error_kind::io, "cannot " + what + " '" + file + "': " + reason);
}

/// Repeats a system call that a signal interrupted.
template <typename Call>
auto uninterrupted(Call call) {
  auto result = call();
  while (result < 0 and errno == EINTR) result = call();
  return result;
}

class file_descriptor {
 public:
  /// Takes what `open` returned; below 0 means that it failed.
  explicit file_descriptor(int number) : number_(number) {}
  file_descriptor(file_descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  file_descriptor& operator=(file_descriptor other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~file_descriptor() { close(); }

  explicit operator bool() const { return number_ >= 0; }
  int get() const { return number_; }

  /// False where the system could not keep what was written; the file is closed in any case.
  bool close() { return number_ < 0 or ::close(std::exchange(number_, -1)) == 0; }

 private:
  int number_;
};

}  // namespace trimtab::io
