// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/io/files/atomic_file.hpp>
#include <trimtab/io/files/safetensors.hpp>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

/// Writes a safetensors file tensor by tensor, in any order, so that a file may be larger than the memory. Until all is
/// written the file is not whole: for a folder that gets its name at the end (new_folder.hpp).

namespace trimtab::io {

class safetensors_writer {
 public:
  /// Makes the file and writes its header; of `tensors`, type and shape count. Throws `io`.
  safetensors_writer(std::filesystem::path path, std::map<std::string, tensor_entry> tensors,
                     const std::map<std::string, std::string>& metadata = {})
      : path_(std::move(path)), tensors_(std::move(tensors)) {
    const auto beginning = begin_safetensors(tensors_, metadata);
    data_begin_ = beginning.size();
    file_ = file_descriptor(
        uninterrupted([&] { return ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666); }));
    if (not file_) detail::refuse_write(path_);
    write(0, std::as_bytes(std::span(beginning)));
  }

  /// Writes the numbers of one tensor, as many as it has. Throws `io`.
  void write(const std::string& name, std::span<const std::byte> bytes) {
    const tensor_entry& tensor = tensors_.at(name);
    assert(bytes.size() == tensor.end - tensor.begin);
    write(data_begin_ + tensor.begin, bytes);
  }

  /// After the last tensor: flushes the file to the disk. Throws `io`.
  void finish() {
    if (uninterrupted([&] { return ::fsync(file_.get()); }) != 0) detail::refuse_write(path_);
    if (not file_.close() and errno != EINTR) detail::refuse_write(path_);
  }

 private:
  void write(std::size_t offset, std::span<const std::byte> bytes) {
    while (not bytes.empty()) {
      const auto at_once = std::min(bytes.size(), std::size_t{1} << 30);
      const auto written =
          uninterrupted([&] { return ::pwrite(file_.get(), bytes.data(), at_once, static_cast<off_t>(offset)); });
      if (written == 0) errno = EIO;
      if (written <= 0) detail::refuse_write(path_);
      offset += static_cast<std::size_t>(written);
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
  }

  std::filesystem::path path_;
  std::map<std::string, tensor_entry> tensors_;
  std::size_t data_begin_ = 0;
  file_descriptor file_ = file_descriptor(-1);
};

}  // namespace trimtab::io
