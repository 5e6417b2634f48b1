// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/core/site.hpp>
#include <trimtab/core/version.hpp>
#include <trimtab/io/declared_parameters.hpp>
#include <trimtab/io/files/safetensors.hpp>
#include <trimtab/io/intervention_data.hpp>
#include <trimtab/io/intervention_file.hpp>
#include <trimtab/io/intervention_reader.hpp>
#include <trimtab/io/json/json.hpp>
#include <trimtab/text/utf8.hpp>

#include <range/v3/range/conversion.hpp>
#include <range/v3/view/map.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

/// Interventions by the names of TransformerLens's hooks: a safetensors file with a tensor for each parameter in each
/// layer, `blocks.5.hook_mlp_out.alpha`, with the axes of an intervention file but for the layers, and the metadata
///
///     format         trimtab-hooks-1
///     interventions  as in an intervention file, each with "hook", "blocks.{layer}.hook_mlp_out", and "formula"
///     strength       1, the beta of the formulas as the intervention was fitted; -1 is the opposite direction
///     model, made    as in an intervention file

namespace trimtab::io {

namespace detail {

inline constexpr char hooks_format[] = "trimtab-hooks-1";

/// The hooks of the sites, after "blocks.{layer}.", in the order of site::all.
inline constexpr auto hooks =
    std::to_array<std::string_view>({"hook_resid_pre", "attn.hook_z", "hook_attn_out", "hook_resid_mid",
                                     "mlp.hook_post", "hook_mlp_out", "hook_resid_post"});
static_assert(hooks.size() == site::count);

/// "blocks.5.hook_mlp_out.alpha" for a tensor that an intervention file calls "mlp_out.alpha".
inline std::string hook_tensor(const std::string& site, const std::string& tensor, index_t layer) {
  return "blocks." + std::to_string(layer) + "." + std::string(hooks[*site::find(site)]) + tensor.substr(site.size());
}

/// Such a file as the reader of intervention files sees it.
class hook_source : public intervention_source {
 public:
  hook_source(const std::filesystem::path& path, index_t layers) : intervention_source(path), layers_(layers) {
    if (metadata("format") != hooks_format)
      refuse("should have the format " + std::string(hooks_format) + " in its metadata, found " +
             abbreviated(json(metadata("format"))));
    for (const auto& [name, entry] : file().tensors()) {
      const auto parts = taken_apart(name);
      if (not parts)
        refuse("has the tensor " + text::in_quotes(name, '\'') +
               "; expected blocks.LAYER.HOOK.PARAMETER, "
               "LAYER below " +
               std::to_string(layers));
      stored_[parts->first][parts->second] = name;
    }
  }

  std::vector<std::string> tensors() const override {
    return stored_ | ranges::views::keys | ranges::to<std::vector<std::string>>();
  }
  named_tensor numbers(const std::string& tensor) const override {
    named_tensor all;
    for (const auto& [layer, name] : stored_.at(tensor)) {
      const auto one = stored_numbers(name);
      if (all.shape.empty()) {
        all.shape = one.shape;
        all.shape.insert(all.shape.begin(), layers_);
        all.values.assign(static_cast<std::size_t>(layers_) * one.values.size(), 0.0);
      }
      if (not std::ranges::equal(one.shape, std::span(all.shape).subspan(1)))
        refuse("has the tensor " + text::in_quotes(name, '\'') + " of shape " + shape_text(one.shape) +
               ", unlike that of another layer");
      std::ranges::copy(one.values, all.values.begin() + layer * std::ssize(one.values));
    }
    return all;
  }

 private:
  /// "mlp_out.alpha" and the layer.
  std::optional<std::pair<std::string, index_t>> taken_apart(std::string_view name) const {
    constexpr std::string_view beginning = "blocks.";
    if (not name.starts_with(beginning)) return std::nullopt;
    name.remove_prefix(beginning.size());
    index_t layer = 0;
    const auto [end, failed] = std::from_chars(name.data(), name.data() + name.size(), layer);
    if (failed != std::errc() or layer < 0 or layer >= layers_) return std::nullopt;
    name.remove_prefix(static_cast<std::size_t>(end - name.data()));
    for (std::size_t k = 0; k < site::count; ++k)
      if (const auto hook = "." + std::string(hooks[k]) + "."; name.starts_with(hook))
        return std::pair(std::string(site::table[k].text) + "." + std::string(name.substr(hook.size())), layer);
    return std::nullopt;
  }

  index_t layers_;
  std::map<std::string, std::map<index_t, std::string>> stored_ = {};
};

}  // namespace detail

/// The content of a file of hooks. Throws `bad_argument` for numbers that are not finite.
inline std::vector<std::byte> hook_bytes(const intervention_file& file) {
  std::map<std::string, named_tensor> tensors;
  auto interventions = json::array();
  for (const saved_intervention& i : file.interventions) {
    auto entry = detail::json_of(i);
    entry["hook"] = "blocks.{layer}." + std::string(detail::hooks[*site::find(i.site)]);
    entry["formula"] = policy::formula_of(i.policy, declared_parameters(i));
    interventions.push_back(std::move(entry));
    for (const saved_parameter& p : i.parameters)
      for (const index_t layer : i.layers) {
        const auto size = p.numbers.values.size() / static_cast<std::size_t>(p.numbers.shape.front());
        const auto first =
            p.numbers.values.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(layer) * size);
        tensors[detail::hook_tensor(i.site, p.tensor, layer)] = {{p.numbers.shape.begin() + 1, p.numbers.shape.end()},
                                                                 {first, first + static_cast<std::ptrdiff_t>(size)}};
      }
  }
  std::map<std::string, std::string> metadata{{"format", detail::hooks_format},
                                              {"version", std::string(version)},
                                              {"interventions", interventions.dump()},
                                              {"strength", "1"}};
  if (file.model) metadata["model"] = detail::text_of(*file.model);
  if (not file.made.empty()) metadata["made"] = json(file.made).dump();
  return safetensors_bytes(stored_tensors(tensors, file.in_double), metadata);
}

/// Reads such a file as an intervention on a model of this many layers. Throws `io` and `bad_file`.
inline intervention_file read_hooks(const std::filesystem::path& path, index_t layers) {
  const detail::hook_source source(path, layers);
  return detail::intervention_reader(source).read();
}

}  // namespace trimtab::io
