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

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

/// Text to token ids and back, as GPT-2 and GPT-NeoX (so Pythia) do it: added tokens are cut out, the text between them
/// is normalized and cut into words, the bytes of each word are merged. The ids are those of Hugging Face's tokenizers.

namespace trimtab::text {

/// Everything that defines a tokenizer, as its files say it; reading them is the business of io/.
struct tokenizer_data {
  std::vector<std::pair<std::string, int>> vocabulary = {};      ///< token in byte-level spelling, id
  std::vector<std::pair<std::string, std::string>> merges = {};  ///< in order of rank
  std::vector<added_token> added_tokens = {};
  bool nfc = false;               ///< bring text into normal form C first
  bool add_prefix_space = false;  ///< put a space before text that does not begin with one
};

/// Ids are below this; no vocabulary in use comes near, and a wild id must not claim memory.
inline constexpr int tokenizer_id_limit = 1'000'000;

class tokenizer {
 public:
  /// Throws `bad_file` for data that contradicts itself.
  explicit tokenizer(tokenizer_data const& data)
      : given_text_tokens_(added_tokens_of(data, false)),
        normal_text_tokens_(added_tokens_of(data, true)),
        nfc_(data.nfc),
        add_prefix_space_(data.add_prefix_space) {
    for (auto const& [token, id] : data.vocabulary) add(token, id, from_byte_level(token).value_or(token));
    auto const ids_of_bytes = byte_ids();
    bpe_.emplace(ids_of_bytes, merge_rules(data));
    for (auto const& token : data.added_tokens) add_to_vocabulary(token);
  }

  /// The ids of `text`. Throws `bad_text` if it is not UTF-8.
  std::vector<int> encode(std::string_view text, special_tokens special = special_tokens::ordinary) const {
    require_utf8(text);
    std::vector<int> ids;
    bpe::workspace space;
    given_text_tokens_(text, special, [&](std::string_view given, std::optional<int> given_id) {
      if (given_id) return ids.push_back(*given_id);
      auto const normal = nfc_ ? nfc(given) : std::string(given);
      normal_text_tokens_(normal, special, [&](std::string_view piece, std::optional<int> id) {
        if (id) return ids.push_back(*id);
        auto const prefixed = add_prefix_space_ and piece[0] != ' ' ? " " + std::string(piece) : std::string();
        split_words_(prefixed.empty() ? piece : prefixed,
                     [&](std::string_view word) { bpe_->encode(word, space, ids); });
      });
    });
    return ids;
  }

  /// The text that `ids` stand for. Where their bytes are no UTF-8, as with part of a character, it holds U+FFFD.
  /// Throws `bad_argument` for an id without a token.
  std::string decode(std::span<int const> ids) const {
    std::string joined;
    for (auto const id : ids) joined += bytes(id);
    return replace_invalid_utf8(joined);
  }

  /// A token as the vocabulary spells it, "Ġthe".
  std::string const& token(int id) const { return entry_at(id).token; }

  /// The bytes a token stands for, " the"; they may be part of a character.
  std::string const& bytes(int id) const { return entry_at(id).bytes; }

  /// The id of a token in the vocabulary's spelling.
  std::optional<int> find(std::string_view token) const {
    auto const found = ids_.find(token);
    return found == ids_.end() ? std::nullopt : std::optional(found->second);
  }

  /// One more than the largest id.
  index_t vocabulary_size() const { return std::ssize(entries_); }

  /// Whether `id` has a token: some vocabularies have holes.
  bool contains(int id) const {
    return id >= 0 and id < vocabulary_size() and not entries_[static_cast<std::size_t>(id)].token.empty();
  }

 private:
  struct entry {
    std::string token = {};
    std::string bytes = {};
  };

  /// Lets the map be searched by a string_view without making a string of it.
  struct string_hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view s) const { return std::hash<std::string_view>{}(s); }
  };

  [[noreturn]] static void refuse(std::string const& sentence) { throw error(error_kind::bad_file, sentence); }

  static std::vector<added_token> added_tokens_of(tokenizer_data const& data, bool normalized) {
    std::vector<added_token> chosen;
    std::ranges::copy_if(data.added_tokens, std::back_inserter(chosen),
                         [&](added_token const& token) { return token.normalized == normalized; });
    if (normalized and data.nfc)
      for (auto& token : chosen) token.content = nfc(token.content);
    return chosen;
  }

  entry const& entry_at(int id) const {
    if (not contains(id))
      throw error(error_kind::bad_argument, "the vocabulary has no token with the id " + std::to_string(id) +
                                                ", its ids go from 0 to " + std::to_string(vocabulary_size() - 1));
    return entries_[static_cast<std::size_t>(id)];
  }

  void add(std::string const& token, int id, std::string const& bytes) {
    auto const name = "the token " + in_quotes(token);
    if (token.empty()) refuse("the token with the id " + std::to_string(id) + " is empty");
    if (id < 0 or id >= tokenizer_id_limit)
      refuse(name + " has the id " + std::to_string(id) + ", expected one from 0 to " +
             std::to_string(tokenizer_id_limit - 1));
    if (contains(id))
      refuse(name + " has the id " + std::to_string(id) + ", which " + in_quotes(this->token(id)) + " has already");
    if (not ids_.emplace(token, id).second) refuse(name + " is in the vocabulary twice");
    if (id >= vocabulary_size()) entries_.resize(static_cast<std::size_t>(id) + 1);
    entries_[static_cast<std::size_t>(id)] = {token, bytes};
  }

  void add_to_vocabulary(added_token const& added) {
    auto const known = find(added.content);
    if (not known) return add(added.content, added.id, added.content);
    if (*known != added.id)
      refuse("the added token " + in_quotes(added.content) + " has the id " + std::to_string(added.id) +
             ", but in the vocabulary it has the id " + std::to_string(*known));
    // Found in text as it is, so it stands for itself even where the byte-level spelling would say otherwise.
    entries_[static_cast<std::size_t>(*known)].bytes = added.content;
  }

  std::array<int, 256> byte_ids() const {
    std::array<int, 256> ids{};
    for (std::size_t i = 0; i < ids.size(); ++i) {
      auto const byte = static_cast<unsigned char>(i);
      auto const id = find(byte_level_symbol(byte));
      // Pythia's vocabulary, for one, leaves out the bytes that no text contains.
      if (not id and occurs_in_utf8(byte))
        refuse("the vocabulary lacks the symbol " + in_quotes(byte_level_symbol(byte)) + " of the byte " +
               std::to_string(i) + ", so it is not a byte-level one");
      ids[i] = id.value_or(-1);
    }
    return ids;
  }

  std::vector<merge_rule> merge_rules(tokenizer_data const& data) const {
    std::vector<merge_rule> rules;
    rules.reserve(data.merges.size());
    for (auto const& merge : data.merges) {
      auto const& [left, right] = merge;
      auto const id_of = [&](std::string const& token) {
        auto const id = find(token);
        if (not id)
          refuse("merge " + std::to_string(rules.size() + 1) + " (" + in_quotes(merge.first) + " and " +
                 in_quotes(merge.second) + ") needs the token " + in_quotes(token) +
                 ", which is not in the vocabulary");
        return *id;
      };
      rules.push_back({id_of(left), id_of(right), id_of(left + right)});
    }
    return rules;
  }

  std::vector<entry> entries_;  // by id; holes are empty
  std::unordered_map<std::string, int, string_hash, std::equal_to<>> ids_;
  std::optional<bpe> bpe_;
  word_splitter split_words_;
  added_token_splitter given_text_tokens_;
  added_token_splitter normal_text_tokens_;
  bool nfc_;
  bool add_prefix_space_;
};

}  // namespace trimtab::text
