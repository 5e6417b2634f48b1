// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/io/files/atomic_file.hpp>
#include <trimtab/io/files/input_file.hpp>
#include <trimtab/io/prompt_line.hpp>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

/// Custom prompt pairs as JSON Lines, one pair per line, as text or as token ids:
///
///     {"prompt": "When Mary and John ...", "correct": " Mary", "wrong": " John", "roles": {"subject": [3, 4]}}
///     {"ids": [3, 1, 2], "correct_id": 1, "wrong_id": 2}
///
/// Where several tokens are acceptable, or several are wrong, "correct" or "wrong" is a list, of ids "correct_ids" or
/// "wrong_ids":
///
///     {"prompt": "The capital of the Netherlands is", "correct": [" Amsterdam", " The"], "wrong": " Rome"}
///
/// An answer of several tokens needs "answer": "sequence"; of ids it is "correct_ids" or "wrong_ids":
///
///     {"prompt": "The Statue of Liberty is in", "correct": " New York", "wrong": " Paris", "answer": "sequence"}
///
/// A role is the span [first, last) of the prompt's tokens. Further data that custom terms read stand by name in
/// "tokens", lists of token ids, and in "numbers":
///
///     {"ids": [3, 1, 2], "correct_id": 1, "wrong_id": 2, "tokens": {"rivals": [5, 6]}, "numbers": {"weight": 0.5}}
///
/// A counterfactual prompt, of as many tokens and after which the answer is another, is "corrupt" or "corrupt_ids":
///
///     {"prompt": "... John gave a drink to", ..., "corrupt": "... Mary gave a drink to"}
///
/// Blank lines and unknown keys are ignored.

namespace trimtab::io {

namespace detail {

/// read(line, place) for each line that is not blank; `place` names file and line.
template <typename Read>
std::vector<prompt_pair> read_lines(std::string_view lines, const std::string& file, const std::string& what,
                                    Read read) {
  if (lines.starts_with("\xef\xbb\xbf")) lines.remove_prefix(3);
  std::vector<prompt_pair> pairs;
  for (std::size_t number = 1; not lines.empty(); ++number) {
    const auto end = std::min(lines.find('\n'), lines.size());
    const auto line = lines.substr(0, end);
    lines.remove_prefix(std::min(end + 1, lines.size()));
    if (line.find_first_not_of(" \t\r") != line.npos)
      pairs.push_back(read(line, file + ", line " + std::to_string(number)));
  }
  if (pairs.empty()) throw error(error_kind::bad_data, "'" + file + "' holds no " + what + " per line");
  return pairs;
}

}  // namespace detail

/// The prompt pairs in `lines`, the content of `file`. Throws `bad_file` for a line that is no JSON, `bad_data` for one
/// that is no prompt pair, `bad_text` for text that cannot be tokenized; each names file, line and key.
template <task::text_encoder Encoder>
std::vector<prompt_pair> parse_prompts(std::string_view lines, const std::string& file, const Encoder& encoder,
                                       prompt_limits limits = {}) {
  const auto read = [&](std::string_view line, const std::string& place) {
    auto pair = detail::prompt_line(line, place, encoder, limits).pair();
    if (limits.one_length and limits.length == 0) limits.length = std::ssize(pair.ids);
    return pair;
  };
  return detail::read_lines(lines, file, "prompt pairs; expected one JSON object", read);
}

/// The prompts in `lines`, which may lack answers, or be strings. Throws as `parse_prompts` does.
template <task::text_encoder Encoder>
std::vector<prompt_pair> parse_texts(std::string_view lines, const std::string& file, const Encoder& encoder,
                                     prompt_limits limits = {}) {
  const auto read = [&](std::string_view line, const std::string& place) {
    auto value = parse_json(line, place);
    if (value.is_string()) value = json{{"prompt", std::move(value)}};
    return detail::prompt_line(std::move(value), place, encoder, limits).text();
  };
  return detail::read_lines(lines, file, "prompts; expected one JSON string or object", read);
}

/// The prompt pairs of a file. Throws `io` where it cannot be read, else as `parse_prompts` does.
template <task::text_encoder Encoder>
std::vector<prompt_pair> read_prompts(const std::filesystem::path& path, const Encoder& encoder,
                                      prompt_limits limits = {}) {
  return parse_prompts(input_file(path).text(), path.string(), encoder, limits);
}

/// The prompts of a file, as `parse_texts` reads them. Throws `io` where it cannot be read.
template <task::text_encoder Encoder>
std::vector<prompt_pair> read_texts(const std::filesystem::path& path, const Encoder& encoder,
                                    prompt_limits limits = {}) {
  return parse_texts(input_file(path).text(), path.string(), encoder, limits);
}

/// The same for files that give ids only.
inline std::vector<prompt_pair> read_prompts(const std::filesystem::path& path, prompt_limits limits = {}) {
  return read_prompts(path, detail::no_encoder{}, limits);
}

/// Prompt pairs as the lines of a file: those with text as text, which serves any model, the others as ids.
inline std::string prompt_lines(std::span<const prompt_pair> pairs) {
  std::string lines;
  for (const auto& p : pairs) {
    json line = p.prompt.empty() ? json{{"ids", p.ids}, {"correct_id", p.correct_id}, {"wrong_id", p.wrong_id}}
                                 : json{{"prompt", p.prompt}, {"correct", p.correct}, {"wrong", p.wrong}};
    if (p.has_sequences()) line["answer"] = "sequence";
    if (p.has_sequences() and p.prompt.empty())
      for (const auto& [key, first, rest] :
           {std::tuple("correct", p.correct_id, &p.correct_rest), std::tuple("wrong", p.wrong_id, &p.wrong_rest)}) {
        std::vector<int> whole{first};
        whole.insert(whole.end(), rest->begin(), rest->end());
        line.erase(std::string(key) + "_id");
        line[std::string(key) + "_ids"] = whole;
      }
    for (const auto& [key, set] : {std::pair("correct", &p.all_correct), std::pair("wrong", &p.all_wrong)}) {
      if (set->ids.empty()) continue;
      if (p.prompt.empty() or set->texts.empty()) line[std::string(key) + "_ids"] = set->ids;
      if (p.prompt.empty()) line.erase(std::string(key) + "_id");
      if (not p.prompt.empty() and not set->texts.empty()) line[key] = set->texts;
    }
    for (const auto& [name, span] : p.roles) line["roles"][name] = {span.first, span.last};
    if (not p.tokens.empty()) line["tokens"] = p.tokens;
    if (not p.numbers.empty()) line["numbers"] = p.numbers;
    if (not p.corrupt_ids.empty() and (p.prompt.empty() or p.corrupt.empty())) line["corrupt_ids"] = p.corrupt_ids;
    if (not p.corrupt.empty()) line["corrupt"] = p.corrupt;
    lines += line.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  }
  return lines;
}

/// Writes these lines to a file. Throws `io`.
inline void write_prompts(const std::filesystem::path& path, std::span<const prompt_pair> pairs) {
  write_file_atomically(path, prompt_lines(pairs));
}

}  // namespace trimtab::io
