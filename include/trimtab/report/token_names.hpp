// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/prompt_pair.hpp>
#include <trimtab/report/picture/heat_map.hpp>
#include <trimtab/report/text.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
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

/// Names of the places of prompts: the token where all prompts agree, else the [role], else the first prompt's ‹token›.
template <typename Model>
std::vector<std::string> common_tokens(const Model& model, const position_key& key,
                                       std::span<const prompt_pair> pairs) {
  using kind = position_key::kind;
  std::vector<std::string> names = names_of(key);
  if (key.by() == kind::shared or key.by() == kind::role or pairs.empty()) return names;
  const std::size_t length = pairs.front().ids.size();
  for (const prompt_pair& p : pairs)
    if (p.ids.size() != length) return names;
  for (std::size_t c = 0; c < std::min(names.size(), length); ++c) {
    const std::size_t i = key.by() == kind::from_end ? length - 1 - c : c;
    const int id = pairs.front().ids[i];
    names[c] = "‹" + token_text(model, id) + "›";
    for (const auto& [role, span] : pairs.front().roles)
      if (static_cast<int>(i) >= span.first and static_cast<int>(i) < span.last) names[c] = "[" + role + "]";
    if (std::ranges::all_of(pairs, [&](const prompt_pair& p) { return p.ids[i] == id; }))
      names[c] = token_text(model, id);
  }
  return names;
}

}  // namespace trimtab::report
