// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "program.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// For tables of bad inputs. Each entry changes one thing in a valid small model for one run, and has the words that
/// the program's error must contain. Every table begins with the valid input, which shows that the change causes the
/// error.

namespace trimtab::test {

inline void put_file(const std::filesystem::path& path, std::string_view content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc).write(content.data(), std::ssize(content));
}

/// Gives a file other content, or makes it, until the end of the scope.
class file_with {
 public:
  file_with(std::filesystem::path path, std::string_view content) : path_(std::move(path)) {
    if (std::filesystem::exists(path_)) before_ = content_of(path_);
    put_file(path_, content);
  }
  file_with(const file_with&) = delete;
  file_with& operator=(const file_with&) = delete;
  ~file_with() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
    if (before_) put_file(path_, *before_);
  }

 private:
  std::filesystem::path path_;
  std::optional<std::string> before_ = {};
};

/// Checks an error: exit status 1, one line on standard error that contains these words, nothing on standard output.
inline void check_refused(const std::vector<std::string>& arguments, const std::vector<std::string>& words,
                          const std::string& input = "") {
  const auto run = run_trimtab(arguments, input);
  CAPTURE(arguments, run.err);
  CHECK(run.status == 1);
  CHECK(run.out.empty());
  CHECK(run.error_lines() == 1);
  CHECK(run.err.starts_with("trimtab: "));
  CHECK(run.err.size() < 700);
  for (const auto& one : words) CHECK_THAT(run.err, Catch::Matchers::ContainsSubstring(one));
}

inline void check_accepted(const std::vector<std::string>& arguments, const std::string& input = "") {
  const auto run = run_trimtab(arguments, input);
  CAPTURE(arguments, run.err);
  CHECK(run.status == 0);
}

/// The exit status and the standard error of a command in a shell.
struct shell_outcome {
  int status = -1;
  std::string err = {};
};

inline shell_outcome shell(const std::string& command) {
  shell_outcome result;
  auto* const pipe = ::popen(("(" + command + ") 2>&1 >/dev/null").c_str(), "r");
  REQUIRE(pipe != nullptr);
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) result.err += static_cast<char>(c);
  const auto status = ::pclose(pipe);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

inline void check_shell(const std::string& command, const std::string& sentence) {
  const auto run = shell(command);
  CAPTURE(command, run.err);
  CHECK(run.status == 1);
  CHECK(std::count(run.err.begin(), run.err.end(), '\n') == 1);
  CHECK_THAT(run.err, Catch::Matchers::ContainsSubstring(sentence));
}

/// A safetensors file with this header, which need not be valid, and data.
inline std::string safetensors_with(const std::string& header, const std::string& data = "") {
  const auto length = std::uint64_t{header.size()};
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + header + data;
}
inline std::string safetensors_of_length(std::uint64_t length, const std::string& rest) {
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + rest;
}

/// The header and the data of a safetensors file, which can be changed and written again.
struct taken_apart {
  io::json header;
  std::string data;

  explicit taken_apart(const std::string& content) {
    std::uint64_t length = 0;
    std::memcpy(&length, content.data(), sizeof length);
    header = io::json::parse(content.substr(sizeof length, length));
    data = content.substr(sizeof length + length);
  }
  std::string together() const { return safetensors_with(header.dump(), data); }

  /// Overwrites the number at this index of an F32 tensor.
  void set(const std::string& tensor, std::size_t index, float value) {
    const auto begin = header.at(tensor).at("data_offsets").at(0).get<std::size_t>();
    std::memcpy(data.data() + begin + index * sizeof value, &value, sizeof value);
  }
  /// Adds a tensor after the others.
  void add(const std::string& tensor, const std::string& dtype, const std::vector<int>& shape,
           const std::string& bytes) {
    header[tensor] = {{"dtype", dtype}, {"shape", shape}, {"data_offsets", {data.size(), data.size() + bytes.size()}}};
    data += bytes;
  }
  /// Removes a tensor and closes the gap.
  void remove(const std::string& tensor) {
    std::string rest;
    std::vector<std::pair<std::size_t, std::string>> order;
    for (const auto& [name, entry] : header.items())
      if (name != "__metadata__" and name != tensor) order.emplace_back(entry["data_offsets"][0], name);
    std::sort(order.begin(), order.end());
    header.erase(tensor);
    for (const auto& [begin, name] : order) {
      auto& offsets = header[name]["data_offsets"];
      const auto size = offsets[1].get<std::size_t>() - begin;
      offsets = {rest.size(), rest.size() + size};
      rest += data.substr(begin, size);
    }
    data = rest;
  }
};

}  // namespace trimtab::test
