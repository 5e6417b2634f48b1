// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model.hpp"

#include <trimtab/policy/library.hpp>
#include <trimtab/steer/any_policy.hpp>
#include <trimtab/text/nearest_name.hpp>
#include <trimtab/text/utf8.hpp>

#include <algorithm>
#include <optional>
#include <string>

/// The policies by name on one backend. Each backend's are compiled in one source file, whatever models there are.

namespace trimtab::cli {

/// Throws `bad_argument` for a policy that is none of this program's.
template <tensor_backend B>
any_policy<B> policy_for(const chosen_at& chosen) {
  std::optional<any_policy<B>> found;
  const auto names = policy::names();
  if (std::ranges::find(names, chosen.policy) == names.end()) {
    std::string list;
    for (std::size_t k = 0; k < names.size(); ++k)
      list += (k == 0 ? "" : k + 1 == names.size() ? " and " : ", ") + names[k];
    throw error(error_kind::bad_argument, "the policy " + text::in_quotes(chosen.policy, '\'') +
                                              " is none of this program's: " + list +
                                              did_you_mean(chosen.policy, names));
  }
  const auto hold = [&](auto policy) { found.emplace(policy); };
  if (not chosen.parameters) {
    policy::visit_with(chosen.policy, chosen.options, hold);
  } else if (not policy::visit(chosen.policy, *chosen.parameters, hold)) {
    std::string list;
    for (const auto& name : *chosen.parameters) list += (list.empty() ? "" : ", ") + text::in_quotes(name, '\'');
    throw error(error_kind::mismatch, "the policy '" + chosen.policy + "' has no form with the parameters " + list);
  }
  return *found;
}

}  // namespace trimtab::cli
