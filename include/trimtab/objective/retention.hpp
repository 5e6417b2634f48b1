// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/objective.hpp>
#include <trimtab/objective/faithfulness.hpp>

#include <string_view>

/// What must stay: on prompts of their own, KL(p ‖ q) over the whole vocabulary, with p the softmax of the untouched
/// model's logits and q that of the steered ones. Its mean is over the prompts with `retained` set, which no other term
/// looks at.

namespace trimtab::objective {

struct retention {
  static constexpr std::string_view text = "retention";
  static constexpr bool of_retained = true;

  constexpr auto value(row auto& r) const { return everything().value(r); }
  constexpr void gradient(row auto& r) const { everything().gradient(r); }

 private:
  static constexpr faithfulness everything() { return {.over = vocabulary::full}; }
};

}  // namespace trimtab::objective

template <>
inline constexpr bool trimtab::enable_objective_term<trimtab::objective::retention> = true;
