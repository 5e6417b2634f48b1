// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/io/files/file_descriptor.hpp>

#include <algorithm>
#include <cstddef>
#include <exception>
#include <filesystem>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>

/// A file that is read piece by piece into the caller's memory. Only a regular file has a reliable size, so folders,
/// pipes and devices are refused. It is not mapped: if another program shortened a mapped file, access to the missing
/// part would end this program with SIGBUS; here it is an error like any other.

namespace trimtab::io {

/// Whether the folder has an entry of this name. A broken link counts, and so does what cannot be examined: opening it
/// reports the problem, while ignoring it would claim that there is nothing.
inline bool is_present(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::symlink_status(path, ignored).type() != std::filesystem::file_type::not_found;
}

class input_file {
 public:
  /// Throws `error(io)` for what cannot be opened or is no regular file.
  explicit input_file(std::filesystem::path path) : path_(std::move(path)), file_(open(path_)) {
    struct stat status = {};
    const auto name = path_.string();
    if (::fstat(file_.get(), &status) != 0) throw_system_error("examine", name);
    if (S_ISDIR(status.st_mode)) throw error(error_kind::io, "'" + name + "' is a folder where a file was expected");
    if (not S_ISREG(status.st_mode))
      throw error(error_kind::io, "'" + name + "' is a pipe or device where a regular file was expected");
    size_ = static_cast<std::size_t>(status.st_size);
  }

  const std::filesystem::path& path() const { return path_; }
  /// In bytes, when it was opened.
  std::size_t size() const { return size_; }

  /// Fills `to` with the bytes from `offset` on. Any number of threads may read at once. Throws `error(io)`.
  void read(std::size_t offset, std::span<std::byte> to) const {
    constexpr std::size_t at_once = std::size_t{1} << 30;  // one call reads at most 2 GiB
    while (not to.empty()) {
      const auto count = uninterrupted(
          [&] { return ::pread(file_.get(), to.data(), std::min(to.size(), at_once), static_cast<off_t>(offset)); });
      if (count < 0) throw_system_error("read", path_.string());
      if (count == 0)
        throw error(error_kind::io, "'" + path_.string() + "' ended at byte " + std::to_string(offset) +
                                        " while it was read, though it should hold " + std::to_string(size_) +
                                        " bytes; another program may be writing it");
      offset += static_cast<std::size_t>(count);
      to = to.subspan(static_cast<std::size_t>(count));
    }
  }

  /// The whole content. Throws `error(io)`, or `error(memory)` if there is not enough memory for it.
  std::string text() const {
    std::string content;
    try {
      content.resize(size_);
    } catch (const std::exception&) {  // bad_alloc, or length_error
      throw error(error_kind::memory, "'" + path_.string() + "' has " + std::to_string(size_) +
                                          " bytes, and there is not enough memory for them");
    }
    read(0, std::as_writable_bytes(std::span(content)));
    return content;
  }

 private:
  static file_descriptor open(const std::filesystem::path& path) {
    // O_NONBLOCK: opening a pipe that nobody writes would wait for ever; on a regular file it changes nothing.
    auto file = file_descriptor(uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); }));
    if (not file) throw_system_error("open", path.string());
    return file;
  }

  std::filesystem::path path_;
  file_descriptor file_;
  std::size_t size_ = 0;
};

}  // namespace trimtab::io
