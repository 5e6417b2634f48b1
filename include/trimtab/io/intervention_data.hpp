// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/position.hpp>
#include <trimtab/core/settings.hpp>
#include <trimtab/core/view.hpp>
#include <trimtab/text/joined.hpp>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

/// An intervention file, version 2: a safetensors file with a tensor for each parameter of each intervention, and the
/// metadata
///
///     format         trimtab-intervention-2
///     interventions  [{"site": "attn_out", "policy": "activ-scalar", "settings": {"threshold": "1"}, "layers": [4, 5],
///                      "position_key": "from_end", "positions": 8, "roles": [...] for `role`,
///                      "parameters": [{"name": "alpha", "tensor": "attn_out.alpha", "axes": ["layer", "position"]}]}]
///     model          {"architecture", "residual", "layers", "width", "vocabulary", "hash"} of its model
///     made           {...} how it was made: task, seed, ...
///
/// A tensor is called {site}.{parameter}, or {site}.{k}.{parameter} where the site has several interventions, k in the
/// order in which they act. Its axes are, in this order and each only where it exists: all L layers of the model (zeros
/// without the intervention), the positions (index 0 of `from_end` is the last token), the heads (at attn_z), the rows
/// of a matrix, the channels. Where all interventions agree, "policy", "position_key", "positions" and "roles" are
/// repeated at the top level, as in version 1, which io/intervention_version_1.hpp reads.

namespace trimtab {

/// Which model an intervention is for.
struct model_facts {
  std::string architecture = {};
  std::string residual = {};  ///< "sequential" or "parallel"
  index_t layers = 0;
  index_t width = 0;
  index_t vocabulary = 0;
  std::string hash = {};  ///< of the weights' values; in version 1 of their bytes

  friend bool operator==(const model_facts&, const model_facts&) = default;
};

struct named_tensor {
  std::vector<index_t> shape = {};
  std::vector<double> values = {};

  friend bool operator==(const named_tensor&, const named_tensor&) = default;
};

/// The axes of a tensor.
enum class tensor_axis { layer, position, head, row, channel };

inline constexpr const char* name_of(tensor_axis axis) {
  constexpr const char* names[] = {"layer", "position", "head", "row", "channel"};
  return names[static_cast<int>(axis)];
}

/// For messages: "[L, P, D]: L layers, P positions, D channels".
inline std::string description_of(const std::vector<tensor_axis>& axes) {
  constexpr const char* letters[] = {"L", "P", "H", "R", "D"};
  constexpr const char* meanings[] = {"layers", "positions", "heads", "rows", "channels"};
  const auto letter = [&](tensor_axis axis) { return std::string(letters[static_cast<int>(axis)]); };
  const auto meaning = [&](tensor_axis axis) { return letter(axis) + " " + meanings[static_cast<int>(axis)]; };
  return "[" + text::joined(axes, ", ", letter) + "]: " + text::joined(axes, ", ", meaning);
}

/// One parameter of an intervention with its numbers.
struct saved_parameter {
  std::string name = {};               ///< `alpha`
  std::string tensor = {};             ///< `attn_out.alpha`
  std::vector<tensor_axis> axes = {};  ///< of the tensor, in the order of the enum
  named_tensor numbers = {};

  bool has(tensor_axis axis) const { return std::ranges::find(axes, axis) != axes.end(); }
  /// The length of an axis; 1 for an axis that the tensor lacks.
  index_t extent(tensor_axis axis) const {
    const auto at = std::ranges::find(axes, axis);
    return at == axes.end() ? 1 : numbers.shape[static_cast<std::size_t>(at - axes.begin())];
  }

  friend bool operator==(const saved_parameter&, const saved_parameter&) = default;
};

/// One intervention of a file.
struct saved_intervention {
  std::string site = {};
  std::string policy = {};
  std::optional<std::vector<named_setting>> settings = {};  ///< of the policy; nothing if the file does not say
  position_key positions = {};
  std::vector<index_t> layers = {};  ///< ascending
  std::vector<saved_parameter> parameters = {};

  friend bool operator==(const saved_intervention&, const saved_intervention&) = default;
};

/// What an intervention file says; consistent in itself, not yet compared with a model.
struct intervention_file {
  int version = 2;
  std::vector<saved_intervention> interventions = {};  ///< those of one site in the order in which they act
  std::optional<model_facts> model = {};
  std::map<std::string, std::string> made = {};  ///< how: task, seed, ...
  bool in_double = false;                        ///< whether numbers are always written as F64

  /// Layers of the model that it was made for.
  index_t layer_count() const {
    for (const saved_intervention& i : interventions)
      if (not i.parameters.empty()) return i.parameters.front().numbers.shape.front();
    return 0;
  }

  /// The kinds of positions, each once.
  std::vector<position_key> keys() const {
    std::vector<position_key> all;
    for (const saved_intervention& i : interventions)
      if (std::ranges::find(all, i.positions) == all.end()) all.push_back(i.positions);
    return all;
  }
  /// "activ-scalar", or "activ-scalar + steer-vec".
  std::string policies() const {
    std::vector<std::string> names;
    for (const saved_intervention& i : interventions)
      if (std::ranges::find(names, i.policy) == names.end()) names.push_back(i.policy);
    return text::joined(names, " + ");
  }

  friend bool operator==(const intervention_file&, const intervention_file&) = default;
};

namespace io {
inline constexpr char intervention_format[] = "trimtab-intervention-2";
inline constexpr char intervention_format_1[] = "trimtab-intervention-1";
}  // namespace io
/// Which differences between a file and the model are accepted.
struct load_options {
  bool allow_other_weights = false;  ///< accept weights with another hash
};

}  // namespace trimtab
