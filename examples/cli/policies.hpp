// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model.hpp"

#include <trimtab/policy/library.hpp>
#include <trimtab/steer/any_policy.hpp>
#include <trimtab/text/joined.hpp>
#include <trimtab/text/nearest_name.hpp>
#include <trimtab/text/utf8.hpp>

#include <range/v3/view/drop_last.hpp>

#include <algorithm>
#include <optional>
#include <string>

/// The policies by name, on one backend. They are compiled in one source file for each backend, and not for each model.

namespace trimtab::cli {

/// Throws `bad_argument` for a policy that this program does not have.
template <tensor_backend B>
any_policy<B> policy_for(const chosen_at& chosen) {
  std::optional<any_policy<B>> found;
  const auto names = policy::names();
  if (std::ranges::find(names, chosen.policy) == names.end())
    throw error(error_kind::bad_argument, "the policy " + text::in_quotes(chosen.policy, '\'') +
                                              " is unknown; this program has " +
                                              text::joined(names | ranges::views::drop_last(1), ", ") + " and " +
                                              names.back() + did_you_mean(chosen.policy, names));
  const auto hold = [&](auto policy) { found.emplace(policy); };
  if (not chosen.parameters) {
    policy::visit_with(chosen.policy, chosen.options, hold);
  } else if (not policy::visit(chosen.policy, *chosen.parameters, hold)) {
    const auto quoted = [](const policy::declared_parameter& p) {
      return text::in_quotes(p.name, '\'') + (p.count > 1 ? " of " + std::to_string(p.count) + " rows" : "");
    };
    throw error(error_kind::mismatch, "the policy '" + chosen.policy + "' has no variant with the parameters " +
                                          text::joined(*chosen.parameters, ", ", quoted));
  }
  return *found;
}

}  // namespace trimtab::cli
