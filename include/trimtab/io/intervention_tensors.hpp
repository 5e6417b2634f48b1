// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/io/intervention_file.hpp>
#include <trimtab/io/intervention_shape.hpp>
#include <trimtab/steer/fitted.hpp>
#include <trimtab/steer/steering.hpp>
#include <trimtab/text/utf8.hpp>

#include <algorithm>
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

/// Parameters of a composition to the tensors of an intervention file and back, number by number:
///
///     save_intervention("ioi.safetensors", result, {{"task", "ioi"}});
///     parameters values = fit_to(io::read_intervention("ioi.safetensors"), steering);

namespace trimtab {

namespace detail {

/// f(index in θ, index in the tensor) for every number of one parameter: θ holds only chosen layers, and records of
/// several parameters; a tensor holds all layers of one parameter.
template <typename F>
void each_number(const parameter_block& block, const parameter_slice& slice, F&& f) {
  const index_t per_layer = block.records_per_layer();
  for (std::size_t k = 0; k < block.layers.size(); ++k)
    for (index_t r = 0; r < per_layer; ++r)
      for (index_t j = 0; j < slice.extent; ++j)
        f(static_cast<std::size_t>(block.offset + (static_cast<index_t>(k) * per_layer + r) * block.record_size +
                                   slice.offset + j),
          static_cast<std::size_t>((block.layers[k] * per_layer + r) * slice.extent + j));
}

inline std::size_t size_of(const std::vector<index_t>& shape) {
  index_t size = 1;
  for (index_t n : shape) size *= n;
  return static_cast<std::size_t>(size);
}

}  // namespace detail

/// One lane of numbers laid out as parameters, or as their gradient, by tensor name.
inline std::map<std::string, named_tensor> tensors_of(const parameter_layout& layout, std::span<const double> theta,
                                                      const model_config& config) {
  std::map<std::string, named_tensor> tensors;
  for (const parameter_block& block : layout.blocks)
    for (const parameter_slice& slice : block.slices) {
      if (block.layers.empty()) continue;
      const auto name = block.site + "." + slice.name;
      auto& tensor = tensors[name];
      tensor.shape = io::shape_of(name, block.positions, config, slice.extent);
      tensor.values.assign(detail::size_of(tensor.shape), 0.0);
      detail::each_number(block, slice, [&](std::size_t from, std::size_t to) { tensor.values[to] = theta[from]; });
    }
  return tensors;
}

template <typename Model>
model_facts facts_of(const Model& model) {
  const model_config& config = model.config();
  model_facts facts{config.architecture, config.layers, config.width, config.vocabulary, {}};
  if constexpr (requires { model.weights_hash(); }) facts.hash = model.weights_hash();
  return facts;
}

/// A composition's parameters as a file. Throws `bad_argument` where its interventions differ in policy or in
/// positions: a file has one of each.
template <typename Model, typename... Interventions>
intervention_file make_intervention_file(const steering<Model, Interventions...>& composition, const parameters& values,
                                         std::map<std::string, std::string> made = {}) {
  const model_config& config = composition.model().config();
  intervention_file file;
  for (const parameter_block& block : values.layout.blocks) {
    if (block.layers.empty()) continue;
    const bool first = file.policy.empty();
    if (not first and (block.policy != file.policy or block.positions != file.positions))
      throw error(error_kind::bad_argument, "an intervention file holds one policy and one kind of positions, but " +
                                                block.site + " has " + block.policy + " by " + block.positions.text() +
                                                " positions where another site has " + file.policy + " by " +
                                                file.positions.text() + "; save them in files of their own");
    file.policy = block.policy;
    file.positions = block.positions;
    if (std::ssize(block.layers) != config.layers) file.layers[block.site] = block.layers;
  }
  if (file.policy.empty())
    throw error(error_kind::bad_argument, "the composition intervenes in no layer; there is nothing to save");
  file.tensors = tensors_of(values.layout, values.theta, config);
  file.model = facts_of(composition.model());
  file.made = std::move(made);
  return file;
}

/// Writes what was learned. Throws as `make_intervention_file` and `io::write_intervention` do.
template <typename Steering>
void save_intervention(const std::filesystem::path& path, const fitted<Steering>& result,
                       std::map<std::string, std::string> made = {}) {
  io::write_intervention(path, make_intervention_file(result.steering, result.values, std::move(made)));
}

/// Throws `mismatch` with the reason where the file is for another model. `name` is the file's; `facts` may lack the
/// hash.
inline void require_fits(const intervention_file& file, const model_config& config, const model_facts& facts,
                         const std::string& name = "the intervention") {
  const auto refuse = [&](const std::string& why) {
    throw error(error_kind::mismatch, name + " does not fit the model: " + why);
  };
  const auto compare = [&](const std::string& what, const auto& theirs, const auto& ours, const auto& nothing,
                           auto as_text) {
    if (theirs != nothing and ours != nothing and theirs != ours)
      refuse("it was made for " + what + " " + as_text(theirs) + ", and this model's is " + as_text(ours));
  };
  const auto number = [](index_t n) { return std::to_string(n); };
  const auto quoted = [](const std::string& t) { return text::in_quotes(t, '\''); };
  if (file.model) {
    compare("the architecture", file.model->architecture, config.architecture, std::string(), quoted);
    compare("a number of layers of", file.model->layers, config.layers, index_t{0}, number);
    compare("a width of", file.model->width, config.width, index_t{0}, number);
    compare("a vocabulary of", file.model->vocabulary, config.vocabulary, index_t{0}, number);
    compare("weights with the hash", file.model->hash, facts.hash, std::string(), quoted);
  }
  for (const auto& [tensor, content] : file.tensors) {
    const auto site = io::find_site(io::site_of(tensor));
    if (not site) refuse("it has the unknown site of " + quoted(tensor) + "; the sites are " + io::site_names());
    if (config.parallel_residual and not site->in_parallel_blocks)
      refuse("it has the site " + std::string(site->text) + ", which parallel blocks lack; theirs are " +
             io::site_names(true));
    if (content.shape.front() != config.layers)
      refuse("it is for " + number(content.shape.front()) + " layers, and the model has " + number(config.layers));
    // A user's own parameter has one number, or one a channel.
    const bool has_channels = std::ssize(content.shape) > std::ssize(io::axes_of(tensor, file.positions.by()).text);
    const bool one = io::axes_of(tensor, file.positions.by()).text.back() != 'D' and not has_channels;
    const auto expected = io::shape_of(tensor, file.positions, config, one ? 1 : io::width_at(*site, config));
    if (content.shape != expected)
      refuse(quoted(tensor) + " has the shape " + io::shape_text(content.shape) + "; the model needs " +
             io::shape_text(expected));
  }
}

/// The file's parameters in the order of a composition, which may hook more: there they are 0, the identity. Throws
/// `mismatch` with the reason where the file is for another model, policy or kind of positions, or intervenes where
/// this does not.
template <typename Model, typename... Interventions>
parameters fit_to(const intervention_file& file, const steering<Model, Interventions...>& composition) {
  const auto refuse = [](const std::string& why) {
    throw error(error_kind::mismatch, "the intervention does not fit the composition: " + why);
  };
  const model_config& config = composition.model().config();
  require_fits(file, config,
               file.model and not file.model->hash.empty() ? facts_of(composition.model()) : model_facts{});

  parameters values{composition.layout({}), {}};
  auto tensors = file.tensors;
  index_t offset = 0;
  for (parameter_block& block : values.layout.blocks) {
    if (not block.layers.empty()) {
      const auto& key = block.positions;
      if (block.policy != file.policy)
        refuse("it has the policy " + text::in_quotes(file.policy, '\'') + " where the composition has " +
               block.policy + " at " + block.site);
      if (key.by() != file.positions.by() or (key.count() != 0 and key != file.positions))
        refuse("it has " + file.positions.text() + " positions, " + std::to_string(file.positions.count()) +
               " of them, where the composition has other ones at " + block.site);
      block.positions = file.positions;
    }
    block.offset = offset;
    offset += block.size();
  }
  values.theta.assign(static_cast<std::size_t>(offset), 0.0);
  for (const parameter_block& block : values.layout.blocks)
    for (const parameter_slice& slice : block.slices) {
      const auto found = tensors.find(block.site + "." + slice.name);
      if (block.layers.empty() or found == tensors.end()) continue;
      const auto& shape = found->second.shape;
      auto& numbers = found->second.values;
      if (const auto expected = io::shape_of(found->first, block.positions, config, slice.extent); shape != expected)
        refuse(text::in_quotes(found->first, '\'') + " has the shape " + io::shape_text(shape) + " instead of " +
               io::shape_text(expected));
      detail::each_number(block, slice, [&](std::size_t to, std::size_t from) {
        values.theta[to] = std::exchange(numbers[from], 0.0);
      });
    }
  // What has not been taken must be nothing.
  for (const auto& [name, tensor] : tensors)
    if (const auto left = std::ranges::find_if(tensor.values, [](double x) { return x != 0; });
        left != tensor.values.end())
      refuse("it has numbers for " + text::in_quotes(name, '\'') + " in layer " +
             std::to_string((left - tensor.values.begin()) / (std::ssize(tensor.values) / file.layer_count())) +
             ", where the composition does not intervene");
  return values;
}

}  // namespace trimtab
