// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/text/utf8.hpp>

#include "support/temporary_folder.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <unistd.h>

/// What the fuzz targets share. A target is a function of bytes. libFuzzer (https://llvm.org/docs/LibFuzzer.html)
/// searches for bytes with which it crashes, takes too long or too much memory, or fails a `require`. An exception
/// other than `error` is a crash too.

namespace trimtab::fuzz {

/// Ends the program if `holds` is false, so that libFuzzer keeps the input.
inline void require(bool holds, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  if (holds) return;
  std::fprintf(stderr, "%s:%d: requirement failed\n", file, line);
  std::abort();
}

/// Whether `text` is fit to be printed as an error: one line of valid UTF-8, short enough to be read, and without
/// control characters, which a terminal would obey.
inline bool is_sentence(std::string_view text) {
  if (text.empty() or text.size() > 1000) return false;
  while (not text.empty()) {
    const auto step = text::first_utf8_step(text);
    const auto lead = static_cast<unsigned char>(text[0]);
    const bool is_c1 = lead == 0xC2 and static_cast<unsigned char>(text[1]) < 0xA0;
    if (not step.valid or lead < 0x20 or lead == 0x7F or is_c1) return false;
    text.remove_prefix(step.length);
  }
  return true;
}

/// The value of `call()`, or nothing if it throws an `error`, whose sentence must name `culprit`.
template <typename Call>
auto accepted(std::string_view culprit, Call&& call) -> std::optional<decltype(call())> {
  try {
    return call();
  } catch (const error& problem) {
    const auto sentence = std::string_view(problem.what());
    if (not is_sentence(sentence) or sentence.find(culprit) == sentence.npos) {
      std::fprintf(stderr, "no sentence about '%s': %s\n", std::string(culprit).c_str(), problem.what());
      std::abort();
    }
    return std::nullopt;
  }
}

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// Returns what is before the first NUL of `text`, and removes it and the NUL from `text`; for targets that read two
/// texts. No text format contains NUL.
inline std::string_view cut_at_nul(std::string_view& text) {
  const auto end = std::min(text.find('\0'), text.size());
  const auto first = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return first;
}

/// A safetensors file, made from a header and, after a NUL, its data; the eight bytes of the header's length are right,
/// because mutations would hardly ever make them right. If the text begins with 'r', the rest is the whole file.
inline std::string safetensors_of(std::string_view text) {
  if (text.starts_with('r')) return std::string(text.substr(1));
  const auto header = cut_at_nul(text);
  std::string file(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) file[i] = static_cast<char>(std::uint64_t{header.size()} >> 8 * i & 0xFF);
  return file.append(header).append(text);
}

/// A new empty folder, in main memory if the system has such a file system; removed when the program ends.
class scratch_folder : public test::temporary_folder {
 public:
  scratch_folder() : temporary_folder(place()) {}

 private:
  static std::filesystem::path place() {
    const auto memory = std::filesystem::path("/dev/shm");
    std::error_code ignored;
    return std::filesystem::is_directory(memory, ignored) ? memory : std::filesystem::temp_directory_path();
  }
};

/// A file whose content is overwritten in place, which is faster than making a new file for every input.
class scratch_file {
 public:
  scratch_file(const scratch_folder& folder, const std::string& name)
      : path_(folder.path() / name), file_(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
    if (file_ < 0) std::abort();
  }
  scratch_file(const scratch_file&) = delete;
  scratch_file& operator=(const scratch_file&) = delete;
  ~scratch_file() { ::close(file_); }

  const std::filesystem::path& holding(std::string_view content) const {
    if (::ftruncate(file_, 0) != 0 or ::pwrite(file_, content.data(), content.size(), 0) != std::ssize(content))
      std::abort();
    return path_;
  }

 private:
  std::filesystem::path path_;
  int file_;
};

}  // namespace trimtab::fuzz
