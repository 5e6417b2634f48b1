// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// The hook sites: where in a block an intervention can act. A site is a type, so that compositions are checked at
/// compile time; layers and positions are values. Names are TransformerLens's. `site::all` lists the sites once, in
/// forward order; everything about all sites follows from that list.

namespace trimtab {

/// What one row at a site is: the whole residual stream, one head's output, or the neurons of the MLP.
enum class site_rows { stream, head, hidden };

/// How a block joins attention and MLP, which decides whether it has a `resid_mid`.
enum class residual_form {
  sequential,  ///< the MLP reads the stream after the attention was added (GPT-2)
  parallel,    ///< attention and MLP read the same stream (Pythia)
};

namespace site {

/// The residual stream that enters the block [row, D].
struct resid_pre {
  static constexpr std::string_view text = "resid_pre";
  static constexpr site_rows rows = site_rows::stream;
};

/// Each head's weighted sum of values, before the output projection [row, head, D / heads].
struct attn_z {
  static constexpr std::string_view text = "attn_z";
  static constexpr site_rows rows = site_rows::head;
};

/// What the attention adds to the stream, its bias included [row, D].
struct attn_out {
  static constexpr std::string_view text = "attn_out";
  static constexpr site_rows rows = site_rows::stream;
};

/// The residual stream between attention and MLP [row, D]; parallel blocks have none.
struct resid_mid {
  static constexpr std::string_view text = "resid_mid";
  static constexpr site_rows rows = site_rows::stream;
  static constexpr bool in_parallel_blocks = false;
};

/// The MLP's neurons after the nonlinearity [row, F].
struct mlp_post {
  static constexpr std::string_view text = "mlp_post";
  static constexpr site_rows rows = site_rows::hidden;
};

/// What the MLP adds to the stream, its bias included [row, D].
struct mlp_out {
  static constexpr std::string_view text = "mlp_out";
  static constexpr site_rows rows = site_rows::stream;
};

/// The residual stream that leaves the block [row, D].
struct resid_post {
  static constexpr std::string_view text = "resid_post";
  static constexpr site_rows rows = site_rows::stream;
};

template <typename... Sites>
struct list {
  static constexpr std::size_t count = sizeof...(Sites);
  template <typename S>
  static constexpr bool contains = (std::same_as<S, Sites> or ...);

  /// The index of the site in the list.
  template <typename S>
  static constexpr std::size_t index_of = [] {
    std::size_t k = 0;
    bool found = false;
    ((found = found or std::same_as<S, Sites>, k += found ? 0 : 1), ...);
    return k;
  }();

  /// f(Site{}) for each.
  template <typename F>
  static constexpr void each(F&& f) {
    (f(Sites{}), ...);
  }
};

using all = list<resid_pre, attn_z, attn_out, resid_mid, mlp_post, mlp_out, resid_post>;
inline constexpr std::size_t count = all::count;

/// One head of `attn_z`: at(site::head<7>{}, policy) acts there alone.
template <int Head>
struct head {
  static_assert(Head >= 0, "heads are counted from 0");
  using of = attn_z;
  static constexpr int part = Head;
};

}  // namespace site

/// A site: one of `site::all`, because a pass must know where it is.
template <typename S>
concept hook_site = site::all::contains<S>;

/// A part of a site that a program names by a type of its own, with the site as `of` and either the index of one head
/// as `part`, or some of the channels of a row, [first, last), for which policy/on_channels.hpp has `at`.
template <typename S>
concept site_part = hook_site<typename S::of> and requires {
  { S::part } -> std::convertible_to<int>;
};

/// The site's index in `site::all`.
template <hook_site S>
inline constexpr std::size_t site_index = site::all::index_of<S>;

/// Whether blocks of this form have the site.
template <hook_site S, residual_form Form>
inline constexpr bool exposes = [] {
  if constexpr (requires { S::in_parallel_blocks; })
    return S::in_parallel_blocks or Form == residual_form::sequential;
  else
    return true;
}();

/// A site as data, for sites that are chosen by name at run time.
struct site_description {
  std::string_view text = {};
  site_rows rows = site_rows::stream;
  bool in_parallel_blocks = true;
};

namespace site {

/// All sites by index.
inline constexpr std::array<site_description, count> table = [] {
  std::array<site_description, count> descriptions{};
  all::each([&]<typename S>(S) {
    descriptions[site_index<S>] = {S::text, S::rows, exposes<S, residual_form::parallel>};
  });
  return descriptions;
}();

/// The names of all sites, or only of those that parallel blocks have.
inline std::vector<std::string_view> texts(bool in_parallel_blocks = false) {
  std::vector<std::string_view> names;
  for (const site_description& one : table)
    if (one.in_parallel_blocks or not in_parallel_blocks) names.push_back(one.text);
  return names;
}

/// The same as one list for messages: "attn_z, attn_out, ...".
inline std::string names(bool in_parallel_blocks = false) {
  std::string all_names;
  for (const std::string_view one : texts(in_parallel_blocks))
    all_names += (all_names.empty() ? "" : ", ") + std::string(one);
  return all_names;
}

/// The index of the site with this name, or nothing.
constexpr std::optional<std::size_t> find(std::string_view text) {
  for (std::size_t k = 0; k < count; ++k)
    if (table[k].text == text) return k;
  return std::nullopt;
}

}  // namespace site
}  // namespace trimtab
