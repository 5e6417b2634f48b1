// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/core/optimizer.hpp>
#include <trimtab/core/settings.hpp>
#include <trimtab/row/math.hpp>
#include <trimtab/train/proximal.hpp>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>
#include <type_traits>

/// Adam (Kingma and Ba 2015) with the penalty as a proximal step in Adam's own metric:
///
///     η_j = lr / (√v̂_j + ε),   u_j = θ_j − η_j m̂_j,   θ = prox of λ‖·‖ at u with the step lengths η_j
///
/// so that zeros are exact. `subgradient` adds λ ∂‖θ‖ to Adam's gradient instead; parameters then oscillate around
/// zero. Over the first `warmup` steps lr grows evenly to its value; with `cosine` it then falls along half a cosine,
/// and is 0 after that step (Loshchilov and Hutter 2017, without restarts).

namespace trimtab {

/// The update of one step.
struct adam_update {
  double learning_rate, decay_1, decay_2, epsilon;
  double correction_1, correction_2;  ///< 1 / (1 - decay^t)
  penalty penalise;
  bool subgradient;

  constexpr void forward(row auto& r) const { forward(r, each_by_itself{}); }

  /// For records of which minimality weighs only a part.
  template <typename Units>
  constexpr void forward(row auto& r, Units units) const {
    using T = scalar_of<std::remove_reference_t<decltype(r)>>;
    using math::sqrt;
    using name::theta, name::first_moment, name::second_moment;
    const T b1 = static_cast<T>(decay_1), b2 = static_cast<T>(decay_2), lr = static_cast<T>(learning_rate);
    const T c1 = static_cast<T>(correction_1), c2 = static_cast<T>(correction_2), eps = static_cast<T>(epsilon);
    const T lambda = static_cast<T>(penalise.weight);
    if (subgradient) add_subgradient(r, lambda, penalise.norm, units);
    r.each([&](auto j) {
      const T g = r.d(theta, j);
      r(first_moment, j) = b1 * r(first_moment, j) + (1 - b1) * g;
      r(second_moment, j) = b2 * r(second_moment, j) + (1 - b2) * g * g;
      r(theta, j) -= lr / (sqrt(c2 * r(second_moment, j)) + eps) * c1 * r(first_moment, j);
    });
    if (subgradient or penalise.weight == 0) return;
    shrink(
        r, penalise.norm, [&](auto j) { return lambda * lr / (sqrt(c2 * r(second_moment, j)) + eps); }, units);
  }
};

struct adam {
  double learning_rate = 0.03;
  double beta_1 = 0.9;
  double beta_2 = 0.999;
  double epsilon = 1e-8;
  bool subgradient = false;
  index_t warmup = 0;
  index_t cosine = 0;  ///< 0: the rate stays

  constexpr void each_setting(auto&& f) const {
    f("learning rate", learning_rate);
    f("beta_1", beta_1);
    f("beta_2", beta_2);
    f("epsilon", epsilon);
    f("subgradient", subgradient);
    if (warmup > 0) f("warm-up steps", warmup);
    if (cosine > 0) f("steps of the cosine", cosine);
  }

  /// Throws `bad_argument` for a learning rate, beta or epsilon out of range.
  void check() const {
    const auto refuse = [](const std::string& what, double value, const std::string& expected) {
      throw error(error_kind::bad_argument, what + " is " + setting_text(value) + "; it must be " + expected);
    };
    if (not(std::isfinite(learning_rate) and learning_rate > 0))
      refuse("the learning rate", learning_rate, "a positive number");
    if (not(beta_1 >= 0 and beta_1 < 1)) refuse("Adam's beta_1", beta_1, "at least 0 and below 1");
    if (not(beta_2 >= 0 and beta_2 < 1)) refuse("Adam's beta_2", beta_2, "at least 0 and below 1");
    if (not(std::isfinite(epsilon) and epsilon > 0)) refuse("Adam's epsilon", epsilon, "a positive number");
    if (warmup < 0) refuse("the number of warm-up steps", static_cast<double>(warmup), "0 or more");
    if (cosine != 0 and cosine <= warmup)
      refuse("the step at which a cosine ends", static_cast<double>(cosine), "after the warm-up");
  }

  /// The learning rate of step t = 1, 2, ...
  double rate(index_t t) const {
    if (t < warmup) return learning_rate * static_cast<double>(t) / static_cast<double>(warmup);
    if (cosine == 0) return learning_rate;
    const index_t done = std::clamp<index_t>(t - 1 - warmup, 0, cosine - warmup);
    const double share = static_cast<double>(done) / static_cast<double>(cosine - warmup);
    return learning_rate * (1 + std::cos(std::numbers::pi * share)) / 2;
  }

  adam_update update(index_t t, penalty p) const {
    const double steps = static_cast<double>(t);
    return {rate(t), beta_1,     beta_2, epsilon, 1 / (1 - std::pow(beta_1, steps)), 1 / (1 - std::pow(beta_2, steps)),
            p,       subgradient};
  }
};

static_assert(optimizer<adam>);

}  // namespace trimtab
