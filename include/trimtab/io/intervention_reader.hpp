// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/core/position.hpp>
#include <trimtab/core/site.hpp>
#include <trimtab/core/view.hpp>
#include <trimtab/io/files/safetensors.hpp>
#include <trimtab/io/intervention_data.hpp>
#include <trimtab/io/json/json.hpp>
#include <trimtab/text/nearest_name.hpp>
#include <trimtab/text/utf8.hpp>

#include <range/v3/range/conversion.hpp>
#include <range/v3/view/map.hpp>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

/// Reads one intervention file and checks that it is consistent in itself.

namespace trimtab::io::detail {

/// What the readers of both versions share.
class intervention_source {
 public:
  explicit intervention_source(const std::filesystem::path& path) : file_(path), name_(path.string()) {}
  virtual ~intervention_source() = default;

  const safetensors_file& file() const { return file_; }
  const std::string& name() const { return name_; }

  [[noreturn]] void refuse(const std::string& what) const {
    throw error(error_kind::bad_file, "'" + name_ + "' " + what);
  }

  std::string metadata(const std::string& key) const {
    const auto found = file_.metadata().find(key);
    return found == file_.metadata().end() ? "" : found->second;
  }
  std::string required(const std::string& key) const {
    auto text = metadata(key);
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
  std::vector<std::string> roles(const json& list, index_t count) const {
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
  /// An ascending list of layers below `count`.
  std::vector<index_t> layers(const json_object& of, const std::string& key, index_t count) const {
    const json nothing;
    const json& list = of.has(key) ? of.value().at(key) : nothing;
    std::vector<index_t> chosen;
    bool fits = list.is_array();
    if (fits)
      for (const auto& entry : list) {
        fits = fits and entry.is_number_unsigned() and
               entry.get<std::uint64_t>() < static_cast<std::uint64_t>(count) and
               (chosen.empty() or chosen.back() < entry.get<index_t>());
        if (fits) chosen.push_back(entry.get<index_t>());
      }
    if (not fits) of.refuse(key, "an ascending array of layers from 0 to " + std::to_string(count - 1));
    return chosen;
  }

  std::optional<model_facts> model() const {
    const auto text = metadata("model");
    if (text.empty()) return std::nullopt;
    const auto facts = object("model", text);
    return model_facts{.architecture = facts.text("architecture", ""),
                       .residual = facts.text("residual", ""),
                       .layers = facts.count("layers", 0),
                       .width = facts.count("width", 0),
                       .vocabulary = facts.count("vocabulary", 0),
                       .hash = facts.text("hash", "")};
  }

  /// The tensors as an intervention file names them.
  virtual std::vector<std::string> tensors() const {
    return file_.tensors() | ranges::views::keys | ranges::to<std::vector<std::string>>();
  }
  /// A tensor's numbers. Refuses empty tensors, in which a small file could claim axes of any size.
  virtual named_tensor numbers(const std::string& tensor) const { return stored_numbers(tensor); }

  named_tensor stored_numbers(const std::string& tensor) const {
    const auto& entry = file_.tensors().at(tensor);
    if (not is_real(entry.type))
      refuse("has the tensor " + text::in_quotes(tensor, '\'') + " of the dtype " + std::string(name_of(entry.type)) +
             "; expected F64, F32, F16 or BF16");
    if (std::ranges::find(entry.shape, 0) != entry.shape.end())
      refuse("has the tensor " + text::in_quotes(tensor, '\'') + " of shape " + shape_text(entry.shape) +
             ", which holds no numbers");
    return {entry.shape, file_.read<double>(tensor).values};
  }

  /// Refuses numbers outside an intervention's layers, which would be lost.
  void require_zeros_elsewhere(const saved_intervention& i) const {
    for (const saved_parameter& p : i.parameters) {
      const auto row = std::ssize(p.numbers.values) / p.numbers.shape.front();
      for (index_t n = 0; n < std::ssize(p.numbers.values); ++n)
        if (p.numbers.values[static_cast<std::size_t>(n)] != 0 and not std::ranges::binary_search(i.layers, n / row))
          refuse("has numbers in layer " + std::to_string(n / row) + " of " + text::in_quotes(p.tensor, '\'') +
                 ", which its metadata does not list among the layers");
    }
  }

 private:
  safetensors_file file_;
  std::string name_;
};

/// Version 2: the metadata says what there is.
class intervention_reader {
 public:
  explicit intervention_reader(const intervention_source& source) : source_(source) {}

  intervention_file read() const {
    intervention_file result;
    const auto list = parse_json(source_.required("interventions"), source_.name() + ", metadata interventions");
    if (not list.is_array() or list.empty())
      source_.refuse("has the interventions " + abbreviated(list) + "; expected an array of at least one object");
    std::set<std::string> used;
    for (const auto& entry : list) result.interventions.push_back(read_one(entry, used));
    for (const auto& name : source_.tensors())
      if (not used.contains(name))
        source_.refuse("has the tensor " + text::in_quotes(name, '\'') + ", which none of its interventions names");
    const index_t layers = result.layer_count();
    for (const saved_intervention& i : result.interventions)
      for (const saved_parameter& p : i.parameters)
        if (p.numbers.shape.front() != layers)
          source_.refuse("has tensors for " + std::to_string(layers) + " and for " +
                         std::to_string(p.numbers.shape.front()) + " layers (" + text::in_quotes(p.tensor, '\'') + ")");
    result.model = source_.model();
    if (const auto text = source_.metadata("made"); not text.empty()) {
      const auto made = source_.object("made", text);
      for (const auto& [key, value] : made.value().items())
        result.made[key] = value.is_string() ? value.get<std::string>() : value.dump();
    }
    return result;
  }

 private:
  saved_intervention read_one(const json& entry, std::set<std::string>& used) const {
    const json_object object(entry, source_.name() + ", metadata interventions", error_kind::bad_file);
    saved_intervention i;
    i.site = object.text("site");
    if (not site::find(i.site))
      throw error(error_kind::bad_file, "'" + object.file() + "' names the site " + abbreviated(json(i.site)) +
                                            "; the sites are " + site::names() + did_you_mean(i.site, site::texts()));
    i.policy = object.text("policy");
    if (i.policy.empty()) object.refuse("policy", "the name of a policy");
    if (object.has("settings")) {
      i.settings.emplace();
      const json_object settings = object.object("settings");
      for (const auto& [key, value] : settings.value().items()) i.settings->push_back({key, settings.text(key)});
    }
    if (not object.has("parameters") or not object.value().at("parameters").is_array() or
        object.value().at("parameters").empty())
      object.refuse("parameters", "an array of at least one object");
    for (const auto& parameter : object.value().at("parameters"))
      i.parameters.push_back(read_parameter(parameter, object.file(), used));

    const index_t count = object.count("positions");
    for (const saved_parameter& p : i.parameters) {
      if (p.has(tensor_axis::position) ? p.extent(tensor_axis::position) != count : count != 1)
        source_.refuse("has the tensor " + text::in_quotes(p.tensor, '\'') + " of shape " +
                       shape_text(p.numbers.shape) + " for " + std::to_string(p.extent(tensor_axis::position)) +
                       " positions, but its metadata says " + std::to_string(count));
      const bool is_by_head = site::table[*site::find(i.site)].rows == site_rows::head;
      if (p.has(tensor_axis::head) != is_by_head)
        source_.refuse("has the tensor " + text::in_quotes(p.tensor, '\'') + (is_by_head ? " without" : " with") +
                       " an axis of heads at the site " + i.site);
    }
    const auto kind = source_.position_kind(object.text("position_key"));
    if (kind == position_key::kind::shared and count != 1)
      source_.refuse("has parameters for " + std::to_string(count) +
                     " positions, but the position_key shared has one for all");
    if (kind == position_key::kind::role and not object.has("roles")) object.refuse("roles", "an array of names");
    i.positions = position_key::of(kind, count,
                                   kind == position_key::kind::role ? source_.roles(object.value().at("roles"), count)
                                                                    : std::vector<std::string>{});
    i.layers = source_.layers(object, "layers", i.parameters.front().numbers.shape.front());
    source_.require_zeros_elsewhere(i);
    return i;
  }

  saved_parameter read_parameter(const json& entry, const std::string& where, std::set<std::string>& used) const {
    const json_object object(entry, where, error_kind::bad_file);
    saved_parameter p;
    p.name = object.text("name");
    p.tensor = object.text("tensor");
    if (const auto names = source_.tensors(); std::ranges::find(names, p.tensor) == names.end())
      source_.refuse("lacks the tensor " + text::in_quotes(p.tensor, '\'') + ", which its metadata names");
    if (not used.insert(p.tensor).second)
      source_.refuse("names the tensor " + text::in_quotes(p.tensor, '\'') + " for two parameters");
    const json nothing;
    const json& axes = object.has("axes") ? object.value().at("axes") : nothing;
    bool fits = axes.is_array() and not axes.empty();
    if (fits)
      for (const auto& axis : axes) {
        bool known = false;
        for (const auto one :
             {tensor_axis::layer, tensor_axis::position, tensor_axis::head, tensor_axis::row, tensor_axis::channel})
          if (axis == trimtab::name_of(one) and (p.axes.empty() or p.axes.back() < one)) {
            p.axes.push_back(one);
            known = true;
            break;
          }
        fits = fits and known;
      }
    if (not fits or p.axes.front() != tensor_axis::layer)
      object.refuse("axes", "\"layer\", then those of \"position\", \"head\", \"row\" and \"channel\" that there are");
    p.numbers = source_.numbers(p.tensor);
    if (p.numbers.shape.size() != p.axes.size())
      source_.refuse("has the tensor " + text::in_quotes(p.tensor, '\'') + " of shape " + shape_text(p.numbers.shape) +
                     "; expected " + description_of(p.axes));
    return p;
  }

  const intervention_source& source_;
};

}  // namespace trimtab::io::detail
