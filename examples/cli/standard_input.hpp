// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/io/files/file_descriptor.hpp>
#include <trimtab/io/json/json.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <unistd.h>

/// Standard input, in lines or as a whole.

namespace trimtab::cli {

/// The lines of standard input. std::cin would take a read error for the end of the input, and would read /dev/zero as
/// one line until memory runs out.
class standard_input {
 public:
  /// The next line, or nothing at the end. Of a line that is too long to be JSON, a part that is too long as well.
  std::optional<std::string> line() {
    std::string found;
    while (found.size() <= io::json_size_limit) {
      if (at_ == count_ and not fill()) return found.empty() ? std::nullopt : std::optional(std::move(found));
      const auto end = std::find(piece_.data() + at_, piece_.data() + count_, '\n');
      found.append(piece_.data() + at_, end);
      at_ = static_cast<std::size_t>(end - piece_.data());
      if (at_ < count_) {
        ++at_;
        return found;
      }
    }
    return found;
  }

  /// All that is left. Throws `bad_text` for more than `most` bytes.
  std::string all(std::size_t most) {
    std::string found;
    do {
      found.append(piece_.data() + at_, piece_.data() + count_);
      if (found.size() > most)
        throw error(error_kind::bad_text,
                    "standard input holds more than " + std::to_string(most) + " bytes, which no model reads");
    } while (fill());
    return found;
  }

 private:
  bool fill() {
    const auto count = io::uninterrupted([&] { return ::read(STDIN_FILENO, piece_.data(), piece_.size()); });
    if (count < 0) io::throw_system_error("read", "standard input");
    at_ = 0, count_ = static_cast<std::size_t>(count);
    return count > 0;
  }

  std::vector<char> piece_ = std::vector<char>(std::size_t{1} << 16);
  std::size_t at_ = 0, count_ = 0;
};

}  // namespace trimtab::cli
