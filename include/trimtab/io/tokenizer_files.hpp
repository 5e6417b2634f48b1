// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/io/json.hpp>
#include <trimtab/io/mapped_file.hpp>
#include <trimtab/text/tokenizer.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// A tokenizer from the files that models come with: Hugging Face's `tokenizer.json`; `vocab.json` with `merges.txt`; or
/// `encoder.json` with `vocab.bpe`, as OpenAI published GPT-2. The latter two name no added tokens: GPT-2's are known.

namespace trimtab::io {

namespace detail {

/// Reading of one `tokenizer.json`, or of one pair of files; `file` is named in complaints.
class tokenizer_reader {
 public:
  explicit tokenizer_reader(std::string file) : file_(std::move(file)) {}

  text::tokenizer_data tokenizer_json(json const& root) const {
    text::tokenizer_data data;
    auto const& model = model_of(root);
    data.vocabulary = vocabulary(entry(model, "vocab"), "model.vocab");
    data.merges = merges(entry(model, "merges"));
    data.nfc = nfc(root);
    data.add_prefix_space = add_prefix_space(root);
    if (auto const& tokens = entry(root, "added_tokens"); not tokens.is_null())
      data.added_tokens = added_tokens(tokens);
    return data;
  }

  std::vector<std::pair<std::string, int>> vocabulary(json const& object, std::string const& name) const {
    if (not object.is_object()) refuse(name, "an object of tokens and ids", object);
    std::vector<std::pair<std::string, int>> tokens;
    tokens.reserve(object.size());
    for (auto const& [token, value] : object.items()) tokens.emplace_back(token, id(value, text::in_quotes(token)));
    return tokens;
  }

  /// The lines "left right" of `merges.txt`. Only the first line can be a comment: GPT-2 has merges of "#" signs.
  std::vector<std::pair<std::string, std::string>> merge_lines(std::string_view lines) const {
    std::vector<std::pair<std::string, std::string>> pairs;
    for (std::size_t number = 1; not lines.empty(); ++number) {
      auto const end = std::min(lines.find('\n'), lines.size());
      auto line = lines.substr(0, end);
      lines.remove_prefix(std::min(end + 1, lines.size()));
      if (line.ends_with('\r')) line.remove_suffix(1);
      auto const is_comment = number == 1 and line.starts_with("#version");
      if (not is_comment and not line.empty()) pairs.push_back(pair_of(line, "line " + std::to_string(number)));
    }
    return pairs;
  }

 private:
  [[noreturn]] void refuse(std::string const& name, std::string const& expected, json const& found) const {
    throw error(error_kind::bad_file,
                "'" + file_ + "': " + name + " should be " + expected + ", found " + abbreviated(found));
  }
  [[noreturn]] void unsupported(std::string const& name, std::string const& supported, json const& found) const {
    throw error(error_kind::bad_config,
                "'" + file_ + "': " + name + " " + abbreviated(found) + " is not supported, only " + supported + " is");
  }

  /// The value of `key`, null if there is none.
  static json const& entry(json const& object, char const* key) {
    static json const nothing;
    auto const found = object.find(key);
    return found == object.end() ? nothing : *found;
  }

  /// The value of "type", null if there is none or `object` is not an object.
  static json const& type_of(json const& object) { return entry(object, "type"); }

  bool flag(json const& object, char const* key, bool fallback, std::string const& owner) const {
    auto const& value = entry(object, key);
    if (value.is_null()) return fallback;
    if (not value.is_boolean()) refuse("\"" + std::string(key) + "\" of " + owner, "true or false", value);
    return value.get<bool>();
  }

  int id(json const& value, std::string const& token) const {
    if (not value.is_number_integer() or value < 0 or value >= text::tokenizer_id_limit)
      refuse("the id of the token " + token, "a whole number from 0 to " + std::to_string(text::tokenizer_id_limit - 1),
             value);
    return value.get<int>();
  }

  json const& model_of(json const& root) const {
    if (not root.is_object()) refuse("the file", "an object", root);
    auto const& model = entry(root, "model");
    if (not model.is_object()) refuse("\"model\"", "an object", model);
    // The first files of this format had no type.
    if (auto const& type = type_of(model); not type.is_null() and type != "BPE")
      unsupported("the model type", "\"BPE\"", type);
    for (auto const* const key : {"continuing_subword_prefix", "end_of_word_suffix"})
      if (auto const& affix = entry(model, key); not affix.is_null() and affix != "") unsupported(key, "none", affix);
    if (auto const& dropout = entry(model, "dropout"); not dropout.is_null() and dropout != 0)
      unsupported("dropout", "none", dropout);
    if (flag(model, "ignore_merges", false, "the model")) unsupported("ignore_merges", "false", true);
    return model;
  }

  std::pair<std::string, std::string> pair_of(std::string_view merge, std::string const& where) const {
    auto const space = merge.find(' ');
    if (space == 0 or space >= merge.size() - 1 or merge.find(' ', space + 1) != merge.npos)
      throw error(error_kind::bad_file, "'" + file_ + "': " + where +
                                            " should be two tokens with a space between them, found " +
                                            text::in_quotes(merge));
    return {std::string(merge.substr(0, space)), std::string(merge.substr(space + 1))};
  }

  std::vector<std::pair<std::string, std::string>> merges(json const& list) const {
    if (not list.is_array()) refuse("model.merges", "a list", list);
    std::vector<std::pair<std::string, std::string>> pairs;
    pairs.reserve(list.size());
    for (auto const& merge : list) {
      auto const where = "merge " + std::to_string(pairs.size() + 1);
      if (merge.is_string())
        pairs.push_back(pair_of(merge.get_ref<std::string const&>(), where));
      else if (merge.is_array() and merge.size() == 2 and merge[0].is_string() and merge[1].is_string())
        pairs.emplace_back(merge[0], merge[1]);
      else
        refuse(where, "two tokens", merge);
    }
    return pairs;
  }

  /// The parts of a normalizer or pre-tokenizer: a "Sequence" has several, null has none.
  static std::vector<json> parts_of(json const& step, char const* list) {
    if (step.is_null()) return {};
    if (type_of(step) != "Sequence") return {step};
    auto const& parts = entry(step, list);
    return parts.is_array() ? std::vector<json>(parts.begin(), parts.end()) : std::vector<json>{parts};
  }

  bool nfc(json const& root) const {
    auto const parts = parts_of(entry(root, "normalizer"), "normalizers");
    for (auto const& part : parts)
      if (type_of(part) != "NFC") unsupported("the normalizer", "\"NFC\"", part);
    return not parts.empty();
  }

  bool add_prefix_space(json const& root) const {
    auto const& step = entry(root, "pre_tokenizer");
    auto const parts = parts_of(step, "pretokenizers");
    if (parts.size() != 1 or type_of(parts[0]) != "ByteLevel" or
        not flag(parts[0], "use_regex", true, "the pre-tokenizer"))
      unsupported("the pre-tokenizer", "\"ByteLevel\" with \"use_regex\"", step);
    return flag(parts[0], "add_prefix_space", true, "the pre-tokenizer");
  }

  std::vector<text::added_token> added_tokens(json const& list) const {
    if (not list.is_array()) refuse("\"added_tokens\"", "a list", list);
    std::vector<text::added_token> tokens;
    for (auto const& item : list) {
      auto const& content = entry(item, "content");
      if (not content.is_string()) refuse("\"content\" of an added token", "a string", content);
      auto const name = text::in_quotes(content.get_ref<std::string const&>());
      auto const special = flag(item, "special", false, name);
      tokens.push_back({.id = id(entry(item, "id"), name),
                        .content = content,
                        .special = special,
                        .normalized = flag(item, "normalized", not special, name),
                        .single_word = flag(item, "single_word", false, name),
                        .lstrip = flag(item, "lstrip", false, name),
                        .rstrip = flag(item, "rstrip", false, name)});
    }
    return tokens;
  }

  std::string file_;
};

/// The tokenizer of `data`; complaints name the file that the data is from.
inline text::tokenizer make_tokenizer(text::tokenizer_data const& data, std::string const& file) {
  try {
    return text::tokenizer(data);
  } catch (error const& problem) {
    throw error(problem.kind(), "'" + file + "': " + problem.what());
  }
}

}  // namespace detail

/// The tokenizer that one `tokenizer.json`, of whatever name, describes.
inline text::tokenizer read_tokenizer_json(std::filesystem::path const& file) {
  auto const name = file.string();
  return detail::make_tokenizer(detail::tokenizer_reader(name).tokenizer_json(read_json_file(file)), name);
}

/// The tokenizer of GPT-2 from a vocabulary (an object of tokens and ids) and a list of merges (a pair of tokens a line).
inline text::tokenizer read_tokenizer_pair(std::filesystem::path const& vocabulary,
                                           std::filesystem::path const& merges) {
  text::tokenizer_data data;
  data.vocabulary = detail::tokenizer_reader(vocabulary.string()).vocabulary(read_json_file(vocabulary), "the file");
  data.merges = detail::tokenizer_reader(merges.string()).merge_lines(mapped_file(merges).text());
  auto const end_of_text = [](auto const& entry) { return entry.first == "<|endoftext|>"; };
  if (auto const found = std::ranges::find_if(data.vocabulary, end_of_text); found != data.vocabulary.end())
    data.added_tokens.push_back({.id = found->second, .content = found->first, .special = true, .normalized = false});
  return detail::make_tokenizer(data, vocabulary.string() + "' with '" + merges.string());
}

/// The tokenizer in a model's folder (or in the `tokenizer.json` at `path`). Throws `io` where there are no files,
/// `bad_file` where they are malformed, `bad_config` where they ask for something that is not supported.
inline text::tokenizer read_tokenizer(std::filesystem::path const& path) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  if (fs::is_regular_file(path, ignored)) return read_tokenizer_json(path);
  if (fs::exists(path / "tokenizer.json", ignored)) return read_tokenizer_json(path / "tokenizer.json");
  for (auto const& [vocabulary, merges] : {std::pair{"vocab.json", "merges.txt"}, {"encoder.json", "vocab.bpe"}})
    if (fs::exists(path / vocabulary, ignored) and fs::exists(path / merges, ignored))
      return read_tokenizer_pair(path / vocabulary, path / merges);
  throw error(error_kind::io, "'" + path.string() + "' holds no tokenizer: looked for 'tokenizer.json', for " +
                                  "'vocab.json' with 'merges.txt', and for 'encoder.json' with 'vocab.bpe'");
}

}  // namespace trimtab::io
