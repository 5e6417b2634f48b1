// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/core/prompt_pair.hpp>
#include <trimtab/core/view.hpp>
#include <trimtab/io/json/json.hpp>
#include <trimtab/task/prompt_pair.hpp>
#include <trimtab/text/joined.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// One line of a file of prompts (prompt_file.hpp), read and checked against what the model and the positions allow.

namespace trimtab::io {

/// What the model and the positions of an intervention allow; 0 allows anything.
struct prompt_limits {
  index_t vocabulary = 0;
  index_t context = 0;
  index_t length = 0;       ///< of every prompt, for absolute positions
  bool one_length = false;  ///< every prompt must be as long as the first, if `length` is 0
  bool corrupt = false;     ///< every pair must have a corrupt prompt
  bool answers = false;     ///< prompts that need no answers keep those that they state
};

namespace detail {

/// A stand-in for a tokenizer: every pair must then give ids.
struct no_encoder {
  std::vector<int> encode(std::string_view text) const {
    throw error(error_kind::bad_data,
                "the text " + abbreviated(json(text)) +
                    " needs a tokenizer, and there is none; give \"ids\", \"correct_id\" and \"wrong_id\"");
  }
};

/// Reads one line; errors name the file, the line and the key.
template <task::text_encoder Encoder>
class prompt_line {
 public:
  prompt_line(std::string_view text, const std::string& place, const Encoder& encoder, prompt_limits limits)
      : prompt_line(parse_json(text, place), place, encoder, limits) {}
  prompt_line(json line, const std::string& place, const Encoder& encoder, prompt_limits limits)
      : line_(std::move(line), place, error_kind::bad_data), encoder_(encoder), limits_(limits) {}

  const json_object& entries() const { return line_; }

  prompt_pair pair() const {
    prompt_pair p = prompt();
    const auto kind = line_.text("answer", "token");
    if (kind != "token" and kind != "sequence") line_.refuse("answer", "\"token\" or \"sequence\"");
    if (kind == "sequence") {
      read_sequences(p);
      return p;
    }
    p.all_correct = answers("correct");
    p.all_wrong = answers("wrong");
    require_different(p);
    const auto take = [](answer_set& all, int& id, std::string& text) {
      id = all.ids.front();
      text = all.texts.empty() ? "" : all.texts.front();
      if (all.ids.size() == 1) all = {};
    };
    take(p.all_correct, p.correct_id, p.correct);
    take(p.all_wrong, p.wrong_id, p.wrong);
    return p;
  }

  /// The same whose answers may be missing.
  prompt_pair text() const { return limits_.answers and states("correct") and states("wrong") ? pair() : prompt(); }

  prompt_pair prompt() const {
    prompt_pair p;
    if (line_.has("ids")) {
      p.prompt = line_.text("prompt", "");
      p.ids = ids_of(line_, "ids");
    } else {
      p.prompt = line_.text("prompt");
      p.ids = encoded("prompt", true);
    }
    if (p.ids.empty()) refuse("has an empty prompt; it needs at least one token");
    if (limits_.context > 0 and std::ssize(p.ids) > limits_.context)
      refuse("has a prompt of " + std::to_string(p.ids.size()) + " tokens, but the model reads at most " +
             std::to_string(limits_.context));
    if (limits_.length > 0 and std::ssize(p.ids) != limits_.length)
      refuse("has a prompt of " + std::to_string(p.ids.size()) +
             " tokens, but absolute positions need all of one length, " + std::to_string(limits_.length) +
             " here; use from_end, role or shared positions");
    read_corrupt(p);
    if (line_.has("roles")) read_roles(p);
    if (line_.has("tokens")) {
      const auto tokens = line_.object("tokens");
      for (const auto& [name, list] : tokens.value().items()) p.tokens[name] = ids_of(tokens, name);
    }
    if (line_.has("numbers")) {
      const auto numbers = line_.object("numbers");
      for (const auto& [name, number] : numbers.value().items()) p.numbers[name] = numbers.number(name);
    }
    return p;
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    throw error(error_kind::bad_data, "'" + line_.file() + "' " + what);
  }

  bool states(const std::string& answer) const {
    return line_.has("ids") ? line_.has(answer + "_id") or line_.has(answer + "_ids") : line_.has(answer);
  }

  static constexpr auto one_id = "a token id", list_of_ids = "an array of token ids";

  int id_of(const json& value, const json_object& holder, const std::string& key, const char* expected) const {
    const bool fits = value.is_number_unsigned() and value.get<std::uint64_t>() <= 0x7fffffffu;
    if (not fits) holder.refuse(key, expected);
    const auto found = value.get<int>();
    if (limits_.vocabulary > 0 and found >= limits_.vocabulary)
      refuse("has the token id " + std::to_string(found) + " in \"" + key + "\", outside the model's vocabulary of " +
             std::to_string(limits_.vocabulary) + " tokens");
    return found;
  }
  int id(const std::string& key) const {
    if (not line_.has(key)) line_.refuse(key, one_id);
    return id_of(line_.value().at(key), line_, key, one_id);
  }
  std::vector<int> ids_of(const json_object& holder, const std::string& key) const {
    const auto& list = holder.value().at(key);
    if (not list.is_array()) holder.refuse(key, list_of_ids);
    std::vector<int> found;
    for (const auto& entry : list) found.push_back(id_of(entry, holder, key, list_of_ids));
    return found;
  }

  std::vector<int> encoded(const std::string& key, bool is_prompt) const {
    return encoded(key, line_.text(key), is_prompt);
  }
  std::vector<int> encoded(const std::string& key, const std::string& text, bool is_prompt) const {
    try {
      return is_prompt ? task::prompt_ids(encoder_, text) : encoder_.encode(text);
    } catch (const error& problem) {
      throw error(problem.kind(), "'" + line_.file() + "', \"" + key + "\": " + problem.what());
    }
  }
  /// Answers whose tokens follow each other.
  void read_sequences(prompt_pair& p) const {
    const auto read = [&](const std::string& key, std::string& text, int& first, std::vector<int>& rest) {
      const bool by_id = line_.has("ids");
      text = by_id ? line_.text(key, "") : line_.text(key);
      if (by_id and not line_.has(key + "_ids")) line_.refuse(key + "_ids", list_of_ids);
      rest = by_id ? ids_of(line_, key + "_ids") : encoded(key, text, false);
      if (rest.empty()) refuse("has no token in the answer \"" + key + "\"; it needs at least one");
      const index_t length = std::ssize(p.ids) + std::ssize(rest) - 1;
      if (limits_.context > 0 and length > limits_.context)
        refuse("has a prompt and an answer of " + std::to_string(length + 1) + " tokens, but the model reads at most " +
               std::to_string(limits_.context) + " before the last one");
      first = rest.front();
      rest.erase(rest.begin());
    };
    read("correct", p.correct, p.correct_id, p.correct_rest);
    read("wrong", p.wrong, p.wrong_id, p.wrong_rest);
    if (p.correct_id == p.wrong_id and p.correct_rest == p.wrong_rest)
      refuse("has the same tokens as correct and as wrong answer; they must differ");
  }

  /// The tokens that count as one answer: one, or a list.
  answer_set answers(const std::string& key) const {
    const bool by_id = line_.has("ids");
    const std::string list = by_id ? key + "_ids" : key;
    if (not by_id and line_.has(key) and line_.has(key + "_id"))
      refuse("has both \"" + key + "\" and \"" + key + "_id\"; ids go with \"ids\", so leave out one of the two");
    if (not line_.has(list) or not line_.value().at(list).is_array())
      return by_id ? answer_set{{id(key + "_id")}, {line_.text(key, "")}} : answer_of(key, {line_.text(key)});
    constexpr auto expected = "a text or an array of texts";
    std::vector<std::string> texts;
    for (const auto& entry : line_.value().at(list)) {
      if (not by_id and not entry.is_string()) line_.refuse(key, expected);
      if (not by_id) texts.push_back(entry.template get<std::string>());
    }
    answer_set all = by_id ? answer_set{ids_of(line_, list)} : answer_of(key, std::move(texts));
    if (all.ids.empty()) refuse("has no token in \"" + list + "\"; give at least one");
    return all;
  }
  answer_set answer_of(const std::string& key, std::vector<std::string> texts) const {
    answer_set all;
    for (const auto& text : texts) all.ids.push_back(answer(key, text));
    all.texts = std::move(texts);
    return all;
  }
  void require_different(const prompt_pair& p) const {
    std::vector<int> all = p.all_correct.ids;
    all.insert(all.end(), p.all_wrong.ids.begin(), p.all_wrong.ids.end());
    std::ranges::sort(all);
    if (std::ranges::adjacent_find(all) == all.end()) return;
    refuse(all.size() == 2 ? "has the same token as correct and as wrong answer; they must differ"
                           : "has one token twice among its answers; all must differ");
  }

  /// An answer is one token, because one position is scored.
  int answer(const std::string& key, const std::string& text) const {
    const auto found = encoded(key, text, false);
    if (found.size() != 1) {
      const auto shown = [this](int token) { return piece(token); };
      auto pieces = text::joined(std::span(found).first(std::min(found.size(), std::size_t{5})), ", ", shown);
      if (found.size() > 5) pieces += ", ...";
      refuse("has " + abbreviated(json(text)) + " as \"" + key + "\", which is " + std::to_string(found.size()) +
             " tokens" + (pieces.empty() ? "" : " (" + pieces + ")") +
             " for this tokenizer; an answer must be exactly one token, usually a word with a leading space");
    }
    return found.front();
  }
  std::string piece(int token) const {
    if constexpr (requires { encoder_.decode(std::span<const int>(&token, 1)); })
      return abbreviated(json(encoder_.decode(std::span<const int>(&token, 1))));
    else
      return std::to_string(token);
  }

  void read_corrupt(prompt_pair& p) const {
    p.corrupt = line_.text("corrupt", "");
    if (line_.has("corrupt_ids"))
      p.corrupt_ids = ids_of(line_, "corrupt_ids");
    else if (line_.has("corrupt"))
      p.corrupt_ids = encoded("corrupt", true);
    else if (limits_.corrupt)
      refuse("has no corrupt prompt, which this method needs; give \"corrupt\" or \"corrupt_ids\"");
    else
      return;
    if (p.corrupt_ids.size() != p.ids.size())
      refuse("has a corrupt prompt of " + std::to_string(p.corrupt_ids.size()) + " tokens, but its prompt has " +
             std::to_string(p.ids.size()) + "; both need the same number");
    if (p.corrupt_ids == p.ids) refuse("has a corrupt prompt that is equal to its prompt; they must differ");
  }

  void read_roles(prompt_pair& p) const {
    const auto roles = line_.object("roles");
    for (const auto& [name, span] : roles.value().items()) {
      const auto is_index = [&](const json& x) {
        return x.is_number_unsigned() and x.get<std::uint64_t>() <= p.ids.size();
      };
      const bool fits = span.is_array() and span.size() == 2 and is_index(span[0]) and is_index(span[1]) and
                        span[0].template get<int>() < span[1].template get<int>();
      if (not fits)
        roles.refuse(name, "a span [first, last) of the prompt's " + std::to_string(p.ids.size()) + " tokens");
      p.roles[name] = {span[0].template get<int>(), span[1].template get<int>()};
    }
  }

  json_object line_;
  const Encoder& encoder_;
  prompt_limits limits_;
};

}  // namespace detail

}  // namespace trimtab::io
