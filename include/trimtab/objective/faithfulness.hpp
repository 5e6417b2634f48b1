// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/objective.hpp>
#include <trimtab/row/math.hpp>

#include <string_view>
#include <type_traits>

/// L_F of arXiv 2410.04962: everything but the answer stays the same. With p the softmax of the untouched model's
/// logits and q that of the steered ones, both over the vocabulary without the two answers (or over all of it),
///
///     KL(p ‖ q) = Σ p (log p − log q)       gradient  q − p
///     KL(q ‖ p) = Σ q (log q − log p)       gradient  q (log q − log p − KL)     (reversed)
///
/// If the vocabulary has at most one token besides the two answers, the masked KL divergence is 0. With sets of answers
/// it leaves out all of them.

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
  constexpr auto value(row auto& r) const {
    const auto kept = kept_of(r);
    return divergence(r, kept, normalisers(r, kept));
  }

  constexpr void gradient(row auto& r) const {
    using T = scalar_of<std::remove_reference_t<decltype(r)>>;
    using math::exp;
    const auto kept = kept_of(r);
    const auto n = normalisers(r, kept);
    const T d = r.d_value();
    if (direction == kl_direction::forward) {
      r.each([&](auto j) {
        const T p = exp(r.reference(j) - n.reference), q = exp(r.h(j) - n.steered), slope = d * (q - p);
        r.d_h(j) += kept(j) ? slope : T(0);
      });
    } else {
      const T kl = divergence(r, kept, n);
      r.each([&](auto j) {
        const T log_p = r.reference(j) - n.reference, log_q = r.h(j) - n.steered;
        const T slope = d * exp(log_q) * (log_q - log_p - kl);
        r.d_h(j) += kept(j) ? slope : T(0);
      });
    }
  }

 private:
  /// Which tokens count. Callers compute a value for every token and then select: compilers vectorise a selection
  /// between two numbers, but not a branch around a calculation.
  struct kept_words {
    int first = -1, second = -1;  // as wide as a float: an index of 64 bits would halve the lanes

    template <row R>
    constexpr kept_words(const R& r, vocabulary over) {
      if (over == vocabulary::full) return;
      first = static_cast<int>(r.correct());
      second = static_cast<int>(r.wrong());
    }
    constexpr bool operator()(index_t j) const {
      const int word = static_cast<int>(j);
      return (word != first) & (word != second);
    }
  };

  /// The same for sets of answers.
  template <row R>
  struct kept_outside_sets {
    const R& r;
    vocabulary over;

    constexpr bool operator()(index_t j) const {
      bool kept = true;
      if (over == vocabulary::full) return kept;
      for (index_t k = 0; k < r(name::all_correct.size); ++k) kept &= r(name::all_correct, k) != static_cast<int>(j);
      for (index_t k = 0; k < r(name::all_wrong.size); ++k) kept &= r(name::all_wrong, k) != static_cast<int>(j);
      return kept;
    }
  };

  template <row R>
  constexpr auto kept_of(const R& r) const {
    if constexpr (has_answer_sets<R>)
      return kept_outside_sets<R>{r, over};
    else
      return kept_words(r, over);
  }

  template <typename T>
  struct log_sums {
    T reference;
    T steered;
  };

  template <row R, typename Kept, typename Logit>
  static constexpr scalar_of<R> log_sum_exp(const R& r, Kept kept, Logit logit) {
    using T = scalar_of<R>;
    using math::exp, math::log;
    const T top = r.max([&](auto j) {
      const T x = logit(j);
      return kept(j) ? x : T(lowest);
    });
    return top + log(r.sum([&](auto j) {
             const T e = exp(logit(j) - top);
             return kept(j) ? e : T(0);
           }));
  }

  template <row R, typename Kept>
  static constexpr log_sums<scalar_of<R>> normalisers(const R& r, Kept kept) {
    return {log_sum_exp(r, kept, [&](auto j) { return r.reference(j); }),
            log_sum_exp(r, kept, [&](auto j) { return r.h(j); })};
  }

  template <row R, typename Kept>
  constexpr scalar_of<R> divergence(const R& r, Kept kept, log_sums<scalar_of<R>> n) const {
    using T = scalar_of<R>;
    using math::exp;
    const bool forward = direction == kl_direction::forward;
    return r.sum([&](auto j) {
      const T log_p = r.reference(j) - n.reference, log_q = r.h(j) - n.steered;
      const T from = forward ? log_p : log_q, to = forward ? log_q : log_p, share = exp(from) * (from - to);
      return kept(j) ? share : T(0);
    });
  }

  static constexpr float lowest = -1e30f;
};

}  // namespace trimtab::objective

template <>
inline constexpr bool trimtab::enable_objective_term<trimtab::objective::faithfulness> = true;
