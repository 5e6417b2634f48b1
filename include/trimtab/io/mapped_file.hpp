// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/io/file_descriptor.hpp>

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

/// A whole file as read-only memory, by POSIX `mmap`: pages are read when they are touched, and a file larger than main
/// memory can be walked through. Only a regular file has a size to rely on, so a folder, pipe or device is refused.
/// Another program that shortens the file meanwhile ends this one with SIGBUS, as with every mapping.

namespace trimtab::io {

class mapped_file {
 public:
  explicit mapped_file(std::filesystem::path path) : path_(std::move(path)) {
    auto const name = path_.string();
    // O_NONBLOCK: opening a pipe that nobody writes would wait for ever; on a regular file it changes nothing.
    auto const file = file_descriptor(
        uninterrupted([&] { return ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); }));
    if (not file) throw_system_error("open", name);
    struct stat status = {};
    if (::fstat(file.get(), &status) != 0) throw_system_error("examine", name);
    if (S_ISDIR(status.st_mode)) throw error(error_kind::io, "'" + name + "' is a folder where a file was expected");
    if (not S_ISREG(status.st_mode))
      throw error(error_kind::io, "'" + name + "' is a pipe or device where a regular file was expected");
    auto const size = static_cast<std::size_t>(status.st_size);
    if (size == 0) return;  // mmap refuses to map nothing
    void* const start = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
    if (start == MAP_FAILED) throw_system_error("map", name);
    bytes_ = {static_cast<std::byte const*>(start), size};
  }
  mapped_file(mapped_file&& other) noexcept : path_(std::move(other.path_)), bytes_(std::exchange(other.bytes_, {})) {}
  mapped_file& operator=(mapped_file other) noexcept {
    std::swap(path_, other.path_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~mapped_file() {
    if (not bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
  }

  std::filesystem::path const& path() const { return path_; }
  std::span<std::byte const> bytes() const { return bytes_; }
  /// Gives the memory of all pages back; whoever touches one reads it again. After numbers have been copied out of a
  /// large file, it need not stay in memory beside the copy.
  void release() const {
    if (not bytes_.empty()) ::madvise(const_cast<std::byte*>(bytes_.data()), bytes_.size(), MADV_DONTNEED);
  }
  std::string_view text() const { return {reinterpret_cast<char const*>(bytes_.data()), bytes_.size()}; }

 private:
  std::filesystem::path path_;
  std::span<std::byte const> bytes_ = {};
};

}  // namespace trimtab::io
