// SPDX-License-Identifier: Apache-2.0

#include "contrasts.hpp"

#include <trimtab/core/error.hpp>
#include <trimtab/io/files/input_file.hpp>

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>

namespace trimtab::cli {

namespace {

/// A line in which, as llama.cpp's generator has it, \n, \r, \t, \', \", \\ and \x41 stand for one character each.
std::string unescaped(std::string_view line) {
  constexpr std::string_view escapes = "nrt'\"\\", characters = "\n\r\t'\"\\";
  std::string text;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const auto next = line[i] == '\\' and i + 1 < line.size() ? line[i + 1] : '\0';
    const auto digits = line.substr(std::min(i + 2, line.size()), 2);
    const auto* const end = digits.data() + digits.size();
    unsigned byte = 0;
    if (const auto known = escapes.find(next); next != '\0' and known != escapes.npos) {
      text += characters[known], i += 1;
    } else if (next == 'x' and digits.size() == 2 and
               std::from_chars(digits.data(), end, byte, 16) == std::from_chars_result{end, std::errc()}) {
      text += static_cast<char>(byte), i += 3;
    } else {
      text += line[i];
    }
  }
  return text;
}

/// The ids of the texts of a file, one a line; empty lines are left out, as that generator does.
std::vector<std::vector<int>> texts_of(const any_model& model, const path& file) {
  std::vector<std::vector<int>> ids;
  const auto content = io::input_file(file).text();
  for (std::size_t begin = 0, number = 1; begin < content.size(); ++number) {
    const auto end = std::min(content.find('\n', begin), content.size());
    const auto line = std::string_view(content).substr(begin, end - begin);
    begin = end + 1;
    if (line.empty()) continue;
    const auto refuse = [&](const std::string& why) {
      throw error(error_kind::bad_text, "'" + file.string() + "', line " + std::to_string(number) + ": " + why);
    };
    try {
      ids.push_back(model.tokenizer().encode_prompt(unescaped(line)));
    } catch (const error& problem) {
      if (problem.kind() != error_kind::bad_text) throw;
      refuse(problem.what());
    }
    if (ids.back().empty()) refuse("the text has no token");
    if (std::ssize(ids.back()) > model.config().context)
      refuse("the text has " + std::to_string(ids.back().size()) + " tokens, more than the context of " +
             std::to_string(model.config().context));
  }
  return ids;
}

}  // namespace

contrasts contrasts_of(const fit_command& command, const any_model& model, const std::vector<prompt_pair>& prompts) {
  contrasts found;
  if (not command.positive.empty()) {
    found = {texts_of(model, command.positive), texts_of(model, command.negative)};
    if (found.positive.empty() or found.positive.size() != found.negative.size())
      throw error(error_kind::bad_data,
                  "'" + command.positive.string() + "' has " + std::to_string(found.positive.size()) + " texts and '" +
                      command.negative.string() + "' has " + std::to_string(found.negative.size()) +
                      "; they make pairs, at least one, line by line");
    return found;
  }
  for (std::size_t n = 0; n < prompts.size(); ++n) {
    if (prompts[n].corrupt_ids.empty())
      throw error(error_kind::bad_data, "prompt " + std::to_string(n + 1) +
                                            " has no corrupt prompt to contrast it with; give \"corrupt\" in each line "
                                            "of the data, or texts with --positive and --negative");
    found.positive.push_back(prompts[n].ids);
    found.negative.push_back(prompts[n].corrupt_ids);
  }
  return found;
}

}  // namespace trimtab::cli
