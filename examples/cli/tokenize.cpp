// SPDX-License-Identifier: Apache-2.0

#include "commands.hpp"
#include "talk.hpp"

#include <trimtab/io/files/file_descriptor.hpp>
#include <trimtab/io/huggingface/hub_cache.hpp>
#include <trimtab/io/huggingface/tokenizer_files.hpp>
#include <trimtab/io/json/json.hpp>
#include <trimtab/text/joined.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <unistd.h>

/// `trimtab tokenize`: reads a JSON string from each line and prints a JSON array of its token ids.

namespace trimtab::cli {

namespace {

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

std::string text_of(const std::vector<int>& ids) {
  return "[" + text::joined(ids, ",", [](int id) { return std::to_string(id); }) + "]\n";
}

}  // namespace

output tokenize(const tokenize_command& command, const common_options& common) {
  const auto stored = io::open_tokenizer(io::model_path(command.model, io::snapshot_use::tokenizer), common.tokenizer);
  const auto& tokenizer = stored.tokenizer;
  for (const auto& warning : stored.warnings) warn(warning);
  const auto ids_of = [&](const std::string& line, const std::string& place) {
    const auto text = io::parse_json(line, place);
    if (not text.is_string())
      throw error(error_kind::bad_data, "'" + place + "' should be a JSON string, found " + io::abbreviated(text));
    try {
      auto ids = tokenizer.encode_prompt(text.get<std::string>());
      ids.insert(ids.end(), tokenizer.after().begin(), tokenizer.after().end());
      return ids;
    } catch (const error& problem) {
      throw error(problem.kind(), "'" + place + "': " + problem.what());
    }
  };
  output found;
  auto& lists = found.json["ids"] = ordered_json::array();
  standard_input input;
  std::size_t number = 0;
  while (const auto line = input.line()) {
    const auto ids = ids_of(*line, "standard input, line " + std::to_string(++number));
    if (common.json)  // one of the two forms only: long texts have many ids
      lists.push_back(ids);
    else
      found.text += text_of(ids);
  }
  return found;
}

}  // namespace trimtab::cli
