// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/io/files/atomic_file.hpp>
#include <trimtab/io/files/file_descriptor.hpp>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <string>
#include <system_error>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/// A folder that is there with all its files or not at all: they are written into `NAME.partial-...` beside it, which
/// gets the name at the end. A program that was killed meanwhile leaves only that, and the next one removes it.

namespace trimtab::io {

class new_folder {
 public:
  /// Throws `mismatch` where `name` is a folder with something in it, and `io`.
  explicit new_folder(const std::filesystem::path& name) : asked_for_(name) {
    std::error_code failed;
    target_ = link_target(name.has_filename() ? name : name.parent_path(), failed);
    if (failed) errno = failed.value(), detail::refuse_write(asked_for_);
    require_empty();
    remove_leftovers();
    make();
  }
  new_folder(const new_folder&) = delete;
  new_folder& operator=(const new_folder&) = delete;
  ~new_folder() {
    std::error_code ignored;
    if (not has_name_) std::filesystem::remove_all(path_, ignored);
  }

  /// Where its files are to be written now.
  const std::filesystem::path& path() const { return path_; }

  /// Gives it its name. Files must have been flushed. Throws `io`.
  void give_name() {
    require_empty();
    if (uninterrupted([&] { return ::fsync(lock_.get()); }) != 0 and errno != EINVAL) detail::refuse_write(asked_for_);
    if (std::rename(path_.c_str(), target_.c_str()) != 0) detail::refuse_write(asked_for_);
    has_name_ = true;
    if (const auto around = open_folder(parent())) ::fsync(around.get());
  }

 private:
  static file_descriptor open_folder(const std::filesystem::path& path) {
    return file_descriptor(uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  }
  std::filesystem::path parent() const { return target_.has_parent_path() ? target_.parent_path() : "."; }
  std::string beginning() const { return target_.filename().string() + ".partial-"; }

  void require_empty() const {
    std::error_code failed;
    if (not std::filesystem::exists(std::filesystem::symlink_status(target_, failed))) return;
    if (not std::filesystem::is_directory(target_))
      throw error(error_kind::io, "cannot write '" + asked_for_.string() + "': it is not a folder");
    const bool is_empty = std::filesystem::is_empty(target_, failed);
    if (failed) errno = failed.value(), detail::refuse_write(asked_for_);
    if (not is_empty)
      throw error(error_kind::mismatch,
                  "'" + asked_for_.string() + "' holds files already; give a folder that is new or empty");
  }

  /// Removes what killed programs left; who still writes into a folder holds a lock on it.
  void remove_leftovers() const {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(parent(), ignored))
      if (entry.path().filename().string().starts_with(beginning()))
        if (const auto left = open_folder(entry.path()); left and ::flock(left.get(), LOCK_EX | LOCK_NB) == 0)
          std::filesystem::remove_all(entry.path(), ignored);
  }

  void make() {
    static std::atomic<unsigned> serial = 0;
    do path_ = parent() / (beginning() + std::to_string(::getpid()) + "-" + std::to_string(serial++));
    while (::mkdir(path_.c_str(), 0777) != 0 and errno == EEXIST);
    lock_ = open_folder(path_);
    if (not lock_ or ::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) detail::refuse_write(asked_for_);
  }

  std::filesystem::path asked_for_, target_ = {}, path_ = {};
  file_descriptor lock_ = file_descriptor(-1);
  bool has_name_ = false;
};

}  // namespace trimtab::io
