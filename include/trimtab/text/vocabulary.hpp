// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/core/view.hpp>
#include <trimtab/text/utf8.hpp>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

/// The tokens of a tokenizer: for each id its spelling and the bytes it stands for, and the id for each spelling. The
/// ids may have holes.

namespace trimtab::text {

/// The limit of ids, which no vocabulary in use comes near.
inline constexpr int token_id_limit = 1'000'000;
/// The longest added token in bytes; limited, because added tokens are searched for at each place of a text.
inline constexpr std::size_t added_token_limit = 1'000;

class vocabulary {
 public:
  /// Throws `bad_file` for an id or a spelling that is taken or invalid.
  void add(const std::string& token, int id, const std::string& bytes) {
    const auto name = "the token " + in_quotes(token);
    if (token.empty()) refuse("the token with the id " + std::to_string(id) + " is empty");
    if (id < 0 or id >= token_id_limit)
      refuse(name + " has the id " + std::to_string(id) + ", expected one from 0 to " +
             std::to_string(token_id_limit - 1));
    if (contains(id))
      refuse(name + " has the id " + std::to_string(id) + ", which " + in_quotes(this->token(id)) + " has already");
    if (not ids_.emplace(token, id).second) refuse(name + " is in the vocabulary twice");
    size_ = std::max(size_, index_t{id} + 1);
    entries_[id] = {token, bytes};
  }

  /// Adds a token that stands for its literal spelling, even where the byte-level spelling means something else.
  void add_literal(const std::string& token, int id) {
    if (token.size() > added_token_limit)
      refuse("the added token " + in_quotes(token) + " has " + std::to_string(token.size()) + " bytes; at most " +
             std::to_string(added_token_limit) + " are supported");
    const auto known = find(token);
    if (not known) return add(token, id, token);
    if (*known != id)
      refuse("the added token " + in_quotes(token) + " has the id " + std::to_string(id) +
             ", but in the vocabulary it has the id " + std::to_string(*known));
    entries_[id].bytes = token;
  }

  /// One more than the largest id.
  index_t size() const { return size_; }

  bool contains(int id) const { return entries_.contains(id); }

  std::optional<int> find(std::string_view token) const {
    const auto found = ids_.find(token);
    return found == ids_.end() ? std::nullopt : std::optional(found->second);
  }

  /// These throw `bad_argument` for an id without a token.
  const std::string& token(int id) const { return at(id).token; }
  const std::string& bytes(int id) const { return at(id).bytes; }

 private:
  struct entry {
    std::string token = {};
    std::string bytes = {};
  };

  /// Lets a string_view be looked up without making a string of it.
  struct string_hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view s) const { return std::hash<std::string_view>{}(s); }
  };

  [[noreturn]] static void refuse(const std::string& sentence) { throw error(error_kind::bad_file, sentence); }

  const entry& at(int id) const {
    const auto found = entries_.find(id);
    if (found == entries_.end())
      throw error(error_kind::bad_argument, "the vocabulary has no token with the id " + std::to_string(id) +
                                                ", its ids go from 0 to " + std::to_string(size() - 1));
    return found->second;
  }

  std::unordered_map<int, entry> entries_;  // by id; no array, which one huge id would make as large
  index_t size_ = 0;
  std::unordered_map<std::string, int, string_hash, std::equal_to<>> ids_;
};

}  // namespace trimtab::text
