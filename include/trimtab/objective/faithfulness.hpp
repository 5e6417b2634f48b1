// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/objective.hpp>
#include <trimtab/row/math.hpp>

/// L_F: everything that was not asked to change stays. With p the softmax of the untouched model's logits and q that of
/// the steered ones, both over the vocabulary without the two answers (or over all of it),
///
///     KL(p ‖ q) = Σ p (log p − log q)       gradient  q − p
///     KL(q ‖ p) = Σ q (log q − log p)       gradient  q (log q − log p − KL)     (reversed)
///
/// A vocabulary of which the two answers are all, or all but one token, has nothing to keep: the masked KL is 0.

namespace trimtab::objective {

enum class vocabulary { masked, full };
enum class kl_direction { forward, reverse };

struct faithfulness {
  static constexpr std::string_view text = "faithfulness";

  vocabulary over = vocabulary::masked;
  kl_direction direction = kl_direction::forward;

  constexpr void each_setting(auto&& f) const {
    f("vocabulary", over);
    f("direction", direction);
  }
  constexpr auto value(row auto& r) const { return divergence(r, normalisers(r)); }

  constexpr void gradient(row auto& r) const {
    using T = scalar_of<std::remove_reference_t<decltype(r)>>;
    using math::exp;
    const auto n = normalisers(r);
    const T d = r.d_value();
    if (direction == kl_direction::forward) {
      r.each([&](auto j) {
        const T p = exp(r.reference(j) - n.reference), q = exp(r.h(j) - n.steered);
        r.d_h(j) += kept(r, j) ? d * (q - p) : T(0);
      });
    } else {
      const T kl = divergence(r, n);
      r.each([&](auto j) {
        const T log_q = r.h(j) - n.steered;
        r.d_h(j) += kept(r, j) ? d * exp(log_q) * (log_q - (r.reference(j) - n.reference) - kl) : T(0);
      });
    }
  }

 private:
  template <typename T>
  struct log_sums {
    T reference;
    T steered;
  };

  template <row R>
  constexpr bool kept(R const& r, index_t j) const {
    return over == vocabulary::full or
           (j != static_cast<index_t>(r.correct()) and j != static_cast<index_t>(r.wrong()));
  }

  template <row R, typename Logit>
  constexpr scalar_of<R> log_sum_exp(R const& r, Logit logit) const {
    using T = scalar_of<R>;
    using math::exp, math::log;
    const T top = r.max([&](auto j) { return kept(r, j) ? logit(j) : T(lowest); });
    return top + log(r.sum([&](auto j) { return kept(r, j) ? exp(logit(j) - top) : T(0); }));
  }

  template <row R>
  constexpr log_sums<scalar_of<R>> normalisers(R const& r) const {
    return {log_sum_exp(r, [&](auto j) { return r.reference(j); }), log_sum_exp(r, [&](auto j) { return r.h(j); })};
  }

  template <row R>
  constexpr scalar_of<R> divergence(R const& r, log_sums<scalar_of<R>> n) const {
    using T = scalar_of<R>;
    using math::exp;
    const bool forward = direction == kl_direction::forward;
    return r.sum([&](auto j) {
      const T log_p = r.reference(j) - n.reference, log_q = r.h(j) - n.steered;
      return kept(r, j) ? (forward ? exp(log_p) * (log_p - log_q) : exp(log_q) * (log_q - log_p)) : T(0);
    });
  }

  static constexpr float lowest = -1e30f;
};

}  // namespace trimtab::objective

template <>
inline constexpr bool trimtab::enable_objective_term<trimtab::objective::faithfulness> = true;
