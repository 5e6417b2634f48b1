// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/policy.hpp>
#include <trimtab/core/position.hpp>
#include <trimtab/core/settings.hpp>
#include <trimtab/core/view.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

/// The layout of a composition's parameters: one flat array θ, [intervention][layer][position][part][record]. At
/// `attn_z` each head is a part, elsewhere there is one; a record holds the policy's parameters for one place.

namespace trimtab {

/// A named parameter inside a record: one number, a row of them, or a matrix.
struct parameter_slice {
  std::string name;  ///< `alpha`, `vector`, `0.alpha`
  index_t offset;
  index_t extent;                     ///< how many numbers
  index_t count = 1;                  ///< rows of a matrix, or numbers of a row
  bool is_per_channel = false;        ///< whether each has one number per channel
  weighing weighed = weighing::each;  ///< by minimality
  bool is_offset = false;             ///< whether an affine policy adds it

  friend bool operator==(const parameter_slice&, const parameter_slice&) = default;
};

/// A policy as data, on rows of one width.
struct policy_description {
  std::string text = {};                     ///< its name, "custom" for a policy without one
  std::vector<named_setting> settings = {};  ///< the constants it was made with
  std::vector<parameter_slice> slices = {};
  index_t record_size = 0;
  bool shares_positions = false;  ///< whether all positions share one record by default
  bool only_scales = false;       ///< whether it gives a multiple of the activation
  bool is_affine = false;         ///< in its activations
  bool only_adds = false;         ///< whether it never reads `h`

  friend bool operator==(const policy_description&, const policy_description&) = default;
};

template <intervention_policy P>
policy_description describe(const P& policy, index_t width) {
  policy_description d{.text = std::string(policy_text<P>()),
                       .settings = settings_of(policy),
                       .record_size = P::parameters.size(width),
                       .shares_positions = shares_positions<P>,
                       .only_scales = scales_only<P>,
                       .is_affine = is_affine<P>,
                       .only_adds = only_adds<P>};
  P::parameters.apply(width, [&]<typename... Name>(parameter_place<Name>... p) {
    (d.slices.push_back({label(p.name), p.offset, p.extent, Name::count, Name::is_per_channel, weighing_of<P>(p.name),
                         is_offset<P, Name>()}),
     ...);
  });
  return d;
}

/// Fills one record with the policy's start values, zeros unless it declares others.
template <intervention_policy P>
void start_record(std::span<double> record, index_t width, random_generator& random) {
  P::parameters.apply(width, [&](auto... p) {
    const auto fill = [&](auto place) {
      for (double& x : record.subspan(static_cast<std::size_t>(place.offset), static_cast<std::size_t>(place.extent)))
        x = start_of<P>(place.name, random, width);
    };
    (fill(p), ...);
  });
}

/// The parameters of one intervention.
struct parameter_block {
  std::string site = {};
  std::string policy = {};
  std::vector<named_setting> settings = {};  ///< of the policy
  std::vector<index_t> layers = {};          ///< those with parameters, ascending
  position_key positions = {};
  bool shares_positions = false;  ///< whether all positions share one record by default
  bool only_scales = false;       ///< whether the policy gives a multiple of the activation
  bool is_affine = false;         ///< the policy, in its activations
  index_t parts = 1;
  index_t part = -1;  ///< the only part in which it acts, whose records alone are not all zeros; -1: all
  index_t width = 0;  ///< channels of a row at the site
  index_t record_size = 0;
  std::vector<parameter_slice> slices = {};
  index_t offset = 0;  ///< of the block in θ
  /// By layer, where in the stream it acts (same_place.hpp), -1 for nowhere; may be empty.
  std::vector<index_t> points = {};

  index_t records_per_layer() const { return positions.count() * parts; }
  index_t records() const { return static_cast<index_t>(layers.size()) * records_per_layer(); }
  index_t size() const { return records() * record_size; }

  /// Whether any row can use record r of the block.
  bool uses(index_t r) const { return part < 0 or r % parts == part; }
  index_t used_records() const { return part < 0 ? records() : records() / parts; }

  /// The layer's index in `layers`; -1 for a layer without the intervention.
  index_t layer_number(index_t layer) const {
    const auto at = std::ranges::lower_bound(layers, layer);
    return at == layers.end() or *at != layer ? -1 : at - layers.begin();
  }

  /// The offset in θ of the layer's records; -1 for a layer without the intervention.
  index_t layer_offset(index_t layer) const {
    const index_t number = layer_number(layer);
    return number < 0 ? -1 : offset + number * records_per_layer() * record_size;
  }

  /// Whether minimality takes every number of a record by itself, as with most policies.
  bool weighs_each() const {
    return std::ranges::all_of(slices, [](const parameter_slice& s) { return s.weighed == weighing::each; });
  }
  /// f(slice) for each parameter that minimality weighs; without slices, the record as one.
  template <typename F>
  void each_weighed(F f) const {
    if (slices.empty()) f(parameter_slice{"", 0, record_size});
    for (const parameter_slice& s : slices)
      if (s.weighed != weighing::none) f(s);
  }

  friend bool operator==(const parameter_block&, const parameter_block&) = default;
};

struct parameter_layout {
  std::vector<parameter_block> blocks = {};

  /// How many numbers there are.
  index_t size() const { return blocks.empty() ? 0 : blocks.back().offset + blocks.back().size(); }

  friend bool operator==(const parameter_layout&, const parameter_layout&) = default;
};

}  // namespace trimtab
