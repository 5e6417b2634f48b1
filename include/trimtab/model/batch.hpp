// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/model/config.hpp>
#include <trimtab/model/key_value_cache.hpp>
#include <trimtab/model/workspace.hpp>

#include <algorithm>
#include <span>
#include <string>
#include <vector>

/// Prompts laid out as rows (core/ragged.hpp), with each row's token, position and heads. Scored positions are those
/// whose logits are wanted: the last of each prompt, or all of them.

namespace trimtab {

enum class scored { last, all };

/// Throws `bad_text` for a prompt that is empty, too long, or has ids outside the vocabulary.
inline void check_prompt(const model_config& config, std::span<const int> ids) {
  if (ids.empty()) throw error(error_kind::bad_text, "the prompt is empty; it needs at least one token");
  if (static_cast<index_t>(ids.size()) > config.context)
    throw error(error_kind::bad_text, "the prompt has " + std::to_string(ids.size()) +
                                          " tokens, but the model reads at most " + std::to_string(config.context));
  for (int id : ids)
    if (id < 0 or id >= config.vocabulary)
      throw error(error_kind::bad_text, "token id " + std::to_string(id) + " is outside the model's vocabulary of " +
                                            std::to_string(config.vocabulary) + " tokens");
}

/// Where the keys and values of past tokens are: in slot `slots[n]` of a cache for prompt n.
template <tensor_backend B>
struct cached_keys {
  key_value_cache<B>* cache = nullptr;
  std::span<const int> slots = {};
};

template <tensor_backend B>
class batch {
 public:
  /// `past` [prompts] counts leading tokens whose keys and values are already known; they get no rows, but the last
  /// token of a prompt always does. Without a cache, whoever runs the pass copies them into it. A cache gets room for
  /// each prompt. Throws `bad_text` as `check_prompt` does.
  batch(const B& backend, const model_config& config, std::span<const std::vector<int>> prompts,
        scored where = scored::last, std::span<const int> past = {}, cached_keys<B> known = {});

  index_t sequences() const { return all_.sequences; }
  index_t keys() const { return all_.keys; }  ///< outside a cache
  index_t rows() const { return all_.queries; }
  bool complete() const { return rows() == keys(); }  ///< no token is past, or all that are past are in the cache
  key_value_cache<B>* cache() const { return cache_; }
  index_t queries() const { return scored_.queries; }
  const ragged_shape& all() const { return all_; }
  const ragged_shape& scored_only() const { return scored_; }
  const int* tokens() const { return tokens_; }          ///< [rows]
  const int* positions() const { return positions_; }    ///< [rows]
  const int* key_rows() const { return key_rows_; }      ///< [rows] each row's index among the keys
  const int* query_rows() const { return query_rows_; }  ///< [queries] the scored rows
  index_t head_row_count() const { return head_row_count_; }
  const int* head_rows() const { return head_rows_; }
  const int* head_positions() const { return head_positions_; }

 private:
  workspace<B> memory_;
  key_value_cache<B>* cache_;
  ragged_shape all_ = {}, scored_ = {};
  index_t head_row_count_ = 0;
  const int *tokens_ = nullptr, *positions_ = nullptr, *key_rows_ = nullptr, *query_rows_ = nullptr,
            *head_rows_ = nullptr, *head_positions_ = nullptr;
};

template <tensor_backend B>
batch<B>::batch(const B& backend, const model_config& config, std::span<const std::vector<int>> prompts, scored where,
                std::span<const int> past, cached_keys<B> known)
    : memory_(backend), cache_(known.cache) {
  std::vector<int> offsets{0}, row_offsets{0}, query_offsets{0}, query_positions, query_rows, tokens, places, key_rows,
      past_tokens;
  index_t longest = 0;
  for (std::size_t n = 0; n < prompts.size(); ++n) {
    const std::vector<int>& ids = prompts[n];
    check_prompt(config, ids);
    const int length = static_cast<int>(ids.size());
    const int first = past.empty() ? 0 : std::min(past[n], length - 1);
    const int held = cache_ ? length - first : length;  // keys outside the cache
    longest = std::max<index_t>(longest, held);
    for (int i = first; i < length; ++i) {
      if (where == scored::all or i == length - 1) {
        query_positions.push_back(i);
        query_rows.push_back(static_cast<int>(tokens.size()));
      }
      tokens.push_back(ids[static_cast<std::size_t>(i)]);
      places.push_back(i);
      key_rows.push_back(offsets.back() + held - length + i);
    }
    offsets.push_back(offsets.back() + held);
    row_offsets.push_back(static_cast<int>(tokens.size()));
    query_offsets.push_back(static_cast<int>(query_positions.size()));
    if (not cache_) continue;
    past_tokens.push_back(first);
    cache_->reserve(known.slots[n], length);
  }
  const auto count = static_cast<index_t>(prompts.size());
  const auto keys = static_cast<index_t>(offsets.back());
  const auto rows = static_cast<index_t>(tokens.size());
  const auto queries = static_cast<index_t>(query_rows.size());

  std::vector<int> head_rows, head_places;  // the heads of queries and keys, for rotary positions
  if (config.rotary_channels > 0)
    for (index_t i = 0; i < rows; ++i)
      for (index_t k = 0; k < 2 * config.heads; ++k) {
        head_rows.push_back(static_cast<int>(3 * config.heads * key_rows[static_cast<std::size_t>(i)] + k));
        head_places.push_back(places[static_cast<std::size_t>(i)]);
      }

  const int* const begin = memory_.take(offsets);
  const int* const position = memory_.take(places);
  all_ = {count, keys, rows, begin, memory_.take(row_offsets), position, longest};
  scored_ = {count, keys, queries, begin, memory_.take(query_offsets), memory_.take(query_positions), longest};
  if (cache_) {
    all_.past = scored_.past = memory_.take(past_tokens);
    all_.slots = scored_.slots = memory_.take({known.slots.begin(), known.slots.end()});
  }
  tokens_ = memory_.take(tokens);
  positions_ = position;
  key_rows_ = memory_.take(key_rows);
  query_rows_ = memory_.take(query_rows);
  head_row_count_ = static_cast<index_t>(head_rows.size());
  head_rows_ = memory_.take(head_rows);
  head_positions_ = memory_.take(head_places);
}

}  // namespace trimtab
