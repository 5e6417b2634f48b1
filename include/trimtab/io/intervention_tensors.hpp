// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/io/intervention_file.hpp>
#include <trimtab/io/intervention_fits.hpp>
#include <trimtab/model/config.hpp>
#include <trimtab/steer/fitted.hpp>
#include <trimtab/text/joined.hpp>
#include <trimtab/text/utf8.hpp>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

/// Converts a composition's parameters to an intervention file and back, number by number:
///
///     save_intervention("ioi.safetensors", result, {{"task", "ioi"}});
///     const parameters values = load_intervention("ioi.safetensors", steering);

namespace trimtab {

namespace detail {

/// f(index in θ, index in the tensor) for every number of one parameter: θ holds only chosen layers, and records of
/// several parameters; a tensor holds all layers of one parameter.
template <typename F>
void each_number(const parameter_block& block, const parameter_slice& slice, F&& f) {
  const index_t per_layer = block.records_per_layer();
  for (std::size_t k = 0; k < block.layers.size(); ++k)
    for (index_t r = 0; r < per_layer; ++r)
      for (index_t j = 0; j < slice.extent and block.uses(r); ++j)
        f(static_cast<std::size_t>(block.offset + (static_cast<index_t>(k) * per_layer + r) * block.record_size +
                                   slice.offset + j),
          static_cast<std::size_t>((block.layers[k] * per_layer + r) * slice.extent + j));
}

/// Axes and shape of a parameter's tensor, from its extent, the positions and the heads.
inline saved_parameter tensor_for(const parameter_block& block, const parameter_slice& slice, const std::string& name,
                                  index_t layers) {
  saved_parameter p{.name = slice.name, .tensor = name + "." + slice.name};
  const auto add = [&](tensor_axis axis, index_t extent) {
    p.axes.push_back(axis);
    p.numbers.shape.push_back(extent);
  };
  add(tensor_axis::layer, layers);
  // A policy that reads the activation itself has one record for all positions, which is no axis.
  if (block.positions.by() != position_key::kind::shared or not block.shares_positions)
    add(tensor_axis::position, block.positions.count());
  if (site::table[*site::find(block.site)].rows == site_rows::head) add(tensor_axis::head, block.parts);
  if (slice.count > 1) add(tensor_axis::row, slice.count);
  if (slice.is_per_channel) add(tensor_axis::channel, block.width);
  return p;
}

/// For each block, what the names of its tensors begin with: `attn_out`, or `attn_out.0` where the site has several.
inline std::vector<std::string> names_of(const parameter_layout& layout) {
  std::map<std::string, int> times, next;
  for (const parameter_block& block : layout.blocks)
    if (not block.layers.empty()) ++times[block.site];
  std::vector<std::string> names;
  for (const parameter_block& block : layout.blocks)
    names.push_back(block.layers.empty() or times[block.site] == 1
                        ? block.site
                        : block.site + "." + std::to_string(next[block.site]++));
  return names;
}

}  // namespace detail

/// The interventions of a layout with `theta` in that layout: the parameters, or their gradient.
inline std::vector<saved_intervention> interventions_of(const parameter_layout& layout, std::span<const double> theta,
                                                        const model_config& config) {
  std::vector<saved_intervention> all;
  const std::vector<std::string> names = detail::names_of(layout);
  for (std::size_t k = 0; k < layout.blocks.size(); ++k) {
    const parameter_block& block = layout.blocks[k];
    if (block.layers.empty()) continue;
    saved_intervention i{.site = block.site,
                         .policy = block.policy,
                         .settings = block.settings,
                         .positions = block.positions,
                         .layers = block.layers};
    for (const parameter_slice& slice : block.slices) {
      saved_parameter p = detail::tensor_for(block, slice, names[k], config.layers);
      p.numbers.values.assign(static_cast<std::size_t>(config.layers * block.records_per_layer() * slice.extent), 0.0);
      detail::each_number(block, slice, [&](std::size_t from, std::size_t to) { p.numbers.values[to] = theta[from]; });
      i.parameters.push_back(std::move(p));
    }
    all.push_back(std::move(i));
  }
  return all;
}

/// The same tensors by name.
inline std::map<std::string, named_tensor> tensors_of(const parameter_layout& layout, std::span<const double> theta,
                                                      const model_config& config) {
  std::map<std::string, named_tensor> tensors;
  for (saved_intervention& i : interventions_of(layout, theta, config))
    for (saved_parameter& p : i.parameters) tensors[p.tensor] = std::move(p.numbers);
  return tensors;
}

/// A composition's parameters as a file. Throws `bad_argument` if the composition is in no layer.
template <typename Steering>
intervention_file make_intervention_file(const Steering& composition, const parameters& values,
                                         std::map<std::string, std::string> made = {}) {
  const auto& model = composition.model();
  intervention_file file;
  file.interventions = interventions_of(values.layout, values.theta, model.config());
  if (file.interventions.empty())
    throw error(error_kind::bad_argument, "the composition intervenes in no layer; there is nothing to save");
  file.model = facts_of(model);
  file.made = std::move(made);
  file.in_double = std::is_same_v<typename Steering::model_type::scalar, double>;
  return file;
}

/// Writes what was learned. Throws as `make_intervention_file` and `io::write_intervention` do.
template <typename Steering>
void save_intervention(const std::filesystem::path& path, const fitted<Steering>& result,
                       std::map<std::string, std::string> made = {}) {
  save_intervention(path, result.steering, result.values, std::move(made));
}
template <typename Steering>
void save_intervention(const std::filesystem::path& path, const Steering& composition, const parameters& values,
                       std::map<std::string, std::string> made = {}) {
  io::write_intervention(path, make_intervention_file(composition, values, std::move(made)));
}

/// The file's parameters in the layout of a composition, whose other interventions get zeros, the identity. Throws
/// `mismatch`, with the reason, if the file is for another model, policy, settings or kind of positions, or intervenes
/// where the composition does not.
template <typename Steering>
parameters fit_to(const intervention_file& file, const Steering& composition, load_options options = {}) {
  const auto refuse = [](const std::string& why) {
    throw error(error_kind::mismatch, "the intervention does not fit the composition: " + why);
  };
  const model_config& config = composition.model().config();
  require_fits(file, config, detail::facts_for(file, composition.model()), "the intervention", options);

  parameters values{composition.layout({}), {}};
  std::vector<const saved_intervention*> from(values.layout.blocks.size(), nullptr);
  std::vector<bool> taken(file.interventions.size(), false);
  index_t offset = 0;
  for (std::size_t k = 0; k < values.layout.blocks.size(); ++k) {
    parameter_block& block = values.layout.blocks[k];
    // The next of the file's interventions at this site, as both are in the order in which they act.
    for (std::size_t i = 0; i < file.interventions.size() and not block.layers.empty(); ++i)
      if (not taken[i] and file.interventions[i].site == block.site) {
        from[k] = &file.interventions[i];
        taken[i] = true;
        detail::require_same_policy(*from[k], block);
        block.positions = from[k]->positions;
        break;
      }
    if (from[k] == nullptr and block.positions.count() == 0 and not file.interventions.empty())
      block.positions =
          position_key::of(block.positions.by(), file.interventions.front().positions.count(), block.positions.roles());
    block.offset = offset;
    offset += block.size();
  }
  values.theta.assign(static_cast<std::size_t>(offset), 0.0);

  for (std::size_t k = 0; k < values.layout.blocks.size(); ++k) {
    if (from[k] == nullptr) continue;
    const parameter_block& block = values.layout.blocks[k];
    for (const saved_parameter& p : from[k]->parameters) {
      const parameter_slice& slice = *std::ranges::find(block.slices, p.name, &parameter_slice::name);
      const saved_parameter own = detail::tensor_for(block, slice, block.site, config.layers);
      for (const tensor_axis axis : {tensor_axis::position, tensor_axis::head, tensor_axis::row, tensor_axis::channel})
        if (p.extent(axis) != own.extent(axis))
          refuse(text::in_quotes(p.tensor, '\'') + " has the shape " + io::shape_text(p.numbers.shape) +
                 " instead of " + io::shape_text(own.numbers.shape));
      auto left = p.numbers.values;
      detail::each_number(block, slice,
                          [&](std::size_t to, std::size_t at) { values.theta[to] = std::exchange(left[at], 0.0); });
      if (const auto lost = std::ranges::find_if(left, [](double x) { return x != 0; }); lost != left.end())
        refuse("it has numbers for " + text::in_quotes(p.tensor, '\'') + " in layer " +
               std::to_string((lost - left.begin()) / (std::ssize(left) / config.layers)) +
               ", where the composition does not intervene");
    }
  }
  for (std::size_t i = 0; i < file.interventions.size(); ++i)
    for (const saved_parameter& p : file.interventions[i].parameters)
      if (not taken[i] and std::ranges::any_of(p.numbers.values, [](double x) { return x != 0; }))
        refuse("it has numbers for " + text::in_quotes(p.tensor, '\'') + " at " + file.interventions[i].site +
               ", where the composition does not intervene");
  return values;
}

/// The parameters of a composition from a file. Throws as `io::read_intervention` and `fit_to` do.
template <typename Steering>
parameters load_intervention(const std::filesystem::path& path, const Steering& composition,
                             load_options options = {}) {
  return fit_to(io::read_intervention(path), composition, options);
}

}  // namespace trimtab
