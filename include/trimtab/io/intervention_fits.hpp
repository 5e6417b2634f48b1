// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/io/intervention_file.hpp>
#include <trimtab/model/architecture.hpp>
#include <trimtab/model/config.hpp>
#include <trimtab/steer/parameters.hpp>
#include <trimtab/text/joined.hpp>
#include <trimtab/text/utf8.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

/// Whether an intervention file is for a model and for a composition, and if not, why.

namespace trimtab {

inline const char* residual_text(const model_config& config) {
  return config.parallel_residual ? "parallel" : "sequential";
}

/// What a file says of a model; without a hash, nothing about its weights.
inline model_facts facts_of(const model_config& config, std::string hash = {}) {
  return {config.architecture, residual_text(config), config.layers, config.width, config.vocabulary, std::move(hash)};
}
template <typename Model>
model_facts facts_of(const Model& model) {
  return facts_of(model.config(), model.hash_of_weights());
}

/// Throws `mismatch`, with the reason, if the file is for another model. `name` is the file's; `facts` are the model's
/// and may lack the hash.
inline void require_fits(const intervention_file& file, const model_config& config, const model_facts& facts,
                         const std::string& name = "the intervention", load_options options = {}) {
  const auto refuse = [&](const std::string& why) {
    throw error(error_kind::mismatch, name + " does not fit the model: " + why);
  };
  const auto compare = [&](const std::string& what, const auto& theirs, const auto& ours, const auto& nothing,
                           auto as_text, const std::string& advice = "") {
    if (theirs != nothing and ours != nothing and theirs != ours)
      refuse("it was made for " + what + " " + as_text(theirs) + ", and this model's is " + as_text(ours) + advice);
  };
  const auto number = [](index_t n) { return std::to_string(n); };
  const auto quoted = [](const std::string& t) { return text::in_quotes(t, '\''); };
  if (file.model) {
    compare("the architecture", file.model->architecture, config.architecture, std::string(), quoted);
    compare("the residual form", file.model->residual, std::string(residual_text(config)), std::string(), quoted);
    if (const index_t layers = file.model->layers; layers != 0 and layers != config.layers)
      refuse("it was made for " + number(layers) + " layers, and this model has " + number(config.layers));
    compare("a width of", file.model->width, config.width, index_t{0}, number);
    compare("a vocabulary of", file.model->vocabulary, config.vocabulary, index_t{0}, number);
    if (not options.allow_other_weights)
      compare("weights with the hash", file.model->hash, facts.hash, std::string(), quoted,
              "; allow_other_weights (--allow-other-weights) accepts it anyway");
  }
  for (const saved_intervention& i : file.interventions) {
    const auto number_of_site = site::find(i.site);
    if (not number_of_site) refuse("it has the unknown site " + quoted(i.site) + "; the sites are " + site::names());
    const site_description& at = site::table[*number_of_site];
    if (config.parallel_residual and not at.in_parallel_blocks)
      refuse("it has the site " + i.site + ", which parallel blocks lack; theirs are " + site::names(true));
    for (const saved_parameter& p : i.parameters) {
      if (p.numbers.shape.front() != config.layers)
        refuse("it is for " + number(p.numbers.shape.front()) + " layers, and the model has " + number(config.layers));
      auto expected = p.numbers.shape;
      for (std::size_t k = 0; k < p.axes.size() and k < expected.size(); ++k) {
        if (p.axes[k] == tensor_axis::head) expected[k] = config.heads;
        if (p.axes[k] == tensor_axis::channel) expected[k] = site_width(at.rows, config);
      }
      if (p.numbers.shape != expected)
        refuse(quoted(p.tensor) + " has the shape " + io::shape_text(p.numbers.shape) + "; the model needs " +
               io::shape_text(expected));
    }
  }
}

namespace detail {

/// The model's facts, with the kind of hash that the file's version has, and none where the file has none: hashing
/// takes as long as loading.
template <typename Model>
model_facts facts_for(const intervention_file& file, const Model& model) {
  if (not file.model or file.model->hash.empty()) return facts_of(model.config());
  if (file.version != 1) return facts_of(model);
  return facts_of(model.config(), model.origin().stored_hash ? model.origin().stored_hash() : "");
}

/// Throws `mismatch`, with the difference, unless file and composition have the same policy, settings and positions.
inline void require_same_policy(const saved_intervention& file, const parameter_block& block) {
  const auto refuse = [&](const std::string& why) {
    throw error(error_kind::mismatch, "the intervention does not fit the composition: at " + block.site + " " + why);
  };
  if (block.policy != file.policy)
    refuse("it has the policy " + text::in_quotes(file.policy, '\'') + " where the composition has " + block.policy);
  for (const saved_parameter& p : file.parameters)
    if (std::ranges::find(block.slices, p.name, &parameter_slice::name) == block.slices.end())
      refuse("it has the parameter " + text::in_quotes(p.name, '\'') + ", which the composition's policy " +
             block.policy + " does not have");
  for (const parameter_slice& slice : block.slices)
    if (std::ranges::find(file.parameters, slice.name, &saved_parameter::name) == file.parameters.end())
      refuse("it lacks the parameter '" + slice.name + "' of the composition's policy " + block.policy);
  if (file.settings)
    for (const std::vector<named_setting>* list : {&*file.settings, &block.settings})
      for (const named_setting& one : *list) {
        const auto in = [&](const std::vector<named_setting>& settings) {
          const auto found = std::ranges::find(settings, one.name, &named_setting::name);
          return found == settings.end() ? std::string("nothing") : found->value;
        };
        if (const std::string was = in(*file.settings), is = in(block.settings); was != is)
          refuse("its policy " + text::in_quotes(file.policy, '\'') + " was made with " +
                 text::in_quotes(one.name, '\'') + " " + text::in_quotes(was, '\'') + ", and the composition's with " +
                 text::in_quotes(is, '\''));
      }
  const auto described = [](const position_key& positions, const std::string& noun) {
    const std::string count = positions.count() == 0 ? "" : std::to_string(positions.count()) + " ";
    const std::string names = positions.roles().empty() ? "" : " (" + text::joined(positions.roles(), ", ") + ")";
    return count + positions.text() + " " + noun + (positions.count() == 1 ? "" : "s") + names;
  };
  const position_key& key = block.positions;
  if (key.by() != file.positions.by() or (key.count() != 0 and key != file.positions))
    refuse("it has " + described(file.positions, "position") + ", and the composition has " + described(key, "one"));
}

}  // namespace detail

}  // namespace trimtab
