// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/io/huggingface/merge_lines.hpp>
#include <trimtab/io/json/json.hpp>
#include <trimtab/text/tokenizer.hpp>
#include <trimtab/text/utf8.hpp>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

/// Hugging Face's `tokenizer.json` as the library `tokenizers` reads it: what byte-level BPE tokenizers such as GPT-2's
/// and GPT-NeoX's contain is used, anything else that would change ids is refused by name. The decoder changes no ids;
/// truncation and padding are not applied, because prompts are neither cut nor filled up.

namespace trimtab::io {

/// Reads one file; errors name it.
class tokenizer_json_reader {
 public:
  explicit tokenizer_json_reader(std::string file) : file_(std::move(file)) {}

  text::tokenizer_data whole(const json& root) const {
    text::tokenizer_data data;
    const auto& model = model_of(root);
    data.vocabulary = vocabulary(entry(model, "vocab"), "model.vocab");
    data.merges = merges(entry(model, "merges"));
    data.nfc = nfc(root);
    data.add_prefix_space = add_prefix_space(root);
    if (const auto& version = entry(root, "version"); not version.is_null() and version != "1.0")
      unsupported("the version", "\"1.0\"", version);
    if (const auto& tokens = entry(root, "added_tokens"); not tokens.is_null())
      data.added_tokens = added_tokens(tokens);
    read_template(root, data);
    return data;
  }

  std::vector<std::pair<std::string, int>> vocabulary(const json& object, const std::string& name) const {
    if (not object.is_object()) refuse(name, "an object of tokens and ids", object);
    std::vector<std::pair<std::string, int>> tokens;
    tokens.reserve(object.size());
    for (const auto& [token, value] : object.items()) tokens.emplace_back(token, id(value, text::in_quotes(token)));
    return tokens;
  }

  /// An added token as an object, or as its text alone; `special` is what it is if it does not say so. It has no id.
  text::added_token added_token(const json& item, bool is_special = false) const {
    if (item.is_string())
      return {.content = item.get<std::string>(), .special = is_special, .normalized = not is_special};
    const auto& content = entry(item, "content");
    if (not content.is_string()) refuse("\"content\" of an added token", "a string", content);
    const auto name = text::in_quotes(content.get_ref<const std::string&>());
    const auto special = flag(item, "special", is_special, name);
    return {.content = content,
            .special = special,
            .normalized = flag(item, "normalized", not special, name),
            .single_word = flag(item, "single_word", false, name),
            .lstrip = flag(item, "lstrip", false, name),
            .rstrip = flag(item, "rstrip", false, name)};
  }

  int id(const json& value, const std::string& token) const {
    // As a number: to order JSON values takes seconds to compile, in every source that includes this header.
    const auto found = value.is_number_integer() ? value.get<std::int64_t>() : -1;
    if (found < 0 or found >= text::token_id_limit)
      refuse("the id of the token " + token, "a whole number from 0 to " + std::to_string(text::token_id_limit - 1),
             value);
    return static_cast<int>(found);
  }

 private:
  [[noreturn]] void refuse(const std::string& name, const std::string& expected, const json& found) const {
    throw error(error_kind::bad_file,
                "'" + file_ + "': " + name + " should be " + expected + ", found " + abbreviated(found));
  }
  [[noreturn]] void unsupported(const std::string& name, const std::string& supported, const json& found) const {
    throw error(error_kind::bad_config,
                "'" + file_ + "': " + name + " " + abbreviated(found) + " is not supported, only " + supported + " is");
  }

  /// The value of `key`, null if there is none.
  static const json& entry(const json& object, const std::string& key) {
    static const json nothing;
    const auto found = object.find(key);
    return found == object.end() ? nothing : *found;
  }

  /// The value of "type", null if there is none or `object` is not an object.
  static const json& type_of(const json& object) { return entry(object, "type"); }

  bool flag(const json& object, const char* key, bool fallback, const std::string& owner) const {
    const auto& value = entry(object, key);
    if (value.is_null()) return fallback;
    if (not value.is_boolean()) refuse("\"" + std::string(key) + "\" of " + owner, "true or false", value);
    return value.get<bool>();
  }

  const json& model_of(const json& root) const {
    if (not root.is_object()) refuse("the file", "an object", root);
    const auto& model = entry(root, "model");
    if (not model.is_object()) refuse("\"model\"", "an object", model);
    // The first files of this format had no type.
    if (const auto& type = type_of(model); not type.is_null() and type != "BPE")
      unsupported("the model type", "\"BPE\"", type);
    for (const auto* const key : {"continuing_subword_prefix", "end_of_word_suffix"})
      if (const auto& affix = entry(model, key); not affix.is_null() and affix != json(""))
        unsupported(key, "none", affix);
    if (const auto& dropout = entry(model, "dropout"); not dropout.is_null() and dropout != 0)
      unsupported("dropout", "none", dropout);
    if (flag(model, "ignore_merges", false, "the model")) unsupported("ignore_merges", "false", true);
    return model;
  }

  std::vector<std::pair<std::string, std::string>> merges(const json& list) const {
    if (not list.is_array()) refuse("model.merges", "a list", list);
    std::vector<std::pair<std::string, std::string>> pairs;
    pairs.reserve(list.size());
    for (const auto& merge : list) {
      const auto where = "merge " + std::to_string(pairs.size() + 1);
      if (merge.is_string() != list.front().is_string())
        refuse(where, list.front().is_string() ? "a string, as the first one is" : "a list, as the first one is",
               merge);
      if (merge.is_string())
        pairs.push_back(merge_of(merge.get_ref<const std::string&>(), file_, where));
      else if (merge.is_array() and merge.size() == 2 and merge[0].is_string() and merge[1].is_string())
        pairs.emplace_back(merge[0], merge[1]);
      else
        refuse(where, "two tokens", merge);
    }
    require_distinct(pairs, file_);
    return pairs;
  }

  /// The parts of a normalizer or pre-tokenizer: a "Sequence" has several, null has none.
  static std::vector<json> parts_of(const json& step, const char* list) {
    if (step.is_null()) return {};
    if (type_of(step) != "Sequence") return {step};
    const auto& parts = entry(step, list);
    return parts.is_array() ? std::vector<json>(parts.begin(), parts.end()) : std::vector<json>{parts};
  }

  bool nfc(const json& root) const {
    const auto parts = parts_of(entry(root, "normalizer"), "normalizers");
    for (const auto& part : parts)
      if (type_of(part) != "NFC") unsupported("the normalizer", "\"NFC\"", part);
    return not parts.empty();
  }

  bool add_prefix_space(const json& root) const {
    const auto& step = entry(root, "pre_tokenizer");
    const auto parts = parts_of(step, "pretokenizers");
    if (parts.size() != 1 or type_of(parts[0]) != "ByteLevel" or
        not flag(parts[0], "use_regex", true, "the pre-tokenizer"))
      unsupported("the pre-tokenizer", "\"ByteLevel\" with \"use_regex\"", step);
    return flag(parts[0], "add_prefix_space", true, "the pre-tokenizer");
  }

  std::vector<text::added_token> added_tokens(const json& list) const {
    if (not list.is_array()) refuse("\"added_tokens\"", "a list", list);
    std::vector<text::added_token> tokens;
    for (const auto& item : list) {
      tokens.push_back(added_token(item));
      tokens.back().id = id(entry(item, "id"), text::in_quotes(tokens.back().content));
    }
    return tokens;
  }

  /// The ids that the template of a post-processor puts before and after a text. "ByteLevel" changes only offsets.
  void read_template(const json& root, text::tokenizer_data& data) const {
    bool is_first = true;
    for (const auto& part : parts_of(entry(root, "post_processor"), "processors")) {
      if (type_of(part) == "ByteLevel") continue;
      if (type_of(part) != "TemplateProcessing")
        unsupported("the post-processor", "\"ByteLevel\" or \"TemplateProcessing\"", part);
      if (not std::exchange(is_first, false)) unsupported("a second", "one \"TemplateProcessing\"", part);
      const auto& single = entry(part, "single");
      if (not single.is_array()) refuse("\"single\" of the post-processor", "a list", single);
      bool is_before = true;
      for (const auto& piece : single) {
        if (const auto& text = entry(piece, "Sequence"); not text.is_null()) {
          if (entry(text, "id") != "A" or not std::exchange(is_before, false))
            refuse("\"single\" of the post-processor", "a template with one sequence, \"A\"", single);
          continue;
        }
        const auto& name = entry(entry(piece, "SpecialToken"), "id");
        if (not name.is_string()) refuse("\"single\" of the post-processor", "a list of tokens and sequences", single);
        const auto& ids = entry(entry(entry(part, "special_tokens"), name.get_ref<const std::string&>()), "ids");
        const auto token = text::in_quotes(name.get_ref<const std::string&>());
        if (not ids.is_array()) refuse("\"ids\" of " + token + " in the post-processor", "a list of token ids", ids);
        for (const auto& value : ids) (is_before ? data.before : data.after).push_back(id(value, token));
      }
      if (is_before) refuse("\"single\" of the post-processor", "a template with one sequence, \"A\"", single);
    }
  }

  std::string file_;
};

}  // namespace trimtab::io
