// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/io/files/input_file.hpp>
#include <trimtab/io/huggingface/tokenizer_json.hpp>
#include <trimtab/io/json/json.hpp>
#include <trimtab/text/added_tokens.hpp>
#include <trimtab/text/utf8.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// The files that stand beside a vocabulary and change ids: `tokenizer_config.json`, `special_tokens_map.json` and
/// `added_tokens.json`, read as transformers 5 reads them (`PreTrainedTokenizerBase._from_pretrained`): where
/// tokenizer_config.json lists its added tokens in `added_tokens_decoder`, the other two count for nothing.

namespace trimtab::io {

/// A special token to which the files give no id.
struct special_token {
  text::added_token token = {};
  bool has_order = true;  ///< false for one of an object's members, which have none
};

struct tokenizer_config {
  std::string file = {};                          ///< tokenizer_config.json, for messages
  std::vector<text::added_token> added = {};      ///< in the order of the ids that the files state
  std::vector<special_token> special = {};        ///< in the order in which they are added, unless they are there
  std::map<std::string, std::string> names = {};  ///< "bos_token" -> "<|endoftext|>"; null in the file -> ""
  std::optional<bool> add_prefix_space = {};
  std::optional<bool> add_bos_token = {};
  std::optional<bool> add_eos_token = {};
  bool split_special_tokens = false;  ///< the text of a special token is ordinary text
  std::string tokenizer_class = {};
  json_entries entries = {};  ///< what of tokenizer_config.json counts
};

namespace detail {

class tokenizer_config_reader {
 public:
  /// Of files that are not there, nothing. `folder` is for messages.
  tokenizer_config_reader(const std::filesystem::path& folder, std::optional<json> config, std::optional<json> map,
                          std::optional<json> added) {
    const auto name = [&](const char* file) { return (folder / file).string(); };
    read_.file = name("tokenizer_config.json");
    read_config(json_object(std::move(config).value_or(json::object()), read_.file));
    if (has_list_) return;
    if (map) read_tokens(json_object(*std::move(map), name("special_tokens_map.json")));
    if (added) read_added(json_object(*std::move(added), name("added_tokens.json")));
  }

  tokenizer_config take() {
    std::ranges::stable_sort(read_.added, {}, &text::added_token::id);
    for (const auto key : standard)
      if (const auto found = tokens_.find(key); found != tokens_.end()) add_special(found->second, true);
    for (const auto& [key, token] : tokens_)
      if (not is_standard(key)) add_special(token, false);
    for (const auto& token : extra_by_name_) add_special(token, false);
    for (const auto& token : extra_) add_special(token, true);
    return std::move(read_);
  }

 private:
  /// In the order in which transformers adds them.
  static constexpr auto standard = std::to_array<std::string_view>(
      {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"});

  static bool is_standard(std::string_view key) { return std::ranges::find(standard, key) != standard.end(); }

  /// A token that has a name is special, whatever its own entry says.
  void add_special(const text::added_token& token, bool has_order) {
    const auto known = std::ranges::find(read_.added, token.content, &text::added_token::content);
    if (known != read_.added.end())
      known->special = true;
    else if (not token.content.empty())
      read_.special.push_back({token, has_order});
  }

  void read_config(const json_object& config) {
    const auto maybe = [&](const char* key) {
      return config.has(key) and not config.is_null(key) ? std::optional(config.flag(key)) : std::nullopt;
    };
    read_.add_prefix_space = maybe("add_prefix_space");
    read_.add_bos_token = maybe("add_bos_token");
    read_.add_eos_token = maybe("add_eos_token");
    read_.split_special_tokens = maybe("split_special_tokens").value_or(false);
    if (config.has("tokenizer_class") and not config.is_null("tokenizer_class"))
      read_.tokenizer_class = config.text("tokenizer_class");
    read_tokens(config);
    has_list_ = config.has("added_tokens_decoder");
    read_.entries = config.entries();
    if (not has_list_) return;
    const auto list = config.object("added_tokens_decoder");
    for (const auto& [key, item] : list.value().items()) {
      auto token = tokenizer_json_reader(read_.file).added_token(item);
      if (not item.is_object()) list.refuse(key, "an object with the token's \"content\"");
      const auto end = key.data() + key.size();
      if (std::from_chars(key.data(), end, token.id) != std::from_chars_result{end, std::errc()})
        throw error(error_kind::bad_config, "'" + read_.file + "': the key " + text::in_quotes(key) +
                                                " of \"added_tokens_decoder\" should be a token id");
      add(std::move(token));
    }
  }

  void add(text::added_token token) {
    if (not token.content.empty()) read_.added.push_back(std::move(token));
  }

  /// The named tokens of one of the two files; those of special_tokens_map.json replace those of the other.
  void read_tokens(const json_object& from) {
    const tokenizer_json_reader reader(from.file());
    for (const auto& [key, value] : from.value().items()) {
      const bool is_token = value.is_string() or value.is_object();
      if (not is_standard(key) and not(key.ends_with("_token") and is_token)) continue;
      if (not is_token and not from.is_null(key)) from.refuse(key, "a token or null");
      if (is_token)
        tokens_.insert_or_assign(key, reader.added_token(value, true));
      else
        tokens_.erase(key);
      read_.names[key] = is_token ? tokens_.at(key).content : "";
    }
    for (const auto key : {"extra_special_tokens", "additional_special_tokens"}) {
      if (not from.has(key) or from.is_null(key) or from.value().at(key).empty()) continue;
      const auto& value = from.value().at(key);
      if (value.is_object()) {
        for (const auto& [name, token] : value.items()) extra_by_name_.push_back(reader.added_token(token, true));
      } else if (value.is_array()) {
        for (const auto& token : value) extra_.push_back(reader.added_token(token, true));
      } else {
        from.refuse(key, "a list of tokens");
      }
      break;  // the older name counts only where the newer one says nothing
    }
  }

  /// {token: id}
  void read_added(const json_object& ids) {
    const tokenizer_json_reader reader(ids.file());
    for (const auto& entry : ids.value().items()) {
      const auto is_same = [&](const text::added_token& token) { return token.content == entry.key(); };
      const bool is_special = std::ranges::any_of(tokens_, is_same, [](const auto& named) { return named.second; }) or
                              std::ranges::any_of(extra_, is_same);
      add({.id = reader.id(entry.value(), text::in_quotes(entry.key())),
           .content = entry.key(),
           .special = is_special,
           .normalized = not is_special});
    }
  }

  tokenizer_config read_ = {};
  std::map<std::string, text::added_token, std::less<>> tokens_ = {};
  std::vector<text::added_token> extra_ = {}, extra_by_name_ = {};
  bool has_list_ = false;
};

}  // namespace detail

/// What the files in `folder` say; nothing of them needs to be there. Throws `bad_file` or `bad_config`, naming file and
/// key.
inline tokenizer_config read_tokenizer_config(const std::filesystem::path& folder) {
  const auto read = [&](const char* name) {
    return is_present(folder / name) ? std::optional(read_json_file(folder / name)) : std::nullopt;
  };
  return detail::tokenizer_config_reader(folder, read("tokenizer_config.json"), read("special_tokens_map.json"),
                                         read("added_tokens.json"))
      .take();
}

}  // namespace trimtab::io
