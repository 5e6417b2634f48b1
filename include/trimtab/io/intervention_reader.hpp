// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/core/position.hpp>
#include <trimtab/core/view.hpp>
#include <trimtab/io/files/safetensors.hpp>
#include <trimtab/io/intervention_data.hpp>
#include <trimtab/io/intervention_shape.hpp>
#include <trimtab/io/json/json.hpp>
#include <trimtab/text/nearest_name.hpp>
#include <trimtab/text/utf8.hpp>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Reads one intervention file and checks that it is consistent in itself.

namespace trimtab::io::detail {

class intervention_reader {
 public:
  explicit intervention_reader(const std::filesystem::path& path) : file_(path), name_(path.string()) {}

  intervention_file read() const {
    if (const auto format = metadata("format"); format != intervention_format)
      refuse("should have the format " + std::string(intervention_format) + " in its metadata, found " +
             (format.empty() ? "none" : abbreviated(json(format))));
    intervention_file result;
    result.policy = required("policy");
    const auto kind = position_kind(required("position_key"));
    for (const auto& [name, entry] : file_.tensors()) {
      check_name(name, result.policy);
      check_shape(name, entry.shape, kind);
      if (not is_real(entry.type))
        refuse("has the tensor " + text::in_quotes(name, '\'') + " of the dtype " + std::string(name_of(entry.type)) +
               "; expected F64, F32, F16 or BF16");
      result.tensors[name] = {entry.shape, file_.read<double>(name).values};
    }
    if (result.tensors.empty()) refuse("holds no tensors");
    result.positions = positions(result, kind);
    if (const auto text = metadata("model"); not text.empty()) result.model = facts(object("model", text));
    if (const auto text = metadata("layers"); not text.empty()) read_layers(object("layers", text), result);
    for (const auto& [key, value] : file_.metadata())
      if (not is_format_key(key)) result.made[key] = value;
    return result;
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    throw error(error_kind::bad_file, "'" + name_ + "' " + what);
  }

  static bool is_format_key(std::string_view key) {
    for (const auto known : {"format", "policy", "position_key", "positions", "roles", "model", "layers"})
      if (key == known) return true;
    return false;
  }
  std::string metadata(const std::string& key) const {
    const auto found = file_.metadata().find(key);
    return found == file_.metadata().end() ? "" : found->second;
  }
  std::string required(const std::string& key) const {
    const auto text = metadata(key);
    if (text.empty()) refuse("lacks \"" + key + "\" in its metadata");
    return text;
  }
  json_object object(const std::string& key, const std::string& text) const {
    return {parse_json(text, name_ + ", metadata " + key), name_ + ", metadata " + key, error_kind::bad_file};
  }
  position_key::kind position_kind(const std::string& text) const {
    using kind = position_key::kind;
    for (const auto one : {kind::absolute, kind::from_end, kind::role, kind::shared})
      if (position_key::of(one, 1).text() == text) return one;
    refuse("has the position_key " + abbreviated(json(text)) + "; expected absolute, from_end, role or shared");
  }

  void check_name(const std::string& name, const std::string& policy) const {
    if (not find_site(site_of(name)))
      refuse("has the tensor " + abbreviated(json(name)) + ", but the sites are " + site_names() +
             ", and a tensor is called site.parameter" + did_you_mean(site_of(name), site_list()));
    const auto known = parameters_of(policy);
    if (not known.empty() and std::ranges::find(known, parameter_of(name)) == known.end())
      refuse("has the tensor " + abbreviated(json(name)) + ", which does not belong to the policy " +
             text::in_quotes(policy, '\'') + did_you_mean(parameter_of(name), known));
  }
  /// Higher dimensions are compared when there is a model.
  void check_shape(const std::string& name, const std::vector<index_t>& shape, position_key::kind kind) const {
    const auto axes = axes_of(name, kind);
    const auto rank = std::ssize(axes.text);
    // A user's own parameter may be one number or one a channel: only the policy knows.
    if (std::ssize(shape) != rank and not(axes.extent_unknown and std::ssize(shape) == rank + 1))
      refuse("has the tensor " + text::in_quotes(name, '\'') + " of shape " + shape_text(shape) + "; expected " +
             axes.description());
    // Without numbers the other axes could be of any size, and the file no larger for it.
    if (std::ranges::find(shape, 0) != shape.end())
      refuse("has the tensor " + text::in_quotes(name, '\'') + " of shape " + shape_text(shape) +
             ", which holds no numbers");
  }

  position_key positions(const intervention_file& f, position_key::kind kind) const {
    const index_t layers = f.layer_count();
    index_t count = 0;
    for (const auto& [name, tensor] : f.tensors) {
      if (tensor.shape.front() != layers)
        refuse("has tensors for " + std::to_string(layers) + " and for " + std::to_string(tensor.shape.front()) +
               " layers (" + text::in_quotes(name, '\'') + ")");
      const index_t here = axes_of(name, kind).has_positions ? tensor.shape[1] : 1;
      if (count == 0) count = here;
      if (here != count)
        refuse("has the tensor " + text::in_quotes(name, '\'') + " of shape " + shape_text(tensor.shape) + " for " +
               std::to_string(here) + " positions, but the others have " + std::to_string(count));
    }
    if (kind == position_key::kind::shared and count != 1)
      refuse("has parameters for " + std::to_string(count) + " positions, but the position_key shared has one for all");
    if (const auto said = metadata("positions"); not said.empty() and said != std::to_string(count))
      refuse("says in its metadata that it has " + abbreviated(json(said)) + " positions, but its tensors have " +
             std::to_string(count));
    return position_key::of(kind, count, kind == position_key::kind::role ? roles(count) : std::vector<std::string>{});
  }
  std::vector<std::string> roles(index_t count) const {
    const auto list = parse_json(required("roles"), name_ + ", metadata roles");
    std::vector<std::string> names;
    if (list.is_array())
      for (const auto& entry : list)
        if (entry.is_string()) names.push_back(entry.get<std::string>());
    if (not list.is_array() or std::ssize(names) != count or names.size() != list.size())
      refuse("has the roles " + abbreviated(list) + "; expected an array of " + std::to_string(count) + " names");
    auto sorted = names;
    std::ranges::sort(sorted);
    if (const auto twice = std::ranges::adjacent_find(sorted); twice != sorted.end())
      refuse("names the role " + abbreviated(json(*twice)) + " twice");
    return names;
  }

  static model_facts facts(const json_object& model) {
    return {.architecture = model.text("architecture", ""),
            .layers = model.count("layers", 0),
            .width = model.count("width", 0),
            .vocabulary = model.count("vocabulary", 0),
            .hash = model.text("hash", "")};
  }

  void read_layers(const json_object& listed, intervention_file& f) const {
    for (const auto& [site, list] : listed.value().items()) {
      if (not find_site(site))
        throw error(error_kind::bad_file, "'" + listed.file() + "' names the site " + abbreviated(site) +
                                              "; the sites are " + site_names() + did_you_mean(site, site_list()));
      std::vector<index_t> chosen;
      bool fits = list.is_array();
      if (fits)
        for (const auto& entry : list) {
          fits = fits and entry.is_number_unsigned() and
                 entry.get<std::uint64_t>() < static_cast<std::uint64_t>(f.layer_count()) and
                 (chosen.empty() or chosen.back() < entry.get<index_t>());
          if (fits) chosen.push_back(entry.get<index_t>());
        }
      if (not fits) listed.refuse(site, "a rising array of layers from 0 to " + std::to_string(f.layer_count() - 1));
      f.layers[site] = std::move(chosen);
    }
    for (const auto& [name, tensor] : f.tensors) {
      const auto row = std::ssize(tensor.values) / f.layer_count();
      const auto listed_layers = f.layers.find(std::string(site_of(name)));
      if (listed_layers == f.layers.end()) continue;  // all of them
      const auto& chosen = listed_layers->second;
      for (index_t i = 0; i < std::ssize(tensor.values); ++i)
        if (tensor.values[static_cast<std::size_t>(i)] != 0 and not std::ranges::binary_search(chosen, i / row))
          refuse("has numbers in layer " + std::to_string(i / row) + " of " + text::in_quotes(name, '\'') +
                 ", which its metadata does not list among the layers");
    }
  }

  safetensors_file file_;
  std::string name_;
};

}  // namespace trimtab::io::detail
