// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "temporary_folder.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

/// A cache of the Hugging Face Hub in a temporary folder, laid out as huggingface_hub lays it out, and the environment
/// that says where it is.

namespace trimtab::test {

/// Sets a variable of this process's environment, or removes it, until the end of the scope.
class environment_with {
 public:
  environment_with(std::string name, const std::optional<std::string>& value) : name_(std::move(name)) {
    if (const char* const before = std::getenv(name_.c_str())) before_ = before;
    set(value);
  }
  environment_with(const environment_with&) = delete;
  environment_with& operator=(const environment_with&) = delete;
  ~environment_with() { set(before_); }

 private:
  void set(const std::optional<std::string>& value) const {
    if (value)
      ::setenv(name_.c_str(), value->c_str(), 1);
    else
      ::unsetenv(name_.c_str());
  }

  std::string name_;
  std::optional<std::string> before_ = {};
};

class hub_cache {
 public:
  std::string path() const { return folder_.path().string(); }
  /// The folder of a model.
  std::filesystem::path of(std::string id) const {
    if (const auto slash = id.find('/'); slash != id.npos) id.replace(slash, 1, "--");
    return folder_.path() / ("models--" + id);
  }
  std::filesystem::path snapshot(const std::string& id, const std::string& hash) const {
    return of(id) / "snapshots" / hash;
  }

  /// Makes a file of a snapshot: a blob, and the link to it.
  void add(const std::string& id, const std::string& hash, const std::string& name, std::string_view content) {
    const auto blob = std::to_string(++blobs_);
    std::filesystem::create_directories(of(id) / "blobs");
    std::filesystem::create_directories(snapshot(id, hash));
    std::ofstream(of(id) / "blobs" / blob, std::ios::binary) << content;
    std::filesystem::create_symlink("../../blobs/" + blob, snapshot(id, hash) / name);
  }
  /// Makes a snapshot of the files of a folder.
  void add(const std::string& id, const std::string& hash, const std::filesystem::path& folder) {
    for (const auto& file : std::filesystem::directory_iterator(folder)) {
      std::ostringstream content;
      content << std::ifstream(file.path(), std::ios::binary).rdbuf();
      add(id, hash, file.path().filename().string(), content.str());
    }
  }
  /// Lets a branch or tag stand for a commit.
  void refer(const std::string& id, const std::string& revision, const std::string& hash) const {
    const auto ref = of(id) / "refs" / revision;
    std::filesystem::create_directories(ref.parent_path());
    std::ofstream(ref) << hash;
  }

 private:
  temporary_folder folder_ = {};
  int blobs_ = 0;
};

}  // namespace trimtab::test
