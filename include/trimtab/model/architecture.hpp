// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/site.hpp>
#include <trimtab/model/config.hpp>

#include <concepts>
#include <string_view>

/// The compile-time part of a model family: how a block joins attention and MLP, and so which sites it has. All else is
/// in `model_config`.

namespace trimtab {

struct gpt2_architecture {
  static constexpr std::string_view text = "gpt2";
  static constexpr residual_form residual = residual_form::sequential;
};

/// Pythia's blocks are parallel; `use_parallel_residual: false` selects sequential ones.
template <residual_form Form = residual_form::parallel>
struct gpt_neox_architecture {
  static constexpr std::string_view text = "gpt_neox";
  static constexpr residual_form residual = Form;
};

/// A family of transformers.
///
/// Satisfied by: `gpt2_architecture`, `gpt_neox_architecture<>`.
template <typename A>
concept model_architecture = requires {
  { A::text } -> std::convertible_to<std::string_view>;
  { A::residual } -> std::convertible_to<residual_form>;
};

/// Channels of one row at a site.
inline index_t site_width(site_rows rows, const model_config& config) {
  switch (rows) {
    case site_rows::head: return config.head_width();
    case site_rows::hidden: return config.hidden;
    case site_rows::stream: break;
  }
  return config.width;
}
template <hook_site Site>
index_t site_width(const model_config& config) {
  return site_width(Site::rows, config);
}

/// Rows per token at a site: the number of heads at `attn_z`, else 1.
inline index_t site_parts(site_rows rows, const model_config& config) {
  return rows == site_rows::head ? config.heads : 1;
}

}  // namespace trimtab
