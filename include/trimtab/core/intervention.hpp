// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/layers.hpp>
#include <trimtab/core/policy.hpp>
#include <trimtab/core/position.hpp>
#include <trimtab/core/site.hpp>

#include <utility>

/// One intervention of a composition: a site, a policy, layers, and how positions share parameters.
///
///     at(site::attn_out{}, policy::activ_scalar{})
///     at(site::resid_post{}, policy::steer_vec{}, layers::range(4, 11), positions::from_end(8))

namespace trimtab {

/// A policy's default positions: one shared record for a policy that reads `h` itself, else one record per index.
template <typename Policy>
position_key default_positions() {
  if constexpr (shares_positions<Policy>)
    return positions::shared();
  else
    return positions::absolute();
}

template <typename Site, typename Policy>
struct intervention {
  using site_type = Site;
  using policy_type = Policy;

  Policy policy = {};
  layer_set layers = layer_set::all();
  position_key positions = default_positions<Policy>();
  index_t part = -1;  ///< the head at `attn_z`; -1: all of them
};

template <typename Site, typename Policy>
auto at(Site, Policy policy, layer_set in = layer_set::all(), position_key by = default_positions<Policy>()) {
  static_assert(hook_site<Site>, "the first argument of at() is a site such as site::attn_out{}");
  static_assert(
      intervention_policy<Policy>,
      "the second argument of at() is a policy: a trivially copyable type with `parameters`, a forward(row auto&) and "
      "its adjoint backward(row auto&), such as policy::activ_scalar{}");
  if constexpr (intervention_policy<Policy>)
    static_assert(names_are_free(Policy::parameters),
                  "a policy's parameters need distinct names other than h, out and beta");
  return intervention<Site, Policy>{policy, std::move(in), std::move(by)};
}

/// The same in one head.
template <site_part Part, typename Policy>
auto at(Part, Policy policy, layer_set in = layer_set::all(), position_key by = default_positions<Policy>()) {
  auto made = at(typename Part::of{}, policy, std::move(in), std::move(by));
  made.part = Part::part;
  return made;
}

}  // namespace trimtab
