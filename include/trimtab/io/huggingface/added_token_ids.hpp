// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/text/tokenizer.hpp>
#include <trimtab/text/utf8.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

/// The ids of added tokens. Hugging Face's tokenizers (`AddedVocabulary::add_tokens`) believe no stated id: a token
/// that the vocabulary has keeps its id there, and each new one gets the next id after the vocabulary's tokens. A file
/// that states another id than that is refused.

namespace trimtab::io {

class added_token_ids {
 public:
  /// Adds to `data`, whose vocabulary must be complete; its added tokens must be those that this class added.
  explicit added_token_ids(text::tokenizer_data& data) : data_(data) {
    for (const auto& [token, id] : data.vocabulary) ids_.emplace(token, id);
  }

  /// The id of a token of the vocabulary or of an added one.
  std::optional<int> find(const std::string& content) const {
    const auto found = ids_.find(content);
    return found == ids_.end() ? std::nullopt : std::optional(found->second);
  }

  bool is_added(const std::string& content) const { return places_.contains(content); }

  /// Makes an added token special.
  void mark_special(const std::string& content) { data_.added_tokens[places_.at(content)].special = true; }

  /// Adds a token with the id that it gets, or replaces the added token of the same content.
  void add(text::added_token token) {
    token.id = id_of(token.content);
    const auto [place, is_new] = places_.emplace(token.content, data_.added_tokens.size());
    if (not is_new) {
      data_.added_tokens[place->second] = std::move(token);
      return;
    }
    ids_.emplace(token.content, token.id);
    largest_ = std::max(largest_, token.id);
    data_.added_tokens.push_back(std::move(token));
  }

  /// The same for a token whose id `file` states. Throws `bad_file` if it gets another one.
  void add_stated(const text::added_token& token, const std::string& file) {
    if (const int id = id_of(token.content); id != token.id)
      throw error(error_kind::bad_file,
                  "'" + file + "': the added token " + text::in_quotes(token.content) + " has the id " +
                      std::to_string(token.id) +
                      (find(token.content) ? ", but in the vocabulary it has the id " + std::to_string(id)
                                           : ", but the next one after the vocabulary and the tokens added before it "
                                             "is " +
                                                 std::to_string(id) + ", which tokenizers would give it"));
    add(token);
  }

 private:
  int id_of(const std::string& content) const {
    if (const auto known = find(content)) return *known;
    return std::max(largest_ + 1, static_cast<int>(data_.vocabulary.size()));
  }

  text::tokenizer_data& data_;
  std::unordered_map<std::string, int> ids_ = {};
  std::unordered_map<std::string, std::size_t> places_ = {};  ///< in data_.added_tokens, by content
  int largest_ = -1;                                          ///< of the added tokens
};

}  // namespace trimtab::io
