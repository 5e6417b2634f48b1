// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/io/files/file_descriptor.hpp>

#include <algorithm>
#include <atomic>
#include <cerrno>
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
/// one: write beside it under another name, fsync, rename over it, fsync the folder. Of concurrent writers of one file
/// the last to rename wins, with its whole content.

namespace trimtab::io {

/// The end of a chain of symbolic links, whether it exists or not; `file` itself if it is no link.
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

/// Throws `io` for a failure to write `file`: errno's message, and what can be done about it.
[[noreturn]] inline void refuse_write(const std::filesystem::path& file) {
  const auto reason = errno;
  const auto folder = file.has_parent_path() ? file.parent_path().string() : ".";
  std::string advice;
  if (reason == ENOSPC or reason == EDQUOT) advice = "; free some space, or write to another disk";
  if (reason == EROFS or reason == EACCES or reason == EPERM) advice = "; write to a folder where you have permission";
  std::error_code ignored;
  if (reason == ENOENT and not std::filesystem::exists(folder, ignored))
    advice = "; there is no folder '" + folder + "'";
  throw error(error_kind::io,
              "cannot write '" + file.string() + "': " + std::generic_category().message(reason) + advice);
}

/// Where a file will be written: a symbolic link stays, and its target is written, whether it exists or not.
struct output_place {
  explicit output_place(const std::filesystem::path& path) {
    if (not path.has_filename())
      throw error(error_kind::io, "cannot write '" + path.string() + "': the path has no file name");
    std::error_code failed;
    target = link_target(path, failed);
    if (failed) errno = failed.value(), refuse_write(path);
    const auto parent = target.has_parent_path() ? target.parent_path() : std::filesystem::path(".");
    folder = file_descriptor(uninterrupted([&] { return ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
    if (not folder and errno != EACCES) refuse_write(path);  // a folder may be writable but not readable
    exists = ::stat(target.c_str(), &old) == 0;
    if (not exists and errno != ENOENT) refuse_write(path);
    if (exists and not S_ISREG(old.st_mode))
      throw error(error_kind::io, "cannot write '" + path.string() + "': it is not a regular file");
    if (exists and ::access(target.c_str(), W_OK) != 0) refuse_write(path);
    if (::access(parent.c_str(), W_OK | X_OK) != 0) refuse_write(path);
    if (exists) require_replaceable(parent, path);
  }

  std::filesystem::path target = {};
  file_descriptor folder = file_descriptor(-1);  ///< flushed after the rename
  bool exists = false;
  struct stat old = {};

 private:
  /// In a sticky folder, such as /tmp, only the owners of the folder and of the file may replace the file.
  void require_replaceable(const std::filesystem::path& parent, const std::filesystem::path& path) const {
    struct stat around = {};
    if (::stat(parent.c_str(), &around) != 0) refuse_write(path);
    const auto user = ::geteuid();
    if ((around.st_mode & S_ISVTX) != 0 and user != 0 and user != around.st_uid and user != old.st_uid)
      errno = EPERM, refuse_write(path);
  }
};

/// A new empty file beside `target` that removes itself unless it was renamed to it.
class temporary_file {
 public:
  /// `asked_for` is the name in error messages.
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
  /// Only root may change a file's owner; for other users the file is theirs, like any file that they create.
  void take_owner_and_mode(const struct stat& old) {
    [[maybe_unused]] const int given = ::fchown(file_.get(), old.st_uid, old.st_gid);
    // EPERM for our own file: the file system has no modes.
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

/// Throws `io` if the file could not be written now, so that long work does not fail at its end. Creates a file beside
/// it and removes it: for some folders, such as /proc, there is no other test.
inline void require_writable(const std::filesystem::path& path) {
  const auto place = detail::output_place(path);
  detail::temporary_file{place.target, path};
}

/// Writes `bytes` to the file at `path`; an existing file is replaced as a whole or, on any error, kept. Follows a
/// symbolic link, keeps mode and owner of an existing file, and refuses to replace a read-only file, a folder or a
/// device. Throws `io`.
inline void write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  const auto place = detail::output_place(path);
  auto temporary = detail::temporary_file(place.target, path);
  if (place.exists) temporary.take_owner_and_mode(place.old);
  temporary.write(bytes);
  temporary.give_its_name();

  // The rename is durable only after the folder is synced. Some file systems cannot sync a folder: EINVAL.
  if (place.folder and uninterrupted([&] { return ::fsync(place.folder.get()); }) != 0 and errno != EINVAL)
    throw error(error_kind::io, "'" + path.string() + "' is written, but its folder could not be flushed: " +
                                    std::generic_category().message(errno) +
                                    "; a power failure may restore its old content");
}

inline void write_file_atomically(const std::filesystem::path& path, std::string_view text) {
  write_file_atomically(path, std::as_bytes(std::span(text.data(), text.size())));
}

}  // namespace trimtab::io
