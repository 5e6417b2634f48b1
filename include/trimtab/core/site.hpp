// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <string_view>

/// Where in a block one may intervene. A site kind is a type, so that a composition is checked when it is compiled;
/// layers and positions are values. The names are TransformerLens's; `stage` orders the kinds as a forward pass meets
/// them.

namespace trimtab {

/// What one row at a site is: the whole residual stream, one head's output, or the neurons of the MLP.
enum class site_rows { stream, head, hidden };

/// What decides whether an architecture has a site.
enum class residual_form {
  sequential,  ///< the MLP reads the stream after the attention was added (GPT-2)
  parallel,    ///< attention and MLP read the same stream (Pythia)
};

namespace site {

/// The residual stream that enters the block [row, D].
struct resid_pre {
  static constexpr std::string_view text = "resid_pre";
  static constexpr int stage = 0;
  static constexpr site_rows rows = site_rows::stream;
};

/// Each head's weighted sum of values, before the output projection [row, head, D / heads].
struct attn_z {
  static constexpr std::string_view text = "attn_z";
  static constexpr int stage = 1;
  static constexpr site_rows rows = site_rows::head;
};

/// What the attention adds to the stream, its bias included [row, D].
struct attn_out {
  static constexpr std::string_view text = "attn_out";
  static constexpr int stage = 2;
  static constexpr site_rows rows = site_rows::stream;
};

/// The stream between attention and MLP [row, D]; a parallel block has no such place.
struct resid_mid {
  static constexpr std::string_view text = "resid_mid";
  static constexpr int stage = 3;
  static constexpr site_rows rows = site_rows::stream;
};

/// The MLP's neurons after the nonlinearity [row, F].
struct mlp_post {
  static constexpr std::string_view text = "mlp_post";
  static constexpr int stage = 4;
  static constexpr site_rows rows = site_rows::hidden;
};

/// What the MLP adds to the stream, its bias included [row, D].
struct mlp_out {
  static constexpr std::string_view text = "mlp_out";
  static constexpr int stage = 5;
  static constexpr site_rows rows = site_rows::stream;
};

/// The residual stream that leaves the block [row, D].
struct resid_post {
  static constexpr std::string_view text = "resid_post";
  static constexpr int stage = 6;
  static constexpr site_rows rows = site_rows::stream;
};

inline constexpr int count = 7;

}  // namespace site

/// A kind of place in a block: one of the seven above, because a pass must know where it is.
template <typename S>
concept hook_site = std::same_as<S, site::resid_pre> or std::same_as<S, site::attn_z> or
    std::same_as<S, site::attn_out> or std::same_as<S, site::resid_mid> or std::same_as<S, site::mlp_post> or
    std::same_as<S, site::mlp_out> or std::same_as<S, site::resid_post>;

/// Whether blocks of this form have the site.
template <hook_site S, residual_form Form>
inline constexpr bool exposes = not(std::same_as<S, site::resid_mid> and Form == residual_form::parallel);

}  // namespace trimtab
