// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/version.hpp>
#include <trimtab/measure/evaluate.hpp>
#include <trimtab/report/page/describe_options.hpp>
#include <trimtab/report/page/fit_maps.hpp>
#include <trimtab/report/page/fit_report.hpp>
#include <trimtab/report/text.hpp>
#include <trimtab/report/token_names.hpp>
#include <trimtab/task/prompt_pair.hpp>
#include <trimtab/text/joined.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

/// Gathers what a report shows of a fit: measures it on its prompts at β = ±1 and over a sweep of strengths, and makes
/// heat maps of its parameters and of what they do to the activations.

namespace trimtab::report {

/// Everything about a fit that a report shows. Throws as `evaluate` does.
template <typename Steering>
fit_report describe(const Steering& composition, const parameters& values, std::span<const prompt_set> sets,
                    std::vector<loss_values> history = {}, const describe_options& options = {}) {
  const auto& model = composition.model();
  const token_names names = options.token ? options.token : token_names_of(model);
  fit_report r;
  r.counts = count_parameters(values);
  r.history = std::move(history);
  std::string sites, policies, places;
  const auto note = [](std::string& list, const std::string& word) {
    if (("," + list + ",").find("," + word + ",") == std::string::npos) list += (list.empty() ? "" : ",") + word;
  };
  bool has_vectors = false, has_gates = false;
  index_t length = 0;  // of prompts for absolute positions
  for (const parameter_block& block : values.layout.blocks) {
    if (block.layers.empty()) continue;
    note(sites, block.site), note(policies, block.policy), note(places, block.positions.text());
    if (block.positions.by() == position_key::kind::absolute) length = block.positions.count();
    const bool gate = is_gate(block);
    has_gates = has_gates or gate;
    for (const parameter_slice& slice : block.slices) has_vectors = has_vectors or (slice.extent > 1 and not gate);
  }
  r.name = options.name.empty() ? policies : options.name;
  const model_config& c = model.config();
  r.asked = options.asked;
  r.warnings = options.warnings;
  const auto add = [&](const std::string& name, const std::string& value) {
    if (std::ranges::find(r.asked, name, &fact::name) == r.asked.end()) r.asked.push_back({name, value});
  };
  add("architecture", c.architecture + ", " + std::to_string(c.layers) + " layers of " + std::to_string(c.width) +
                          " channels, vocabulary of " + std::to_string(c.vocabulary));
  add("policy", policies);
  add("sites", sites);
  add("positions", places);
  if (not r.history.empty()) {
    const auto weighted = [](const term_value& t) { return (t.weight == 1 ? "" : exact(t.weight) + " ") + t.name; };
    add("objective", text::joined(r.history.front().terms, " + ", weighted));
    add("steps", std::to_string(r.history.size() - 1));
  }
  if (std::ranges::find(r.asked, fact{"trimtab", std::string(version)}) == r.asked.end())
    add("trimtab version", std::string(version));

  std::span<const prompt_pair> train, test;
  for (const prompt_set& set : sets) {
    const bool fits = length == 0 or std::ranges::all_of(set.pairs, [&](const prompt_pair& p) {
                        return static_cast<index_t>(p.ids.size()) == length;
                      });
    if (set.pairs.empty() or not fits) continue;
    if (train.empty()) train = set.pairs;
    if (test.empty() or set.name == "test") test = set.pairs, r.swept = set.name;
    measured_set& m = r.sets.emplace_back(measured_set{set.name, {}, evaluate(composition, values, set.pairs)});
    for (const prompt_pair& p : set.pairs)
      m.prompts.push_back(
          {tokens_of(names, p.ids), answer_text(names, p.correct_ids()), answer_text(names, p.wrong_ids()), p.prompt});
  }
  r.maps = parameter_maps(names, values, train);
  if (test.empty()) return r;
  r.sweep = evaluate(composition, values, test, {.strengths = options.sweep, .prompts_at_once = 8});
  if (has_vectors)
    for (map_group& group : geometry_maps(composition, values, test, names)) r.maps.push_back(std::move(group));
  if (has_gates)
    for (std::size_t k = 0; k < std::min(test.size(), static_cast<std::size_t>(options.gate_prompts)); ++k)
      r.maps.push_back(
          gate_maps(composition, values, test[k], "prompt " + std::to_string(k + 1) + " of " + r.swept, names));
  return r;
}

template <typename Steering>
fit_report describe(const fitted<Steering>& result, const task::prompt_sets& prompts,
                    const describe_options& options = {}) {
  const std::vector<prompt_set> sets{
      {"train", prompts.train}, {"test", prompts.test}, {"test, other lengths", prompts.test_other_lengths}};
  return describe(result.steering, result.values, sets, result.history, options);
}

}  // namespace trimtab::report
