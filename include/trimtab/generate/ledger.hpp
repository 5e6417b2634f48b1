// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/generate/growing_records.hpp>

#include <algorithm>
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

/// How many tokens an intervention touched: a token counts once for a site and a layer, if a record that is not all
/// zeros ever acted on it there. At strength 0 none does.

namespace trimtab {

struct touched_tokens {
  index_t prompt = 0;
  index_t generated = 0;

  friend bool operator==(const touched_tokens&, const touched_tokens&) = default;
};

/// The counts by site, then by layer of the model.
using touched_by_site = std::map<std::string, std::vector<touched_tokens>, std::less<>>;

/// The ledger of one text.
class ledger {
 public:
  ledger(index_t layers, std::size_t prompt_tokens) : layers_(layers), prompt_tokens_(prompt_tokens) {}

  /// Notes that the text ran with these records of an intervention, [tokens].
  void note(const active_records& intervention, const std::vector<int>& records) {
    const parameter_block& block = intervention.block();
    auto& sites = tokens_.try_emplace(block.site, static_cast<std::size_t>(layers_)).first->second;
    for (std::size_t k = 0; k < block.layers.size(); ++k) {
      std::vector<bool>& touched = sites[static_cast<std::size_t>(block.layers[k])];
      touched.resize(std::max(touched.size(), records.size()));
      for (std::size_t i = 0; i < records.size(); ++i)
        if (intervention.in_layer(k, records[i])) touched[i] = true;
    }
  }

  touched_by_site counts() const {
    touched_by_site all;
    for (const auto& [site, layers] : tokens_)
      for (const std::vector<bool>& touched : layers) {
        const auto end_of_prompt =
            touched.begin() + static_cast<std::ptrdiff_t>(std::min(prompt_tokens_, touched.size()));
        all[site].push_back(
            {std::count(touched.begin(), end_of_prompt, true), std::count(end_of_prompt, touched.end(), true)});
      }
    return all;
  }

 private:
  index_t layers_;
  std::size_t prompt_tokens_;
  std::map<std::string, std::vector<std::vector<bool>>, std::less<>> tokens_ = {};
};

namespace detail {

template <typename Names>
std::string listed(const Names& names) {
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
  return list;
}

/// Where an intervention acts, for a sentence.
inline std::string reach_of(const position_key& key) {
  switch (key.by()) {
    case position_key::kind::absolute: return "prompts of " + std::to_string(key.count()) + " tokens";
    case position_key::kind::from_end: return "the last " + std::to_string(key.count()) + " tokens";
    case position_key::kind::role: return "the roles " + listed(key.roles());
    case position_key::kind::shared: break;
  }
  return "every token";
}

}  // namespace detail

/// Throws `bad_argument` if no intervention would touch a token of prompt number `n`, or of up to `new_tokens` that
/// follow it. The last new token is never run.
inline void require_touched(std::span<const active_records> interventions, const prompt_pair& prompt, index_t n,
                            index_t new_tokens, const growth& how) {
  const auto touches = [&](const active_records& intervention, const std::vector<int>& text) {
    return std::ranges::any_of(records_while_growing(intervention.block().positions, prompt, text, how),
                               [&](int record) { return intervention.in_any(record); });
  };
  std::string reach;
  for (const active_records& intervention : interventions) {
    const position_key& key = intervention.block().positions;
    std::vector<int> text = prompt.ids;
    // More generated tokens than positions change nothing.
    for (index_t more = 0; more < std::max<index_t>(1, std::min(new_tokens, key.count() + 2));
         ++more, text.push_back(0))
      if (touches(intervention, text)) return;
    reach += (reach.empty() ? "" : "; ") + intervention.block().site + " on " + detail::reach_of(key);
  }
  std::vector<std::string> roles;
  for (const auto& [name, span] : prompt.roles) roles.push_back(name);
  const std::string phase = how.phase == steered_phase::prompt      ? " in the prompt only"
                            : how.phase == steered_phase::generated ? " in generated text only"
                                                                    : "";
  throw error(error_kind::bad_argument,
              "the intervention touches no token of prompt " + std::to_string(n + 1) + ": it acts" + phase + " (" +
                  reach + "), with records that are not all zeros; the prompt has " +
                  std::to_string(prompt.ids.size()) + " tokens, the roles " +
                  (roles.empty() ? "none" : detail::listed(roles)) + ", and " + std::to_string(new_tokens) +
                  " new tokens may follow, of which the last is not run; use strength 0 for the untouched model");
}

}  // namespace trimtab
