// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/io/files/input_file.hpp>
#include <trimtab/io/json/json.hpp>

#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

/// The tokens that end a generated text.

namespace trimtab::io {

struct end_tokens {
  std::vector<int> ids = {};
  std::string stated_by = {};              ///< the file; empty if nothing states any
  std::vector<std::string> not_used = {};  ///< the entries of generation_config.json that would change a generated text
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

/// The entries that would change a generated text but are not used: all but those that state token ids or say nothing.
inline std::vector<std::string> settings_of_sampling(const json_object& file) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : file.value().items())
    if (not value.is_null() and value != json(false) and not key.ends_with("_token_id") and
        key != "transformers_version" and not key.starts_with('_'))
      keys.push_back(key);
  return keys;
}

}  // namespace detail

/// `eos_token_id`, a number or a list, of `generation_config.json`, else of `config.json`; where neither has the key, the
/// token that the tokenizer names `eos_token`. Null means that no token ends a text. (transformers does not look into
/// config.json where there is a generation_config.json.) Throws `bad_file` or `bad_config`.
inline end_tokens read_end_tokens(const std::filesystem::path& folder, const std::map<std::string, int>& named) {
  end_tokens found;
  for (const auto name : {"generation_config.json", "config.json"}) {
    const auto path = folder / name;
    if (not is_present(path)) continue;
    const auto file = json_object(read_json_file(path), path.string());
    if (path.filename() == "generation_config.json") found.not_used = detail::settings_of_sampling(file);
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
