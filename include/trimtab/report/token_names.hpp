// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/prompt_pair.hpp>
#include <trimtab/report/picture/heat_map.hpp>
#include <trimtab/report/text.hpp>
#include <trimtab/text/joined.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

/// Readable names of tokens and places; for a model without a tokenizer, numbers.

namespace trimtab::report {

/// A token as text; its number where the model has no tokenizer.
template <typename Model>
std::string token_text(const Model& model, int id) {
  if constexpr (requires { model.tokenizer().bytes(id); })
    if (model.has_tokenizer() and model.tokenizer().contains(id)) return visible(model.tokenizer().bytes(id));
  return "#" + std::to_string(id);
}

/// What shows a token as text.
using token_names = std::function<std::string(int)>;

/// That of a model, which must outlive it.
template <typename Model>
token_names token_names_of(const Model& model) {
  return [&model](int id) { return token_text(model, id); };
}

inline std::string token_text(const token_names& names, int id) { return names(id); }

/// The tokens of an answer: one, or several as "a | b".
template <typename Model>
std::string answer_text(const Model& model, std::span<const int> ids) {
  std::string all;
  for (const int id : ids) all += (all.empty() ? "" : " | ") + token_text(model, id);
  return all;
}

template <typename Model>
std::vector<std::string> tokens_of(const Model& model, const std::vector<int>& ids) {
  std::vector<std::string> tokens;
  for (int id : ids) tokens.push_back(token_text(model, id));
  return tokens;
}

/// "48 %"; a share that is not quite none or all is never rounded to either.
inline std::string share_text(std::size_t count, std::size_t of) {
  const auto percent = std::lround(100 * static_cast<double>(count) / static_cast<double>(of));
  const bool rounds_away = count > 0 and count < of and (percent == 0 or percent == 100);
  return (rounds_away ? percent == 0 ? "<1" : ">99" : std::to_string(percent)) + " %";
}

namespace detail {

/// What prompts have at one place.
struct place_census {
  std::size_t prompts = 0;            ///< that have the place
  std::map<int, std::size_t> tokens;  ///< how many have each token there
  std::map<std::string, std::size_t> roles;
};

/// The token at place `c` of a prompt under an absolute key or one from the end; nothing beyond its ends.
inline std::optional<std::size_t> token_at(const position_key& key, std::size_t c, const prompt_pair& p) {
  if (c >= p.ids.size()) return std::nullopt;
  return key.by() == position_key::kind::from_end ? p.ids.size() - 1 - c : c;
}

inline place_census census_at(const position_key& key, std::size_t c, std::span<const prompt_pair> pairs) {
  place_census found;
  for (const prompt_pair& p : pairs) {
    const auto i = token_at(key, c, p);
    if (not i) continue;
    ++found.prompts;
    ++found.tokens[p.ids[*i]];
    for (const auto& [role, span] : p.roles)
      if (static_cast<int>(*i) >= span.first and static_cast<int>(*i) < span.last) ++found.roles[role];
  }
  return found;
}

}  // namespace detail

/// Names of the places of prompts: what all of them share there, the token or else the [role]; where they differ, the
/// position and the share of prompts with each role, "1 [s1 52 %, io 48 %]".
template <typename Model>
std::vector<std::string> common_tokens(const Model& model, const position_key& key,
                                       std::span<const prompt_pair> pairs) {
  using kind = position_key::kind;
  std::vector<std::string> names = names_of(key);
  if (key.by() == kind::shared or key.by() == kind::role) return names;
  for (std::size_t c = 0; c < names.size(); ++c) {
    const auto here = detail::census_at(key, c, pairs);
    if (here.prompts == pairs.size() and here.tokens.size() == 1) {
      names[c] = token_text(model, here.tokens.begin()->first);
      continue;
    }
    std::vector<std::pair<std::string, std::size_t>> roles(here.roles.begin(), here.roles.end());
    std::ranges::stable_sort(roles, std::greater<>{}, &std::pair<std::string, std::size_t>::second);
    if (roles.empty()) continue;
    const bool is_shared = roles.front().second == pairs.size();
    names[c] = is_shared ? "[" + roles.front().first + "]"
                         : names[c] + " [" + text::joined(roles, ", ", [&](const auto& role) {
                             return role.first + " " + share_text(role.second, pairs.size());
                           }) + "]";
  }
  return names;
}

}  // namespace trimtab::report
