// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/core/objective.hpp>
#include <trimtab/core/optimizer.hpp>
#include <trimtab/core/settings.hpp>
#include <trimtab/objective/weighted_sum.hpp>

#include <algorithm>

/// What is known of an objective from its terms and their weights alone.

namespace trimtab {

/// An objective's penalty on a number of `parameters`. Throws `bad_argument` for two penalties, and for a
/// weight that is negative or NaN.
template <typename... Terms>
penalty penalty_of(const objective::weighted_sum<Terms...>& sum, index_t parameters) {
  penalty p;
  int found = 0;
  sum.each([&]<typename Term>(const objective::weighted<Term>& t) {
    if constexpr (parameter_term<Term>) {
      p = {t.weight, t.term.norm};
      if (p.norm == parameter_norm::mean) p.weight /= static_cast<double>(std::max<index_t>(1, parameters));
      ++found;
    }
  });
  if (found > 1)
    throw error(error_kind::bad_argument,
                "the objective has two penalties on the parameters; an objective may have one");
  if (not(p.weight >= 0))  // also NaN
    throw error(error_kind::bad_argument,
                "the weight of the penalty on the parameters is " + setting_text(p.weight) + "; it must be 0 or more");
  return p;
}

/// How many terms of an objective are on what hooks do, and have a weight.
template <typename... Terms>
index_t hook_terms_in(const objective::weighted_sum<Terms...>& sum) {
  index_t count = 0;
  sum.each([&]<typename Term>(const objective::weighted<Term>& t) { count += hook_term<Term> and t.weight != 0; });
  return count;
}

}  // namespace trimtab
