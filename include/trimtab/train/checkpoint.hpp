// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/core/settings.hpp>
#include <trimtab/model/config.hpp>
#include <trimtab/model/hash.hpp>
#include <trimtab/objective/weighted_sum.hpp>
#include <trimtab/steer/loss_values.hpp>
#include <trimtab/steer/parameter_layout.hpp>
#include <trimtab/text/utf8.hpp>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

/// The complete state of a fit between two steps, from which it resumes bit for bit. A state says which fit it belongs
/// to; any other refuses it.

namespace trimtab {

/// What identifies a fit, by name; without paths, so that files may move.
using fit_facts = std::map<std::string, std::string>;

struct fit_state {
  fit_facts facts = {};
  std::vector<double> theta = {}, first_moment = {}, second_moment = {};
  std::vector<loss_values> history = {};  ///< the loss before each step and at `theta`, without `per_sequence`
  std::string name = "the checkpoint";    ///< how messages call it

  /// The number of steps made.
  index_t steps() const { return history.empty() ? 0 : std::ssize(history) - 1; }
};

namespace detail {

/// The settings of a term or an optimizer; without settings it is compared by its losses alone.
template <typename T>
void add_settings(const T& of, const std::string& suffix, fit_facts& facts) {
  for (const named_setting& one : settings_of(of)) facts[one.name + suffix] = one.value;
}

inline std::string text_of(const parameter_block& block) {
  std::string layers;
  for (index_t l : block.layers) layers += (layers.empty() ? "" : ",") + std::to_string(l);
  std::string roles;
  for (const std::string& role : block.positions.roles()) roles += " " + role;
  std::string made_with;
  for (const named_setting& one : block.settings)
    made_with += (made_with.empty() ? "" : ", ") + one.name + " " + one.value;
  return block.policy + (made_with.empty() ? "" : " (" + made_with + ")") + " in the layers " + layers + " with " +
         std::to_string(block.positions.count()) + " " + block.positions.text() + " positions" + roles;
}

inline std::string text_of(std::span<const prompt_pair> prompts) {
  byte_hash hash;
  const auto add = [&](std::span<const int> numbers) { hash.add(std::as_bytes(numbers)); };
  for (const prompt_pair& p : prompts) {
    add(p.ids);
    for (int id : {p.correct_id, p.wrong_id}) add({&id, 1});
    for (const auto* set : {&p.all_correct, &p.all_wrong})
      if (not set->ids.empty()) hash.add("answers"), add(set->ids);
    for (const auto* rest : {&p.correct_rest, &p.wrong_rest})
      if (p.has_sequences()) hash.add("rest"), add(*rest);
    if (p.retained) hash.add("retained");
    for (const auto& [role, span] : p.roles) {
      hash.add(role);
      for (int at : {span.first, span.last}) add({&at, 1});
    }
    for (const auto& [name, tokens] : p.tokens) hash.add(name), add(tokens);
    for (const auto& [name, number] : p.numbers) hash.add(name), hash.add(std::as_bytes(std::span(&number, 1)));
  }
  return std::to_string(prompts.size()) + " with the hash " + hash.text();
}

}  // namespace detail

/// What identifies a fit, except for the number of steps.
template <typename Steering, typename... Terms, typename Optimizer>
fit_facts facts_of_fit(const Steering& composition, const parameter_layout& layout,
                       const objective::weighted_sum<Terms...>& objective, const Optimizer& optimizer,
                       std::span<const prompt_pair> prompts, std::span<const double> strengths) {
  const auto& model = composition.model();
  const model_config& config = model.config();
  fit_facts facts;
  facts["model"] = config.architecture + " of " + std::to_string(config.layers) + " layers, width " +
                   std::to_string(config.width) + " and vocabulary " + std::to_string(config.vocabulary) +
                   " with the hash " + model.hash_of_weights();
  facts["precision"] = std::is_same_v<typename Steering::model_type::scalar, float> ? "float" : "double";
  facts["prompts"] = detail::text_of(prompts);
  for (double beta : strengths) {
    std::string& list = facts["strengths"];
    list += (list.empty() ? "" : ",") + setting_text(beta);
  }
  for (const parameter_block& block : layout.blocks) {
    if (block.layers.empty()) continue;
    std::string& at = facts["intervention at " + block.site];
    at += (at.empty() ? "" : "; then ") + detail::text_of(block);
  }
  std::map<std::string, int> terms;
  const bool retains = std::ranges::any_of(prompts, &prompt_pair::retained);
  objective.each([&]<typename Term>(const objective::weighted<Term>& t) {
    if ((concerns_retained<Term> and not retains) or (concerns_hooks<Term> and t.weight == 0)) return;
    std::string of_term = " of " + std::string(objective::term_name(t.term));
    if (const int number = ++terms[of_term]; number > 1) of_term += " " + std::to_string(number);
    facts["weight" + of_term] = setting_text(t.weight);
    detail::add_settings(t.term, of_term, facts);
  });
  detail::add_settings(optimizer, "", facts);
  return facts;
}

/// "lambda was 1 and is now 2; ...", empty where all is the same.
inline std::string differences_of(const fit_facts& was, const fit_facts& is) {
  fit_facts all = is;
  all.insert(was.begin(), was.end());
  const auto value_in = [](const fit_facts& facts, const std::string& name) {
    const auto found = facts.find(name);
    return found == facts.end() ? std::string("nothing") : found->second;
  };
  std::string differences;
  for (const auto& [name, value] : all)
    if (const std::string before = value_in(was, name), now = value_in(is, name); before != now)
      differences += (differences.empty() ? "" : "; ") + name + " was " + before + " and is now " + now;
  return text::one_line(differences);
}

/// Throws `mismatch` for a state of another fit, with the differences, or an incomplete one.
inline void require_same_fit(const fit_state& state, const fit_facts& asked, std::size_t numbers) {
  if (const std::string differences = differences_of(state.facts, asked); not differences.empty())
    throw error(error_kind::mismatch, state.name + " belongs to another fit: " + differences);
  bool whole = not state.history.empty();
  for (const auto* part : {&state.theta, &state.first_moment, &state.second_moment})
    whole = whole and part->size() == numbers;
  if (not whole)
    throw error(error_kind::mismatch, state.name + " is incomplete: it should have " + std::to_string(numbers) +
                                          " parameters, as many of each moment, and a history");
}

/// Throws `mismatch` where the state's parameters give another loss here than where it was made.
inline void require_same_loss(const fit_state& state, const loss_values& here) {
  const loss_values& there = state.history.back();
  const auto has_same_bits = [](double a, double b) {
    return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
  };
  bool same = there.terms.size() == here.terms.size();
  for (std::size_t k = 0; same and k < here.terms.size(); ++k)
    same = there.terms[k].name == here.terms[k].name and has_same_bits(there.terms[k].weight, here.terms[k].weight) and
           has_same_bits(there.terms[k].value, here.terms[k].value);
  if (not same)
    throw error(error_kind::mismatch,
                state.name + " has the loss " + setting_text(there.total()) + " after step " +
                    std::to_string(state.steps()) + ", but its parameters give " + setting_text(here.total()) +
                    " here; resume with the same program on the same kind of machine, or start again");
}

}  // namespace trimtab
