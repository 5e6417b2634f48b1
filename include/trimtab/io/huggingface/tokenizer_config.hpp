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
#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

/// The files that stand beside a vocabulary and change ids: `tokenizer_config.json`, `special_tokens_map.json` and
/// `added_tokens.json`, read as transformers 5 reads them (`PreTrainedTokenizerBase._from_pretrained`): where
/// tokenizer_config.json lists its added tokens in `added_tokens_decoder`, the other two count for nothing.

namespace trimtab::io {

/// The classes of transformers that read a vocabulary of this kind. Any other class takes a tokenizer.json as it is.
enum class tokenizer_class { gpt2, gpt_neox, other };

/// A special token to which the files give no id.
struct special_token {
  text::added_token token = {};
  bool is_named = true;   ///< has a name such as "pad_token"
  bool has_order = true;  ///< false for one of an object's members, which have none
};

struct tokenizer_config {
  std::string file = {};                          ///< tokenizer_config.json, for messages
  std::vector<std::string> files = {};            ///< the names of those that count
  std::vector<std::string> not_applied = {};      ///< the names of those that are there and count for nothing
  std::vector<text::added_token> added = {};      ///< in the order of the ids that the files state
  std::string added_file = {};                    ///< the file that states them
  std::vector<special_token> special = {};        ///< in the order in which they are added, unless they are there
  std::map<std::string, std::string> names = {};  ///< "bos_token" -> "<|endoftext|>"; null in the file -> ""
  std::optional<bool> add_prefix_space = {};
  std::optional<bool> add_bos_token = {};
  std::optional<bool> add_eos_token = {};
  bool split_special_tokens = false;  ///< the text of a special token is ordinary text
  std::string class_name = {};        ///< without "Fast"
  tokenizer_class kind = tokenizer_class::gpt2;
  json_entries entries = {};  ///< what of tokenizer_config.json counts
};

namespace detail {

class tokenizer_config_reader {
 public:
  /// The files of `folder`, null for those that are not there. The model's config.json says which class reads them, if
  /// tokenizer_config.json does not.
  tokenizer_config_reader(const std::filesystem::path& folder, const json& model, const json& config, const json& map,
                          const json& added) {
    const auto name = [&](const char* file) { return (folder / file).string(); };
    read_.file = read_.added_file = name("tokenizer_config.json");
    if (not config.is_null()) read_.files.push_back("tokenizer_config.json");
    choose_class(model, config);
    read_config(json_object(config.is_null() ? json::object() : config, read_.file));
    const bool has_list = config.is_object() and config.contains("added_tokens_decoder");
    for (const auto& [file, content] : {std::pair("special_tokens_map.json", &map), {"added_tokens.json", &added}})
      if (not content->is_null()) (has_list ? read_.not_applied : read_.files).push_back(file);
    if (has_list) return;
    if (not map.is_null()) read_tokens(json_object(map, name("special_tokens_map.json")), true);
    if (not added.is_null()) read_added(json_object(added, name("added_tokens.json")));
  }

  tokenizer_config take() {
    std::ranges::stable_sort(read_.added, {}, &text::added_token::id);
    for (std::size_t i = 0; i < read_.added.size(); ++i) places_.emplace(read_.added[i].content, i);
    for (const std::string key : standard) {
      if (const auto fallback = default_of(key); not fallback.empty() and not read_.names.contains(key)) {
        read_.names[key] = fallback;
        add_special({.content = fallback, .special = true, .normalized = false}, true, true);
      } else if (const auto found = tokens_.find(key); found != tokens_.end()) {
        add_special(found->second, true, true);
      }
    }
    for (const auto& [key, token] : tokens_)
      if (not is_standard(key)) add_special(token, true, false);
    for (const auto& token : extra_by_name_) add_special(token, true, false);
    for (const auto& token : extra_ ? *extra_ : additional_) add_special(token, false, true);
    return std::move(read_);
  }

 private:
  /// In the order in which transformers adds them.
  static constexpr auto standard = std::to_array<const char*>(
      {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"});

  static bool is_standard(std::string_view key) {
    return std::ranges::find(standard, key, [](const char* name) { return std::string_view(name); }) != standard.end();
  }

  void choose_class(const json& model, const json& config) {
    const auto text_in = [](const json& file, const char* key) {
      const bool is_text = file.is_object() and file.contains(key) and file[key].is_string();
      return is_text ? file[key].get<std::string>() : "";
    };
    read_.class_name = text_in(config, "tokenizer_class");
    if (read_.class_name.empty()) read_.class_name = text_in(model, "tokenizer_class");
    if (read_.class_name.ends_with("Fast")) read_.class_name.resize(read_.class_name.size() - 4);
    if (read_.class_name.empty())
      read_.class_name = text_in(model, "model_type") == "gpt_neox" ? "GPTNeoXTokenizer" : "GPT2Tokenizer";
    read_.kind = read_.class_name == "GPT2Tokenizer"      ? tokenizer_class::gpt2
                 : read_.class_name == "GPTNeoXTokenizer" ? tokenizer_class::gpt_neox
                                                          : tokenizer_class::other;
  }

  /// The token that the class has under a name that no file mentions.
  std::string default_of(std::string_view key) const {
    if (read_.kind == tokenizer_class::other) return "";
    if (key == "bos_token" or key == "eos_token" or key == "unk_token") return "<|endoftext|>";
    return key == "pad_token" and read_.kind == tokenizer_class::gpt_neox ? "<|padding|>" : "";
  }

  void add_special(const text::added_token& token, bool is_named, bool has_order) {
    if (const auto known = places_.find(token.content); known != places_.end())
      read_.added[known->second].special |= is_named;  // whatever its own entry says
    else if (not token.content.empty())
      read_.special.push_back({token, is_named, has_order});
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
      static_cast<void>(config.text("tokenizer_class"));
    read_tokens(config, false);
    const bool has_list = config.has("added_tokens_decoder");
    read_.entries = config.entries();
    if (not has_list) return;
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
  void read_tokens(const json_object& from, bool is_map) {
    const tokenizer_json_reader reader(from.file());
    for (const auto& [key, value] : from.value().items()) {
      const bool is_token = value.is_string() or value.is_object();
      if (not is_standard(key) and not(key.ends_with("_token") and is_token)) continue;
      from.use(key);
      if (not is_token and not value.is_null()) from.refuse(key, "a token or null");
      tokens_.erase(key);
      read_.names[key] = "";
      if (value.is_null()) continue;
      auto token = reader.added_token(value, is_map or value.is_string());
      token.special = true;
      read_.names[key] = token.content;
      tokens_.insert_or_assign(key, std::move(token));
    }
    const auto list = [&](const char* key) {
      std::vector<text::added_token> tokens;
      const auto& value = from.value().at(key);
      if (not value.is_array() and not value.is_object() and not value.is_null()) from.refuse(key, "a list of tokens");
      for (const auto& item : value) tokens.push_back(reader.added_token(item, is_map or item.is_string()));
      return tokens;
    };
    const auto says = [&](const char* key) { return from.has(key) and not from.value().at(key).empty(); };
    // The older name counts where nothing is said under the newer one; an object there leaves the list free.
    const char *newer = "extra_special_tokens", *older = "additional_special_tokens";
    const bool is_object = from.has(newer) and from.value().at(newer).is_object();
    if (is_object) {
      const auto named = list(newer);
      extra_by_name_.insert(extra_by_name_.end(), named.begin(), named.end());
      extra_.reset();
    } else if (says(newer) or (from.has(newer) and not from.has(older))) {
      const auto more = list(newer);
      if (not extra_) extra_.emplace();
      extra_->insert(extra_->end(), more.begin(), more.end());
    }
    if (not from.has(older)) return;
    if (is_map or says(newer))
      additional_ = list(older);
    else
      extra_ = list(older);
  }

  /// {token: id}
  void read_added(const json_object& ids) {
    const tokenizer_json_reader reader(ids.file());
    read_.added_file = ids.file();
    std::set<std::string, std::less<>> special;
    for (const auto& [key, token] : tokens_) special.insert(token.content);
    if (extra_)
      for (const auto& token : *extra_) special.insert(token.content);
    for (const auto& entry : ids.value().items()) {
      const bool is_special = special.contains(entry.key());
      add({.id = reader.id(entry.value(), text::in_quotes(entry.key())),
           .content = entry.key(),
           .special = is_special,
           .normalized = not is_special});
    }
  }

  tokenizer_config read_ = {};
  std::map<std::string, std::size_t, std::less<>> places_ = {};  ///< in read_.added, by content
  std::map<std::string, text::added_token, std::less<>> tokens_ = {};
  std::vector<text::added_token> extra_by_name_ = {}, additional_ = {};
  std::optional<std::vector<text::added_token>> extra_ = {};
};

}  // namespace detail

/// What the files in `folder` say; nothing of them needs to be there. Throws `bad_file` or `bad_config`, naming file
/// and key.
inline tokenizer_config read_tokenizer_config(const std::filesystem::path& folder) {
  const auto read = [&](const char* name) {
    return is_present(folder / name) ? json_object(read_json_file(folder / name), (folder / name).string()).value()
                                     : json();
  };
  return detail::tokenizer_config_reader(folder, read("config.json"), read("tokenizer_config.json"),
                                         read("special_tokens_map.json"), read("added_tokens.json"))
      .take();
}

}  // namespace trimtab::io
