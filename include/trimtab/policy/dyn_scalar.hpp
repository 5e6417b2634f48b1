// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/policy.hpp>
#include <trimtab/row/math.hpp>

/// The dynamic scalar, Eq. 10 of arXiv 2410.04962: out = (1 + β g(h)) h with g(h) = w·h + b. The gate reads the
/// activation itself, so one record serves every position and prompts of any length. Variants of the gate, chosen at
/// compile time:
///
///     dyn_scalar<gate{.bias = false}>              g(h) = w·h
///     dyn_scalar<gate{.squash_by = squash::tanh}>  g(h) = tanh(w·h + b), bounded
///     dyn_scalar<gate{.rms_normalised = true}>     g(h) = w·(h / rms(h)) + b with rms(h)² = mean(h²) + 1e-6

namespace trimtab::policy {

enum class squash { identity, tanh };

struct gate {
  bool bias = true;
  squash squash_by = squash::identity;
  bool rms_normalised = false;
};

template <gate Gate = gate{}>
struct dyn_scalar {
  /// Different gates have different names in files; a bias shows in the parameters.
  static constexpr std::string_view text = [] {
    const bool bounded = Gate.squash_by == squash::tanh;
    return bounded and Gate.rms_normalised ? "dyn-scalar-tanh-rms"
           : bounded                       ? "dyn-scalar-tanh"
           : Gate.rms_normalised           ? "dyn-scalar-rms"
                                           : "dyn-scalar";
  }();
  static constexpr std::string_view formula =
      Gate.squash_by == squash::tanh ? Gate.rms_normalised
                                           ? "out = (1 + beta * tanh(weight . h / sqrt(mean(h^2) + 1e-6) + bias)) * h"
                                           : "out = (1 + beta * tanh(weight . h + bias)) * h"
      : Gate.rms_normalised          ? "out = (1 + beta * (weight . h / sqrt(mean(h^2) + 1e-6) + bias)) * h"
                                     : "out = (1 + beta * (weight . h + bias)) * h";
  static constexpr fit_defaults defaults{.lambda_m = 0.01, .learning_rate = 0.001};
  static constexpr bool shared_by_positions = true;
  static constexpr per_channel<"weight"> weight{};
  static constexpr per_row<"bias"> bias{};
  static constexpr auto parameters = [] {
    if constexpr (Gate.bias)
      return parameter_list{weight, bias};
    else
      return parameter_list{weight};
  }();
  static constexpr double rms_epsilon = 1e-6;

  constexpr void forward(row auto& r) const {
    const auto gain = 1 + r.beta() * squashed(response(r, normaliser(r)));
    r.each([&](auto j) { r.out(j) = gain * r.h(j); });
  }

  constexpr void backward(row auto& r) const {
    using T = scalar_of<std::remove_reference_t<decltype(r)>>;
    const T scale = normaliser(r);  // 1 / rms(h), or 1
    const T u = response(r, scale);
    const T g = squashed(u);
    T d_u = r.beta() * r.sum([&](auto j) { return r.h(j) * r.d_out(j); });
    if constexpr (Gate.squash_by == squash::tanh) d_u *= 1 - g * g;

    const T gain = 1 + r.beta() * g;
    T radial = 0;  // the normaliser's part of d_h, along h
    if constexpr (Gate.rms_normalised) {
      const T n = static_cast<T>(static_cast<double>(r.width()));
      radial = d_u * scale * scale * scale * r.sum([&](auto j) { return r(weight, j) * r.h(j); }) / n;
    }
    r.each([&](auto j) {
      r.d_h(j) = gain * r.d_out(j) + d_u * scale * r(weight, j) - radial * r.h(j);
      r.d(weight, j) += d_u * scale * r.h(j);
    });
    if constexpr (Gate.bias) r.d(bias) += d_u;
  }

 private:
  template <row R>
  static constexpr scalar_of<R> normaliser(const R& r) {
    using T = scalar_of<R>;
    using math::sqrt;
    if constexpr (Gate.rms_normalised) {
      const T n = static_cast<T>(static_cast<double>(r.width()));
      return 1 / sqrt(r.sum([&](auto j) { return r.h(j) * r.h(j); }) / n + static_cast<T>(rms_epsilon));
    } else {
      return 1;
    }
  }

  template <row R>
  static constexpr scalar_of<R> response(const R& r, scalar_of<R> scale) {
    scalar_of<R> u = scale * r.sum([&](auto j) { return r(weight, j) * r.h(j); });
    if constexpr (Gate.bias) u += r(bias);
    return u;
  }

  template <typename T>
  static constexpr T squashed(T u) {
    using math::tanh;
    if constexpr (Gate.squash_by == squash::tanh)
      return tanh(u);
    else
      return u;
  }
};

}  // namespace trimtab::policy
