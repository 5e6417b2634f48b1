// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/io/files/file_descriptor.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>

/// Writing a file so that at every moment, power failure included, its name holds either the old content or the new
/// one: write beside it under another name, fsync, rename over it, fsync the folder. Of several that write the same file
/// at the same time the last one to rename wins, whole.

namespace trimtab::io {

/// What stands at the end of a chain of symbolic links, there already or not; `file` itself where it is none.
inline std::filesystem::path link_target(std::filesystem::path file, std::error_code& failed) {
  constexpr int as_many_as_linux_follows = 40;
  std::error_code no_link;
  for (int links = 0; std::filesystem::is_symlink(file, no_link); ++links) {
    const auto next = std::filesystem::read_symlink(file, no_link);
    if (links == as_many_as_linux_follows) failed = make_error_code(std::errc::too_many_symbolic_link_levels);
    if (no_link or failed) break;
    file = file.parent_path() / next;
  }
  return file;
}

namespace detail {

/// What errno says of writing `file`, and what can be done about it.
[[noreturn]] inline void refuse_write(const std::filesystem::path& file) {
  const auto reason = errno;
  const auto folder = file.has_parent_path() ? file.parent_path().string() : ".";
  std::string advice;
  if (reason == ENOSPC or reason == EDQUOT) advice = "; make room there, or write to another disk";
  if (reason == EROFS or reason == EACCES or reason == EPERM) advice = "; write to a place where you may";
  std::error_code ignored;
  if (reason == ENOENT and not std::filesystem::exists(folder, ignored))
    advice = "; there is no folder '" + folder + "'";
  throw error(error_kind::io,
              "cannot write '" + file.string() + "': " + std::generic_category().message(reason) + advice);
}

/// Where a file is to be put: a symbolic link stays, and what it points to is written, there already or not.
struct output_place {
  explicit output_place(const std::filesystem::path& path) {
    if (not path.has_filename()) throw error(error_kind::io, "cannot write '" + path.string() + "': it names no file");
    std::error_code failed;
    target = link_target(path, failed);
    if (failed) errno = failed.value(), refuse_write(path);
    const auto parent = target.has_parent_path() ? target.parent_path() : std::filesystem::path(".");
    folder = file_descriptor(uninterrupted([&] { return ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
    if (not folder and errno != EACCES) refuse_write(path);  // one may be written to and not be read
    exists = ::stat(target.c_str(), &old) == 0;
    if (not exists and errno != ENOENT) refuse_write(path);
    if (exists and not S_ISREG(old.st_mode))
      throw error(error_kind::io,
                  "cannot write '" + path.string() + "': something that is no regular file has this name");
    if (exists and ::access(target.c_str(), W_OK) != 0) refuse_write(path);
    if (::access(parent.c_str(), W_OK | X_OK) != 0) refuse_write(path);
    if (exists) require_replaceable(parent, path);
  }

  std::filesystem::path target = {};
  file_descriptor folder = file_descriptor(-1);  ///< to be flushed when the name is in it
  bool exists = false;
  struct stat old = {};

 private:
  /// In a sticky folder, such as /tmp, only its owner and a file's own may rename over the file.
  void require_replaceable(const std::filesystem::path& parent, const std::filesystem::path& path) const {
    struct stat around = {};
    if (::stat(parent.c_str(), &around) != 0) refuse_write(path);
    const auto user = ::geteuid();
    if ((around.st_mode & S_ISVTX) != 0 and user != 0 and user != around.st_uid and user != old.st_uid)
      errno = EPERM, refuse_write(path);
  }
};

/// A new empty file beside `target` that removes itself unless it got its name.
class temporary_file {
 public:
  /// `asked_for` is what errors call it.
  temporary_file(std::filesystem::path target, std::filesystem::path asked_for)
      : target_(std::move(target)), asked_for_(std::move(asked_for)) {
    static std::atomic<unsigned> serial = 0;
    do {
      path_ =
          target_.parent_path() / (".trimtab-" + std::to_string(::getpid()) + "-" + std::to_string(serial++) + ".tmp");
      file_ = file_descriptor(
          uninterrupted([&] { return ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666); }));
    } while (not file_ and errno == EEXIST);
    if (not file_) refuse_write(asked_for_);
  }
  temporary_file(const temporary_file&) = delete;
  temporary_file& operator=(const temporary_file&) = delete;
  ~temporary_file() {
    if (not renamed_) ::unlink(path_.c_str());
  }

  void write(std::span<const std::byte> bytes) {
    while (not bytes.empty()) {
      const auto at_once = std::min(bytes.size(), std::size_t{1} << 30);
      const auto written = uninterrupted([&] { return ::write(file_.get(), bytes.data(), at_once); });
      if (written == 0) errno = EIO;
      if (written <= 0) refuse_write(asked_for_);
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
  }
  /// Only root may give a file away; for others it stays theirs, as with every file that they make.
  void take_owner_and_mode(const struct stat& old) {
    [[maybe_unused]] const int given = ::fchown(file_.get(), old.st_uid, old.st_gid);
    // EPERM for a file of one's own: the file system has no modes.
    if (::fchmod(file_.get(), old.st_mode & 07777) != 0 and errno != EPERM) refuse_write(asked_for_);
  }
  void give_its_name() {
    if (uninterrupted([&] { return ::fsync(file_.get()); }) != 0) refuse_write(asked_for_);
    if (not file_.close() and errno != EINTR) refuse_write(asked_for_);
    if (std::rename(path_.c_str(), target_.c_str()) != 0) refuse_write(asked_for_);
    renamed_ = true;
  }

 private:
  std::filesystem::path target_, asked_for_, path_ = {};
  file_descriptor file_ = file_descriptor(-1);
  bool renamed_ = false;
};

}  // namespace detail

/// Throws `io` where a file could not be written now, for want of a folder or of permission: for work that should not
/// end in this. Makes a file beside it and takes it away again: of some folders, such as /proc, nothing else tells.
inline void require_writable(const std::filesystem::path& path) {
  const auto place = detail::output_place(path);
  detail::temporary_file{place.target, path};
}

/// Makes `bytes` the content of the file at `path`; a file that stands there is replaced whole or, on any error, kept.
/// Follows a symbolic link, keeps mode and owner of an existing file, and refuses to replace a file that is read-only,
/// or to put one in place of a folder or device. Throws `io`.
inline void write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  const auto place = detail::output_place(path);
  auto temporary = detail::temporary_file(place.target, path);
  if (place.exists) temporary.take_owner_and_mode(place.old);
  temporary.write(bytes);
  temporary.give_its_name();

  // The new name itself lasts only when the folder is on the disk. Some file systems cannot sync a folder: EINVAL.
  if (place.folder and uninterrupted([&] { return ::fsync(place.folder.get()); }) != 0 and errno != EINVAL)
    throw error(error_kind::io, "'" + path.string() + "' is written, but its folder could not be flushed: " +
                                    std::generic_category().message(errno) +
                                    "; a power failure may bring its old content back");
}

inline void write_file_atomically(const std::filesystem::path& path, std::string_view text) {
  write_file_atomically(path, std::as_bytes(std::span(text.data(), text.size())));
}

}  // namespace trimtab::io
