// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/position.hpp>
#include <trimtab/core/view.hpp>
#include <trimtab/io/intervention_shape.hpp>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

/// An intervention on disk: a safetensors file with the tensors of intervention_shape.hpp, rows of layers that are not
/// intervened on zero, and metadata
///
///     format        trimtab-intervention-1
///     policy        activ-scalar, steer-vec, dyn-scalar, ...
///     position_key  absolute, from_end (index 0 is the last token), role or shared
///     positions     P, how many
///     roles         for `role`: their names, ["subject", "end"]
///     model         {"architecture", "layers", "width", "vocabulary", "hash"} of the model it was made for
///     layers        {"attn_out": [4, 5]} where a site is not intervened on in all layers
///
/// and how it was made, in any other keys. A file from elsewhere may lack everything below `position_key` but roles.

namespace trimtab {

/// Which model an intervention is for.
struct model_facts {
  std::string architecture = {};
  index_t layers = 0;
  index_t width = 0;
  index_t vocabulary = 0;
  std::string hash = {};

  friend bool operator==(const model_facts&, const model_facts&) = default;
};

struct named_tensor {
  std::vector<index_t> shape = {};
  std::vector<double> values = {};

  friend bool operator==(const named_tensor&, const named_tensor&) = default;
};

/// What an intervention file says; consistent in itself, not yet compared with a model.
struct intervention_file {
  std::string policy = {};
  position_key positions = {};
  std::map<std::string, named_tensor> tensors = {};         ///< by `{site}.{parameter}`
  std::map<std::string, std::vector<index_t>> layers = {};  ///< by site, rising; every layer of a site without entry
  std::optional<model_facts> model = {};
  std::map<std::string, std::string> made = {};  ///< how: task, seed, ...

  index_t layer_count() const { return tensors.empty() ? 0 : tensors.begin()->second.shape.front(); }

  /// The layers in which the site is intervened on; none for a site that the file does not have.
  std::vector<index_t> layers_of(const std::string& site) const {
    if (const auto listed = layers.find(site); listed != layers.end()) return listed->second;
    std::vector<index_t> all;
    if (std::ranges::any_of(tensors, [&](const auto& t) { return io::site_of(t.first) == site; }))
      for (index_t l = 0; l < layer_count(); ++l) all.push_back(l);
    return all;
  }

  friend bool operator==(const intervention_file&, const intervention_file&) = default;
};

namespace io {
inline constexpr char intervention_format[] = "trimtab-intervention-1";
}  // namespace io
}  // namespace trimtab
