// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/io/files/atomic_file.hpp>

#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>

#include <stdlib.h>

/// A new empty folder for one test; it is removed with everything in it at the end of the scope.

namespace trimtab::test {

class temporary_folder {
 public:
  temporary_folder() : temporary_folder(std::filesystem::temp_directory_path()) {}
  explicit temporary_folder(const std::filesystem::path& parent) {
    auto name = (parent / "trimtab-test-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make a folder like " + name);
    path_ = name;
  }
  temporary_folder(const temporary_folder&) = delete;
  temporary_folder& operator=(const temporary_folder&) = delete;
  ~temporary_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }

  /// Writes a file with this content into the folder and returns its path.
  std::filesystem::path file(const std::string& name, std::string_view content) const {
    io::write_file_atomically(path_ / name, content);
    return path_ / name;
  }

 private:
  std::filesystem::path path_ = {};
};

}  // namespace trimtab::test
