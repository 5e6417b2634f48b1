// SPDX-License-Identifier: Apache-2.0

#include "commands.hpp"

#include <trimtab/io/json.hpp>
#include <trimtab/io/tokenizer_files.hpp>

#include <string>

/// `trimtab tokenize`: a JSON string a line in, a JSON array of token ids a line out.

namespace trimtab::cli {

output tokenize(tokenize_command const& command, std::istream& lines) {
  auto const tokenizer = io::read_tokenizer(command.model);
  output found;
  found.json["ids"] = ordered_json::array();
  std::string line;
  for (std::size_t number = 1; std::getline(lines, line); ++number) {
    auto const place = "standard input, line " + std::to_string(number);
    auto const text = io::parse_json(line, place);
    if (not text.is_string())
      throw error(error_kind::bad_data, "'" + place + "' should be a JSON string, found " + io::abbreviated(text));
    ordered_json const ids = [&] {
      try {
        return tokenizer.encode(text.get<std::string>());
      } catch (error const& problem) {
        throw error(problem.kind(), "'" + place + "': " + problem.what());
      }
    }();
    found.text += ids.dump() + "\n";
    found.json["ids"].push_back(ids);
  }
  return found;
}

}  // namespace trimtab::cli
