// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/position.hpp>
#include <trimtab/core/site.hpp>
#include <trimtab/core/view.hpp>
#include <trimtab/model/config.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// What the tensors of an intervention file are called and which axes they have, with L layers, P positions, H heads,
/// and D channels (F neurons at mlp_post, D / H channels of a head at attn_z):
///
///     {site}.alpha   [L, P]      activ-scalar          {site}.weight  [L, D]   dyn-scalar
///     {site}.vector  [L, P, D]   steer-vec             {site}.bias    [L]      dyn-scalar, if it has one
///
/// At attn_z the head H follows P. `weight` and `bias` get an axis P when their positions are not shared. In a sequence
/// the k-th policy's tensors are called {site}.{k}.{parameter}; a user's own parameters have the axes of alpha or
/// vector.

namespace trimtab::io {

/// What of a site the compiler knows, for names that come at run time.
struct site_description {
  std::string_view text;
  site_rows rows;
  bool in_parallel_blocks;
};

namespace detail {
template <hook_site S>
inline constexpr site_description described_site = {S::text, S::rows, exposes<S, residual_form::parallel>};

inline constexpr site_description sites[] = {described_site<site::resid_pre>, described_site<site::attn_z>,
                                             described_site<site::attn_out>,  described_site<site::resid_mid>,
                                             described_site<site::mlp_post>,  described_site<site::mlp_out>,
                                             described_site<site::resid_post>};
static_assert(std::size(sites) == site::count);
}  // namespace detail

inline std::optional<site_description> find_site(std::string_view name) {
  for (const auto& one : detail::sites)
    if (one.text == name) return one;
  return std::nullopt;
}

inline std::vector<std::string_view> site_list(bool in_parallel_blocks = false) {
  std::vector<std::string_view> list;
  for (const auto& one : detail::sites)
    if (one.in_parallel_blocks or not in_parallel_blocks) list.push_back(one.text);
  return list;
}

/// "attn_z, attn_out, ...", for sentences.
inline std::string site_names(bool in_parallel_blocks = false) {
  std::string names;
  for (const auto& one : site_list(in_parallel_blocks)) names += (names.empty() ? "" : ", ") + std::string(one);
  return names;
}

/// "attn_out" of "attn_out.0.alpha".
inline std::string_view site_of(std::string_view tensor) { return tensor.substr(0, tensor.find('.')); }
/// "0.alpha" of "attn_out.0.alpha".
inline std::string_view parameter_of(std::string_view tensor) {
  const auto dot = tensor.find('.');
  return dot == tensor.npos ? std::string_view() : tensor.substr(dot + 1);
}

/// The parameters that a policy of the library has; nothing for others.
inline std::vector<std::string_view> parameters_of(std::string_view policy) {
  if (policy == "activ-scalar") return {"alpha"};
  if (policy == "steer-vec") return {"vector"};
  if (policy == "affine") return {"alpha", "vector"};
  if (policy.starts_with("dyn-scalar")) return {"weight", "bias"};  // with any gate
  return {};
}

/// The axes of a tensor by letter, "LPD".
struct tensor_axes {
  std::string text = "L";
  bool has_positions = false;
  bool extent_unknown = false;  ///< whether there is a last axis D is not known from the name

  /// "[L, P, D] with L the layers, ..."
  std::string description() const {
    std::string letters, meaning;
    for (char axis : text) {
      letters += (letters.empty() ? "" : ", ") + std::string(1, axis);
      meaning += (meaning.empty() ? "" : ", ") + std::string(axis == 'L'   ? "L layers"
                                                             : axis == 'P' ? "P positions"
                                                             : axis == 'H' ? "H heads"
                                                                           : "D channels");
    }
    return "[" + letters + "]: " + meaning;
  }
};

inline tensor_axes axes_of(std::string_view tensor, position_key::kind kind) {
  const auto parameter = parameter_of(tensor);
  const auto name = parameter.substr(parameter.rfind('.') + 1);
  const bool dynamic = name == "weight" or name == "bias";
  tensor_axes axes;
  axes.has_positions = not dynamic or kind != position_key::kind::shared;
  if (axes.has_positions) axes.text += 'P';
  if (const auto site = find_site(site_of(tensor)); site and site->rows == site_rows::head) axes.text += 'H';
  if (name == "vector" or name == "weight") axes.text += 'D';
  axes.extent_unknown = not dynamic and name != "vector" and name != "alpha";
  return axes;
}

/// Channels of a row at a site.
inline index_t width_at(const site_description& site, const model_config& config) {
  switch (site.rows) {
    case site_rows::head: return config.head_width();
    case site_rows::hidden: return config.hidden;
    case site_rows::stream: break;
  }
  return config.width;
}

/// The shape of a tensor for a model. `extent` is how many numbers the parameter has in one record; only for a user's
/// own parameter it decides whether there is a last axis.
inline std::vector<index_t> shape_of(std::string_view tensor, const position_key& positions, const model_config& config,
                                     index_t extent) {
  auto axes = axes_of(tensor, positions.by());
  if (axes.extent_unknown and extent > 1) axes.text += 'D';
  std::vector<index_t> shape;
  for (char axis : axes.text)
    shape.push_back(axis == 'L'   ? config.layers
                    : axis == 'P' ? positions.count()
                    : axis == 'H' ? config.heads
                                  : extent);
  return shape;
}

}  // namespace trimtab::io
