// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/core/view.hpp>
#include <trimtab/text/added_tokens.hpp>
#include <trimtab/text/bpe.hpp>
#include <trimtab/text/byte_level.hpp>
#include <trimtab/text/normalize.hpp>
#include <trimtab/text/pretokenize.hpp>
#include <trimtab/text/utf8.hpp>
#include <trimtab/text/vocabulary.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Text to token ids and back, as GPT-2 and GPT-NeoX (so Pythia) do it: added tokens are cut out, the text between them
/// is normalized and cut into words, the bytes of each word are merged. The ids are those of Hugging Face's tokenizers.

namespace trimtab::text {

/// Everything that defines a tokenizer, as its files say it; io/ reads them.
struct tokenizer_data {
  std::vector<std::pair<std::string, int>> vocabulary = {};      ///< token in byte-level spelling, id
  std::vector<std::pair<std::string, std::string>> merges = {};  ///< in order of rank
  std::vector<added_token> added_tokens = {};
  bool nfc = false;               ///< bring text into normal form C first
  bool add_prefix_space = false;  ///< put a space before text that does not begin with one
  /// What the text of a special token stands for, unless a call says otherwise.
  special_tokens special = special_tokens::allow;
  std::vector<int> before = {};  ///< the ids that stand before a prompt, such as a BOS token
  std::vector<int> after = {};   ///< the ids that stand after a whole text, such as an EOS token; no prompt has them
};

class tokenizer {
 public:
  /// Throws `bad_file` for data that contradicts itself.
  explicit tokenizer(const tokenizer_data& data)
      : vocabulary_(vocabulary_of(data)),
        bpe_{byte_ids(vocabulary_), merge_rules(data, vocabulary_)},  // braces: a missing byte is reported first
        given_text_tokens_(added_tokens_of(data, false)),
        normal_text_tokens_(added_tokens_of(data, true)),
        nfc_(data.nfc),
        add_prefix_space_(data.add_prefix_space),
        special_(data.special),
        before_(data.before),
        after_(data.after) {
    for (const auto* ids : {&before_, &after_})
      for (const int id : *ids)
        if (not contains(id))
          throw error(error_kind::bad_file,
                      "the id " + std::to_string(id) + ", which stands before or after every text, has no token");
  }

  /// The ids of `text` alone, without those that stand before and after. Throws `bad_text` if it is not UTF-8.
  std::vector<int> encode(std::string_view text) const { return encode(text, special_); }
  std::vector<int> encode(std::string_view text, special_tokens special) const {
    require_utf8(text);
    std::vector<int> ids;
    bpe::workspace space;
    given_text_tokens_(text, special, [&](std::string_view given, std::optional<int> given_id) {
      if (given_id) return ids.push_back(*given_id);
      const auto normal = nfc_ ? nfc(given) : std::string(given);
      normal_text_tokens_(normal, special, [&](std::string_view piece, std::optional<int> id) {
        if (id) return ids.push_back(*id);
        const auto prefixed = add_prefix_space_ and piece[0] != ' ' ? " " + std::string(piece) : std::string();
        split_words_(prefixed.empty() ? piece : prefixed,
                     [&](std::string_view word) { bpe_.encode(word, space, ids); });
      });
    });
    return ids;
  }

  /// The ids of a text that a model continues: `before`, then those of the text. Throws as `encode` does.
  std::vector<int> encode_prompt(std::string_view text) const {
    auto ids = encode(text);
    ids.insert(ids.begin(), before_.begin(), before_.end());
    return ids;
  }

  /// The ids that stand before a prompt, and those that stand after a whole text.
  const std::vector<int>& before() const { return before_; }
  const std::vector<int>& after() const { return after_; }

  /// The text that `ids` stand for. Bytes that are not UTF-8, such as part of a character, become U+FFFD. Throws
  /// `bad_argument` for an id without a token.
  std::string decode(std::span<const int> ids) const {
    std::string joined;
    for (const auto id : ids) joined += bytes(id);
    return replace_invalid_utf8(joined);
  }

  /// A token as the vocabulary spells it, "Ġthe".
  const std::string& token(int id) const { return vocabulary_.token(id); }

  /// The bytes a token stands for, " the"; they may be part of a character.
  const std::string& bytes(int id) const { return vocabulary_.bytes(id); }

  /// The id of a token in the vocabulary's spelling.
  std::optional<int> find(std::string_view token) const { return vocabulary_.find(token); }

  /// One more than the largest id.
  index_t vocabulary_size() const { return vocabulary_.size(); }

  /// Whether `id` has a token: some vocabularies have holes.
  bool contains(int id) const { return vocabulary_.contains(id); }

 private:
  static vocabulary vocabulary_of(const tokenizer_data& data) {
    vocabulary tokens;
    for (const auto& [token, id] : data.vocabulary) tokens.add(token, id, from_byte_level(token).value_or(token));
    for (const auto& token : data.added_tokens) tokens.add_literal(token.content, token.id);
    return tokens;
  }

  static std::vector<added_token> added_tokens_of(const tokenizer_data& data, bool normalized) {
    std::vector<added_token> chosen;
    std::ranges::copy_if(data.added_tokens, std::back_inserter(chosen),
                         [&](const added_token& token) { return token.normalized == normalized; });
    if (normalized and data.nfc)
      for (auto& token : chosen) token.content = nfc(token.content);
    return chosen;
  }

  static std::array<int, 256> byte_ids(const vocabulary& tokens) {
    std::array<int, 256> ids{};
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const auto byte = static_cast<unsigned char>(i);
      const auto id = tokens.find(byte_level_symbol(byte));
      // Pythia's vocabulary, for one, leaves out the bytes that no text contains.
      if (not id and occurs_in_utf8(byte))
        throw error(error_kind::bad_file, "the vocabulary lacks the symbol " + in_quotes(byte_level_symbol(byte)) +
                                              " of the byte " + std::to_string(i) + ", so it is not a byte-level one");
      ids[i] = id.value_or(-1);
    }
    return ids;
  }

  static std::vector<merge_rule> merge_rules(const tokenizer_data& data, const vocabulary& tokens) {
    std::vector<merge_rule> rules;
    rules.reserve(data.merges.size());
    for (const auto& merge : data.merges) {
      const auto& [left, right] = merge;
      const auto id_of = [&](const std::string& token) {
        const auto id = tokens.find(token);
        if (not id)
          throw error(error_kind::bad_file, "merge " + std::to_string(rules.size() + 1) + " (" +
                                                in_quotes(merge.first) + " and " + in_quotes(merge.second) +
                                                ") needs the token " + in_quotes(token) +
                                                ", which is not in the vocabulary");
        return *id;
      };
      rules.push_back({id_of(left), id_of(right), id_of(left + right)});
    }
    return rules;
  }

  vocabulary vocabulary_;
  bpe bpe_;
  word_splitter split_words_;
  added_token_splitter given_text_tokens_;
  added_token_splitter normal_text_tokens_;
  bool nfc_;
  bool add_prefix_space_;
  special_tokens special_;
  std::vector<int> before_;
  std::vector<int> after_;
};

}  // namespace trimtab::text
