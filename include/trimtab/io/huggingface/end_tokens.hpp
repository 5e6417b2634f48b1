// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/io/files/input_file.hpp>
#include <trimtab/io/json/json.hpp>

#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <string>
#include <vector>

/// What a model folder says of generated texts: the tokens that end them, from generation_config.json, config.json or
/// the tokenizer, and the settings of sampling that nothing here uses.

namespace trimtab::io {

struct end_tokens {
  std::vector<int> ids = {};
  std::string stated_by = {};  ///< the file; empty if nothing states any
  /// What generation_config.json (without one, config.json) says of generation and nothing uses.
  std::vector<std::string> not_used = {};
};

namespace detail {

/// The ids under `key`: of a number, of a list of them, none of null.
inline std::vector<int> token_ids_in(const json_object& file, const std::string& key) {
  const auto& value = file.value().at(key);
  if (value.is_null()) return {};
  std::vector<int> ids;
  for (const auto& one : value.is_array() ? value : json::array({value})) {
    // Some folders write -1 for a token that never occurs.
    const bool is_id =
        one.is_number_integer() and
        (not one.is_number_unsigned() or one.get<std::uint64_t>() <= std::uint64_t{std::numeric_limits<int>::max()}) and
        one.get<std::int64_t>() >= std::numeric_limits<int>::min();
    if (not is_id) file.refuse(key, "a token id, a list of token ids or null");
    ids.push_back(one.get<int>());
  }
  return ids;
}

/// The entries of generation_config.json that would change a generated text: all but those that say nothing, name the
/// file's maker, or state the tokens that begin, end and fill up texts.
inline std::vector<std::string> unused_settings(const json_object& file) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : file.value().items()) {
    const bool says_nothing = value.is_null() or value == json(false) or key.starts_with('_');
    const bool is_known = key == "transformers_version" or key == "bos_token_id" or key == "eos_token_id" or
                          key == "pad_token_id" or key == "decoder_start_token_id";
    if (not says_nothing and not is_known) keys.push_back(key);
  }
  return keys;
}

/// The same of config.json, where older models keep some, usually with values that change nothing.
inline std::vector<std::string> unused_settings_of_model(const json_object& file) {
  static const std::map<std::string, json> neutral = {
      {"bad_words_ids", nullptr},         {"forced_bos_token_id", nullptr},
      {"forced_eos_token_id", nullptr},   {"min_length", 0},
      {"no_repeat_ngram_size", 0},        {"num_beams", 1},
      {"repetition_penalty", 1.0},        {"suppress_tokens", nullptr},
      {"begin_suppress_tokens", nullptr}, {"encoder_no_repeat_ngram_size", 0}};
  std::vector<std::string> keys;
  for (const auto& [key, value] : neutral)
    if (file.value().contains(key) and not file.value().at(key).is_null() and file.value().at(key) != value)
      keys.push_back(key);
  return keys;
}

}  // namespace detail

/// `eos_token_id`, a number or a list, of `generation_config.json`, else of `config.json`; where neither has the key,
/// the token that the tokenizer names `eos_token`. Null means that no token ends a text. (transformers does not look
/// into config.json where there is a generation_config.json.) Throws `bad_file` or `bad_config`.
inline end_tokens read_end_tokens(const std::filesystem::path& folder, const std::map<std::string, int>& named) {
  end_tokens found;
  for (const auto name : {"generation_config.json", "config.json"}) {
    const auto path = folder / name;
    if (not is_present(path)) continue;
    const auto file = json_object(read_json_file(path), path.string());
    if (path.filename() == "generation_config.json")
      found.not_used = detail::unused_settings(file);
    else if (not is_present(folder / "generation_config.json"))
      found.not_used = detail::unused_settings_of_model(file);
    if (not file.has("eos_token_id")) continue;
    found.ids = detail::token_ids_in(file, "eos_token_id");
    found.stated_by = path.string();
    return found;
  }
  if (const auto end = named.find("eos_token"); end != named.end()) {
    found.ids = {end->second};
    found.stated_by = "the tokenizer in '" + folder.string() + "'";
  }
  return found;
}

}  // namespace trimtab::io
