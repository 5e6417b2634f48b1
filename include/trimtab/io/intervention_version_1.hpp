// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/io/intervention_reader.hpp>
#include <trimtab/policy/library.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Intervention files of trimtab 0.1 (`trimtab-intervention-1`): one policy and one kind of positions for all sites,
/// and tensors called {site}.{parameter} with the axes [L, P, (H), (D)], without P for a policy that shares its
/// parameters. The metadata has "policy", "position_key", "positions", "roles", "model", "layers" (by site, if not all)
/// and, in any other keys, how it was made. A policy's constants are not stored. Files from elsewhere may lack all but
/// format, policy and position_key.

namespace trimtab::io::detail {

class intervention_reader_1 {
 public:
  explicit intervention_reader_1(const intervention_source& source)
      : source_(source),
        policy_(source.required("policy")),
        kind_(source.position_kind(source.required("position_key"))) {}

  intervention_file read() const {
    intervention_file result;
    result.version = 1;
    for (const auto& [name, entry] : source_.file().tensors()) {
      const auto dot = name.find('.');
      const std::string site = name.substr(0, dot), parameter = dot == name.npos ? "" : name.substr(dot + 1);
      check_name(name, site, parameter);
      saved_parameter p{parameter, name, axes_of(name, site, parameter, entry.shape), {}};
      p.numbers = source_.numbers(name);
      intervention_at(result, site).parameters.push_back(std::move(p));
    }
    if (result.interventions.empty()) source_.refuse("holds no tensors");
    std::ranges::sort(result.interventions, {}, [](const saved_intervention& i) { return *site::find(i.site); });
    const position_key key = positions(result);
    for (saved_intervention& i : result.interventions) {
      i.positions = key;
      for (index_t l = 0; l < result.layer_count(); ++l) i.layers.push_back(l);
    }
    result.model = source_.model();
    if (const auto text = source_.metadata("layers"); not text.empty())
      read_layers(source_.object("layers", text), result);
    for (const auto& [key_of_it, value] : source_.file().metadata())
      if (not is_format_key(key_of_it)) result.made[key_of_it] = value;
    return result;
  }

 private:
  static bool is_format_key(std::string_view key) {
    for (const auto known : {"format", "policy", "position_key", "positions", "roles", "model", "layers"})
      if (key == known) return true;
    return false;
  }

  saved_intervention& intervention_at(intervention_file& file, const std::string& site) const {
    const auto known = std::ranges::find(file.interventions, site, &saved_intervention::site);
    if (known != file.interventions.end()) return *known;
    file.interventions.push_back({.site = site, .policy = policy_});
    return file.interventions.back();
  }

  void check_name(const std::string& name, const std::string& site, const std::string& parameter) const {
    if (not site::find(site))
      source_.refuse("has the tensor " + abbreviated(json(name)) + ", but the sites are " + site::names() +
                     ", and a tensor is called site.parameter" + did_you_mean(site, site::texts()));
    std::vector<std::string> known;
    for (const auto& p : policy::parameters_of(policy_)) known.push_back(p.name);
    if (not known.empty() and std::ranges::find(known, parameter) == known.end())
      source_.refuse("has the tensor " + abbreviated(json(name)) + ", which does not belong to the policy " +
                     text::in_quotes(policy_, '\'') + did_you_mean(parameter, known));
  }

  /// The library's policies declare their parameters; for others the shape decides.
  std::vector<tensor_axis> axes_of(const std::string& name, const std::string& site, const std::string& parameter,
                                   const std::vector<index_t>& shape) const {
    const bool shared = kind_ == position_key::kind::shared;
    const bool by_head = site::table[*site::find(site)].rows == site_rows::head;
    const auto known = policy::parameters_of(policy_);
    const auto declared = std::ranges::find(known, parameter, &policy::declared_parameter::name);
    std::vector<tensor_axis> axes{tensor_axis::layer};
    const bool has_positions = declared != known.end() ? not(shared and policy::shares_positions_by_default(policy_))
                                                       : not shared or (shape.size() > 1 and shape[1] == 1);
    if (has_positions) axes.push_back(tensor_axis::position);
    if (by_head) axes.push_back(tensor_axis::head);
    if (declared != known.end() ? declared->is_per_channel : shape.size() == axes.size() + 1)
      axes.push_back(tensor_axis::channel);
    if (shape.size() != axes.size())
      source_.refuse("has the tensor " + text::in_quotes(name, '\'') + " of shape " + shape_text(shape) +
                     "; expected " + description_of(axes));
    return axes;
  }

  position_key positions(const intervention_file& f) const {
    const index_t layers = f.layer_count();
    index_t count = 0;
    for (const saved_intervention& i : f.interventions)
      for (const saved_parameter& p : i.parameters) {
        if (p.numbers.shape.front() != layers)
          source_.refuse("has tensors for " + std::to_string(layers) + " and for " +
                         std::to_string(p.numbers.shape.front()) + " layers (" + text::in_quotes(p.tensor, '\'') + ")");
        const index_t here = p.extent(tensor_axis::position);
        if (count == 0) count = here;
        if (here != count)
          source_.refuse("has the tensor " + text::in_quotes(p.tensor, '\'') + " of shape " +
                         shape_text(p.numbers.shape) + " for " + std::to_string(here) +
                         " positions, but the others have " + std::to_string(count));
      }
    if (kind_ == position_key::kind::shared and count != 1)
      source_.refuse("has parameters for " + std::to_string(count) +
                     " positions, but the position_key shared has one for all");
    if (const auto said = source_.metadata("positions"); not said.empty() and said != std::to_string(count))
      source_.refuse("says in its metadata that it has " + abbreviated(json(said)) +
                     " positions, but its tensors have " + std::to_string(count));
    if (kind_ != position_key::kind::role) return position_key::of(kind_, count);
    return position_key::of(
        kind_, count, source_.roles(parse_json(source_.required("roles"), source_.name() + ", metadata roles"), count));
  }

  void read_layers(const json_object& listed, intervention_file& f) const {
    for (const auto& [site, list] : listed.value().items()) {
      if (not site::find(site))
        throw error(error_kind::bad_file, "'" + listed.file() + "' names the site " + abbreviated(site) +
                                              "; the sites are " + site::names() + did_you_mean(site, site::texts()));
      const auto layers = source_.layers(listed, site, f.layer_count());
      const auto i = std::ranges::find(f.interventions, site, &saved_intervention::site);
      if (i != f.interventions.end()) i->layers = layers;
    }
    for (const saved_intervention& i : f.interventions) source_.require_zeros_elsewhere(i);
  }

  const intervention_source& source_;
  std::string policy_;
  position_key::kind kind_;
};

}  // namespace trimtab::io::detail
