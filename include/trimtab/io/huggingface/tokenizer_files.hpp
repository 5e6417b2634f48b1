// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/io/files/input_file.hpp>
#include <trimtab/io/huggingface/added_token_ids.hpp>
#include <trimtab/io/huggingface/merge_lines.hpp>
#include <trimtab/io/huggingface/tokenizer_config.hpp>
#include <trimtab/io/huggingface/tokenizer_json.hpp>
#include <trimtab/io/huggingface/tokenizer_options.hpp>
#include <trimtab/io/json/json.hpp>
#include <trimtab/text/tokenizer.hpp>
#include <trimtab/text/utf8.hpp>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

/// A tokenizer from the files that models come with: Hugging Face's `tokenizer.json`; `vocab.json` with `merges.txt`;
/// or `encoder.json` with `vocab.bpe`, as OpenAI published GPT-2; and the files beside them (tokenizer_config.hpp).
///
/// What tokenizer.json says counts as the library `tokenizers` reads it. What stands beside it, and everything where
/// there is no tokenizer.json, counts as transformers 5 reads it.

namespace trimtab::io {

/// A tokenizer with what else its files say.
struct stored_tokenizer {
  text::tokenizer tokenizer;
  std::map<std::string, int> named = {};   ///< the ids of the tokens with the names "bos_token", "eos_token", ...
  std::vector<std::string> warnings = {};  ///< sentences: what the files say and nothing uses
  json_entries config = {};                ///< what of tokenizer_config.json counts
  /// What is there and counts for nothing: files beside added_tokens_decoder, and tokenizer.json's limits on length,
  /// because prompts are neither cut nor filled up.
  std::vector<std::string> not_applied = {};
  std::vector<std::string> files = {};  ///< the names of the files beside the vocabulary that count
};

namespace detail {

/// The tokenizer of `data`; errors name the file that the data came from.
inline text::tokenizer make_tokenizer(const text::tokenizer_data& data, const std::string& file) {
  try {
    return text::tokenizer(data);
  } catch (const error& problem) {
    throw error(problem.kind(), "'" + file + "': " + problem.what());
  }
}

/// Throws `bad_file` for missing merges, without which every text would silently be split into bytes.
inline void require_merges(const text::tokenizer_data& data, const added_token_ids& ids, const std::string& vocabulary,
                           const std::string& merges) {
  if (not data.merges.empty()) return;
  const auto is_merged = [&](const auto& entry) {
    return text::first_utf8_step(entry.first).length < entry.first.size() and not ids.is_added(entry.first);
  };
  if (const auto token = std::ranges::find_if(data.vocabulary, is_merged); token != data.vocabulary.end())
    throw error(error_kind::bad_file, "'" + merges + "' holds no merges, without which the token " +
                                          text::in_quotes(token->first) + " of '" + vocabulary + "' cannot be made");
}

/// Adds the special tokens of the files beside a vocabulary. One that is added already keeps its flags.
inline void add_special(added_token_ids& ids, const tokenizer_config& beside) {
  std::set<std::string, std::less<>> known;
  for (const auto& special : beside.special)
    if (ids.is_added(special.token.content)) known.insert(special.token.content);
  const text::added_token* unordered = nullptr;
  for (const auto& [token, is_named, has_order] : beside.special) {
    if (known.contains(token.content)) {
      if (is_named and beside.kind != tokenizer_class::other) ids.mark_special(token.content);
      continue;
    }
    if (not has_order and not ids.find(token.content))
      if (const auto* const other = std::exchange(unordered, &token))
        throw error(error_kind::bad_config,
                    "'" + beside.file + "' and the files beside it name the new special tokens " +
                        text::in_quotes(other->content) + " and " + text::in_quotes(token.content) +
                        " in an object, which has no order, so their ids are unclear; state "
                        "the ids in \"added_tokens_decoder\"");
    ids.add(token);
  }
}

/// The ids of the named tokens, of those that have one.
inline std::map<std::string, int> named_ids(const tokenizer_config& beside, const added_token_ids& ids) {
  std::map<std::string, int> named;
  for (const auto& [key, content] : beside.names)
    if (const auto id = ids.find(content)) named[key] = *id;
  return named;
}

/// Puts the BOS token before prompts or takes it away, as the caller wants.
inline void choose_bos(text::tokenizer_data& data, begin_with_bos bos, const std::map<std::string, int>& named,
                       const std::string& file, const std::string& beside) {
  if (bos == begin_with_bos::never) data.before.clear();
  if (bos != begin_with_bos::always) return;
  const auto found = named.find("bos_token");
  if (found == named.end())
    throw error(error_kind::bad_argument, "prompts cannot begin with a BOS token, because neither '" + file +
                                              "' nor '" + beside + "' names one as \"bos_token\"");
  if (data.before.empty() or data.before.front() != found->second)
    data.before.insert(data.before.begin(), found->second);
}

}  // namespace detail

/// The tokenizer of one `tokenizer.json`, under any file name, and of the files beside it.
inline stored_tokenizer open_tokenizer_json(const std::filesystem::path& file, tokenizer_options options = {}) {
  const auto name = file.string();
  const auto beside = read_tokenizer_config(file.parent_path());
  const auto root = read_json_file(file);
  auto data = tokenizer_json_reader(name).whole(root);
  if (beside.kind != tokenizer_class::other)
    data.add_prefix_space = beside.add_prefix_space.value_or(data.add_prefix_space);
  if (options.plain_text or beside.split_special_tokens) data.special = text::special_tokens::ordinary;
  const auto listed = std::exchange(data.added_tokens, {});
  added_token_ids ids(data);
  for (const auto& token : listed) ids.add_stated(token, name);
  for (const auto& token : beside.added) ids.add_stated(token, beside.added_file);
  if (not beside.files.empty()) detail::add_special(ids, beside);

  std::vector<std::string> warnings;
  for (const auto& [key, flag, placed] : {std::tuple("add_bos_token", beside.add_bos_token, &data.before),
                                          std::tuple("add_eos_token", beside.add_eos_token, &data.after)})
    if (flag and *flag == placed->empty())
      warnings.push_back("\"" + std::string(key) + "\" of '" + beside.file + "' is not used, because '" + name +
                         "' says which tokens stand before and after a text");
  if (beside.kind == tokenizer_class::other and
      beside.add_prefix_space.value_or(data.add_prefix_space) != data.add_prefix_space)
    warnings.push_back("\"add_prefix_space\" of '" + beside.file + "' is not used, because a " +
                       text::in_quotes(beside.class_name) + " takes '" + name + "' as it is");
  auto named = detail::named_ids(beside, ids);
  detail::choose_bos(data, options.bos, named, name, beside.file);
  auto not_applied = beside.not_applied;
  for (const auto key : {"truncation", "padding"})
    if (root.contains(key) and not root[key].is_null()) not_applied.push_back(key);
  return {detail::make_tokenizer(data, name),
          std::move(named),
          std::move(warnings),
          beside.entries,
          std::move(not_applied),
          beside.files};
}

/// A tokenizer from a vocabulary (an object of tokens and ids) and merges (two tokens per line), and from the files
/// beside them, as GPT2Tokenizer or GPTNeoXTokenizer reads them. Throws `bad_config` for another class.
inline stored_tokenizer open_tokenizer_pair(const std::filesystem::path& vocabulary,
                                            const std::filesystem::path& merges, tokenizer_options options = {}) {
  const auto beside = read_tokenizer_config(vocabulary.parent_path());
  if (beside.kind == tokenizer_class::other)
    throw error(error_kind::bad_config,
                "'" + vocabulary.string() + "' is the vocabulary of a " + text::in_quotes(beside.class_name) +
                    ", as \"tokenizer_class\" says; only GPT2Tokenizer and GPTNeoXTokenizer are "
                    "supported, and others within a tokenizer.json");
  text::tokenizer_data data;
  data.vocabulary = tokenizer_json_reader(vocabulary.string()).vocabulary(read_json_file(vocabulary), "the file");
  data.merges = merges_of(input_file(merges).text(), merges.string());
  data.nfc = beside.kind == tokenizer_class::gpt_neox;
  data.add_prefix_space = beside.add_prefix_space.value_or(false);
  if (options.plain_text or beside.split_special_tokens) data.special = text::special_tokens::ordinary;
  added_token_ids ids(data);
  for (const auto& token : beside.added) ids.add_stated(token, beside.added_file);
  detail::add_special(ids, beside);
  auto named = detail::named_ids(beside, ids);
  detail::require_merges(data, ids, vocabulary.string(), merges.string());

  for (const auto& [flag, key, place] : {std::tuple(beside.add_bos_token, "bos_token", &data.before),
                                         std::tuple(beside.add_eos_token, "eos_token", &data.after)})
    if (const auto token = named.find(key); flag.value_or(false) and token != named.end()) *place = {token->second};
  detail::choose_bos(data, options.bos, named, vocabulary.string(), beside.file);
  return {detail::make_tokenizer(data, vocabulary.string() + "' with '" + merges.string()),
          std::move(named),
          {},
          beside.entries,
          beside.not_applied,
          beside.files};
}

/// The tokenizer in a model's folder (or in the `tokenizer.json` at `path`) and what else its files say. Throws `io`
/// where there are no files, `bad_file` where they are malformed, `bad_config` where they ask for something that is not
/// supported, `bad_argument` where `options` ask for a BOS token and the files name none.
inline stored_tokenizer open_tokenizer(const std::filesystem::path& path, tokenizer_options options = {}) {
  std::error_code ignored;
  if (std::filesystem::is_regular_file(path, ignored)) return open_tokenizer_json(path, options);
  if (is_present(path / "tokenizer.json")) return open_tokenizer_json(path / "tokenizer.json", options);
  for (const auto& [vocabulary, merges] : {std::pair{"vocab.json", "merges.txt"}, {"encoder.json", "vocab.bpe"}})
    if (is_present(path / vocabulary) and is_present(path / merges))
      return open_tokenizer_pair(path / vocabulary, path / merges, options);
  throw error(error_kind::io, "'" + path.string() + "' holds no tokenizer: looked for 'tokenizer.json', for " +
                                  "'vocab.json' with 'merges.txt', and for 'encoder.json' with 'vocab.bpe'");
}

/// The tokenizer alone.
inline text::tokenizer read_tokenizer(const std::filesystem::path& path, tokenizer_options options = {}) {
  return open_tokenizer(path, options).tokenizer;
}

}  // namespace trimtab::io
