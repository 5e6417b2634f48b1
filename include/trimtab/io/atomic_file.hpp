// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/io/file_descriptor.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <sys/stat.h>

/// Writing a file so that at every moment, power failure included, its name holds either the old content or the new
/// one: write beside it under another name, fsync, rename over it, fsync the folder.

namespace trimtab::io {

namespace detail {

/// A new empty file in `folder` that removes itself unless it got its final name.
class temporary_file {
 public:
  /// `target` is only named in errors.
  temporary_file(std::filesystem::path const& folder, std::string target) : target_(std::move(target)) {
    static std::atomic<unsigned> serial = 0;
    do {
      path_ = folder / (".trimtab-" + std::to_string(::getpid()) + "-" + std::to_string(serial++) + ".tmp");
      file_ = file_descriptor(::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    } while (not file_ and errno == EEXIST);
    if (not file_) throw_system_error("write", target_);
  }
  temporary_file(temporary_file const&) = delete;
  temporary_file& operator=(temporary_file const&) = delete;
  ~temporary_file() {
    if (not renamed_) ::unlink(path_.c_str());
  }

  void write(std::span<std::byte const> bytes) {
    while (not bytes.empty()) {
      auto const written = ::write(file_.get(), bytes.data(), std::min(bytes.size(), std::size_t{1} << 30));
      if (written < 0 and errno != EINTR) throw_system_error("write", target_);
      if (written > 0) bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
  }
  void take_mode(mode_t mode) {
    if (::fchmod(file_.get(), mode & 07777) != 0) throw_system_error("write", target_);
  }
  void rename_to(std::filesystem::path const& path) {
    if (::fsync(file_.get()) != 0 or not file_.close()) throw_system_error("write", target_);
    if (std::rename(path_.c_str(), path.c_str()) != 0) throw_system_error("write", target_);
    renamed_ = true;
  }

 private:
  std::string target_;
  std::filesystem::path path_ = {};
  file_descriptor file_ = file_descriptor(-1);
  bool renamed_ = false;
};

}  // namespace detail

/// Makes `bytes` the content of the file at `path`; a file that stands there is replaced whole or, on any error, kept.
/// Follows a symbolic link, keeps the mode of an existing file, and refuses to put a file in place of a folder or
/// device.
inline void write_file_atomically(std::filesystem::path const& path, std::span<std::byte const> bytes) {
  auto const name = path.string();
  if (not path.has_filename()) throw error(error_kind::io, "cannot write '" + name + "': it names no file");
  std::error_code failed;
  auto target = std::filesystem::weakly_canonical(path, failed);
  if (failed) throw error(error_kind::io, "cannot write '" + name + "': " + failed.message());
  auto folder = target.parent_path();
  if (folder.empty()) folder = ".";

  struct stat old = {};
  bool const exists = ::stat(target.c_str(), &old) == 0;
  if (exists and not S_ISREG(old.st_mode))
    throw error(error_kind::io, "cannot write '" + name + "': something that is no regular file has this name");
  auto temporary = detail::temporary_file(folder, name);
  if (exists) temporary.take_mode(old.st_mode);
  temporary.write(bytes);
  temporary.rename_to(target);

  // The rename itself lasts only when the folder is on the disk. Some file systems cannot sync a folder: EINVAL.
  auto const directory = file_descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory and ::fsync(directory.get()) != 0 and errno != EINVAL) throw_system_error("write", name);
}

inline void write_file_atomically(std::filesystem::path const& path, std::string_view text) {
  write_file_atomically(path, std::as_bytes(std::span(text.data(), text.size())));
}

}  // namespace trimtab::io
