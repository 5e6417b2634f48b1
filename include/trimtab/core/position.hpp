// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/core/prompt_pair.hpp>
#include <trimtab/core/view.hpp>

#include <algorithm>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

/// Which record of parameters each token of a prompt uses:
///
///     positions::absolute()               by index; all prompts must then have the same length
///     positions::from_end(n)              by distance from the last token; only the last n tokens have one
///     positions::role({"subject", "end"}) by role; other tokens have none, and the last role listed wins
///     positions::shared()                 one record for all

namespace trimtab {

class position_key {
 public:
  enum class kind { absolute, from_end, role, shared };

  kind by() const { return kind_; }
  index_t count() const { return count_; }
  const std::vector<std::string>& roles() const { return roles_; }

  /// The key with the number of positions that these prompts need. Throws `mismatch` for absolute positions and prompts
  /// of different lengths, and `bad_data` for a role that no prompt has.
  position_key resolved(std::span<const prompt_pair> prompts) const {
    position_key key = *this;
    for (const std::string& role : roles_)
      if (not prompts.empty() and
          std::ranges::none_of(prompts, [&](const prompt_pair& p) { return p.roles.contains(role); }))
        throw error(error_kind::bad_data,
                    "no prompt has the role '" + role + "'; the first prompt has " + names(prompts.front().roles));
    if (key.count_ > 0) return key;
    index_t shortest = 0, longest = 0;
    for (const prompt_pair& p : prompts) {
      const auto length = static_cast<index_t>(p.ids.size());
      shortest = longest == 0 ? length : std::min(shortest, length);
      longest = std::max(longest, length);
    }
    if (kind_ == kind::absolute and shortest != longest)
      throw error(error_kind::mismatch, "absolute positions need prompts of equal length, but these have " +
                                            std::to_string(shortest) + " to " + std::to_string(longest) +
                                            " tokens; use from_end, role or shared positions");
    key.count_ = longest;
    return key;
  }

  /// [tokens] each token's record, or -1 for none. Throws `mismatch` for absolute positions and another length.
  std::vector<int> records(const prompt_pair& prompt) const {
    const auto length = static_cast<index_t>(prompt.ids.size());
    std::vector<int> record(prompt.ids.size(), -1);
    const auto set = [&](index_t i, index_t r) { record[static_cast<std::size_t>(i)] = static_cast<int>(r); };
    switch (kind_) {
      case kind::absolute:
        if (length != count_)
          throw error(error_kind::mismatch,
                      "the intervention has absolute positions for prompts of " + std::to_string(count_) +
                          " tokens, but a prompt has " + std::to_string(length) +
                          "; fit with from_end, role or shared positions for prompts of any length");
        for (index_t i = 0; i < length; ++i) set(i, i);
        break;
      case kind::from_end:
        for (index_t i = std::max<index_t>(0, length - count_); i < length; ++i) set(i, length - 1 - i);
        break;
      case kind::role:
        for (index_t k = 0; k < count_; ++k)
          if (const auto span = prompt.roles.find(roles_[static_cast<std::size_t>(k)]); span != prompt.roles.end())
            for (index_t i = std::max(0, span->second.first); i < std::min<index_t>(length, span->second.last); ++i)
              set(i, k);
        break;
      case kind::shared: std::ranges::fill(record, 0); break;
    }
    return record;
  }

  /// The name of the kind in files and on the command line.
  std::string text() const {
    switch (kind_) {
      case kind::absolute: return "absolute";
      case kind::from_end: return "from_end";
      case kind::role: return "role";
      case kind::shared: break;
    }
    return "shared";
  }

  /// Throws `bad_argument` for a negative count or a role that is named twice.
  static position_key of(kind by, index_t count, std::vector<std::string> roles = {}) {
    if (count < 0)
      throw error(error_kind::bad_argument,
                  "the number of positions is " + std::to_string(count) + "; it cannot be negative");
    auto sorted = roles;
    std::ranges::sort(sorted);
    if (const auto twice = std::ranges::adjacent_find(sorted); twice != sorted.end())
      throw error(error_kind::bad_argument, "the role '" + *twice + "' is named twice");
    position_key key;
    key.kind_ = by;
    key.count_ = count;
    key.roles_ = std::move(roles);
    return key;
  }

  friend bool operator==(const position_key&, const position_key&) = default;

 private:
  static std::string names(const std::map<std::string, token_span>& roles) {
    std::string list;
    for (const auto& [name, span] : roles) list += (list.empty() ? "" : ", ") + name;
    return list.empty() ? "none" : list;
  }

  kind kind_ = kind::absolute;
  index_t count_ = 0;  ///< positions; 0 until the prompts are known
  std::vector<std::string> roles_ = {};
};

namespace positions {

inline position_key absolute(index_t length = 0) { return position_key::of(position_key::kind::absolute, length); }
inline position_key from_end(index_t count = 0) { return position_key::of(position_key::kind::from_end, count); }
inline position_key shared() { return position_key::of(position_key::kind::shared, 1); }
inline position_key role(std::vector<std::string> roles) {
  if (roles.empty()) throw error(error_kind::bad_argument, "positions by role need the name of at least one role");
  const auto count = static_cast<index_t>(roles.size());
  return position_key::of(position_key::kind::role, count, std::move(roles));
}

}  // namespace positions
}  // namespace trimtab
