// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/io/files/input_file.hpp>
#include <trimtab/io/huggingface/merge_lines.hpp>
#include <trimtab/io/huggingface/tokenizer_json.hpp>
#include <trimtab/io/json/json.hpp>
#include <trimtab/text/tokenizer.hpp>
#include <trimtab/text/utf8.hpp>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

/// A tokenizer from the files that models come with: Hugging Face's `tokenizer.json`; `vocab.json` with `merges.txt`;
/// or `encoder.json` with `vocab.bpe`, as OpenAI published GPT-2. The pairs list no added tokens, so GPT-2's one is
/// built in. Of a `tokenizer_config.json` beside them only `add_prefix_space` changes ids.

namespace trimtab::io {

namespace detail {

/// The tokenizer of `data`; errors name the file that the data came from.
inline text::tokenizer make_tokenizer(const text::tokenizer_data& data, const std::string& file) {
  try {
    return text::tokenizer(data);
  } catch (const error& problem) {
    throw error(problem.kind(), "'" + file + "': " + problem.what());
  }
}

/// The `add_prefix_space` of `tokenizer_config.json`, if there is one.
inline std::optional<bool> configured_prefix_space(const std::filesystem::path& folder) {
  const auto file = folder / "tokenizer_config.json";
  if (not is_present(file)) return std::nullopt;
  const auto config = json_object(read_json_file(file), file.string());
  const auto key = "add_prefix_space";
  return config.has(key) and not config.is_null(key) ? std::optional(config.flag(key)) : std::nullopt;
}

/// Throws `bad_file` for missing merges, without which every text would silently be split into bytes.
inline void require_merges(const text::tokenizer_data& data, const std::string& vocabulary, const std::string& merges) {
  const auto is_merged = [&](const auto& entry) {
    return text::first_utf8_step(entry.first).length < entry.first.size() and
           (data.added_tokens.empty() or entry.first != data.added_tokens.front().content);
  };
  const auto token = std::ranges::find_if(data.vocabulary, is_merged);
  if (data.merges.empty() and token != data.vocabulary.end())
    throw error(error_kind::bad_file, "'" + merges + "' holds no merges, without which the token " +
                                          text::in_quotes(token->first) + " of '" + vocabulary + "' cannot be made");
}

}  // namespace detail

/// The tokenizer of one `tokenizer.json`, under any file name. Throws `bad_config` if a `tokenizer_config.json` beside
/// it contradicts it.
inline text::tokenizer read_tokenizer_json(const std::filesystem::path& file) {
  const auto name = file.string();
  const auto data = tokenizer_json_reader(name).whole(read_json_file(file));
  if (detail::configured_prefix_space(file.parent_path()).value_or(data.add_prefix_space) != data.add_prefix_space)
    throw error(error_kind::bad_config, "'" + (file.parent_path() / "tokenizer_config.json").string() +
                                            "': \"add_prefix_space\" is " + (data.add_prefix_space ? "false" : "true") +
                                            ", but '" + name +
                                            "' says the opposite; the ids depend on it, so make the two agree");
  return detail::make_tokenizer(data, name);
}

/// A tokenizer like GPT-2's from a vocabulary (an object of tokens and ids) and merges (two tokens per line).
inline text::tokenizer read_tokenizer_pair(const std::filesystem::path& vocabulary,
                                           const std::filesystem::path& merges) {
  const auto more = vocabulary.parent_path() / "added_tokens.json";
  if (is_present(more))
    throw error(error_kind::bad_config,
                "'" + more.string() + "' adds tokens to '" + vocabulary.string() +
                    "', which is supported only within a tokenizer.json; save the tokenizer as one");
  text::tokenizer_data data;
  data.vocabulary = tokenizer_json_reader(vocabulary.string()).vocabulary(read_json_file(vocabulary), "the file");
  data.merges = merges_of(input_file(merges).text(), merges.string());
  data.add_prefix_space = detail::configured_prefix_space(vocabulary.parent_path()).value_or(false);
  const auto end_of_text = [](const auto& entry) { return entry.first == "<|endoftext|>"; };
  if (const auto found = std::ranges::find_if(data.vocabulary, end_of_text); found != data.vocabulary.end())
    data.added_tokens.push_back({.id = found->second, .content = found->first, .special = true, .normalized = false});
  detail::require_merges(data, vocabulary.string(), merges.string());
  return detail::make_tokenizer(data, vocabulary.string() + "' with '" + merges.string());
}

/// The tokenizer in a model's folder (or in the `tokenizer.json` at `path`). Throws `io` where there are no files,
/// `bad_file` where they are malformed, `bad_config` where they ask for something that is not supported.
inline text::tokenizer read_tokenizer(const std::filesystem::path& path) {
  std::error_code ignored;
  if (std::filesystem::is_regular_file(path, ignored)) return read_tokenizer_json(path);
  if (is_present(path / "tokenizer.json")) return read_tokenizer_json(path / "tokenizer.json");
  for (const auto& [vocabulary, merges] : {std::pair{"vocab.json", "merges.txt"}, {"encoder.json", "vocab.bpe"}})
    if (is_present(path / vocabulary) and is_present(path / merges))
      return read_tokenizer_pair(path / vocabulary, path / merges);
  throw error(error_kind::io, "'" + path.string() + "' holds no tokenizer: looked for 'tokenizer.json', for " +
                                  "'vocab.json' with 'merges.txt', and for 'encoder.json' with 'vocab.bpe'");
}

}  // namespace trimtab::io
