// SPDX-License-Identifier: Apache-2.0

#include "commands.hpp"
#include "standard_input.hpp"
#include "talk.hpp"

#include <trimtab/io/huggingface/hub_cache.hpp>
#include <trimtab/io/huggingface/tokenizer_files.hpp>
#include <trimtab/io/json/json.hpp>
#include <trimtab/text/joined.hpp>

#include <cstddef>
#include <string>
#include <vector>

/// `trimtab tokenize`: reads a JSON string from each line and prints a JSON array of its token ids.

namespace trimtab::cli {

namespace {

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
