// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/row.hpp>
#include <trimtab/row/math.hpp>

#include <type_traits>

/// LayerNorm over the channels of a row (Ba et al. 2016): out = (h - mean) / sqrt(variance + epsilon) · gain + bias,
/// with the population variance. The adjoint recomputes mean and scale: two sums are cheaper than storing them.

namespace trimtab {

struct layer_norm {
  static constexpr per_channel<"gain"> gain{};
  static constexpr per_channel<"bias"> bias{};

  double epsilon = 1e-5;

  constexpr void forward(row auto& r) const { normalise(r, name::h); }

  constexpr void backward(row auto& r) const {
    adjoint(r, name::h, [&](auto j, auto d_x) { r.d_h(j) = d_x; });
  }

  /// The same for the channels named `x` instead of `h`; `give(j, d)` receives their gradient.
  constexpr void normalise(row auto& r, auto x) const {
    const auto [mean, scale] = statistics(r, x);
    r.each([&, mean = mean, scale = scale](auto j) { r.out(j) = (r(x, j) - mean) * scale * r(gain, j) + r(bias, j); });
  }
  constexpr void adjoint(row auto& r, auto x, auto give) const {
    using T = scalar_of<std::remove_reference_t<decltype(r)>>;
    const auto [mean, scale] = statistics(r, x);
    const T m = mean, s = scale;
    const T n = static_cast<T>(static_cast<double>(r.width()));
    const T d_mean = r.sum([&](auto j) { return r.d_out(j) * r(gain, j); }) / n;
    const T d_scale = r.sum([&](auto j) { return r.d_out(j) * r(gain, j) * (r(x, j) - m) * s; }) / n;
    r.each([&](auto j) { give(j, s * (r.d_out(j) * r(gain, j) - d_mean - (r(x, j) - m) * s * d_scale)); });
  }

 private:
  template <typename T>
  struct moments {
    T mean;
    T scale;  ///< 1 / sqrt(variance + epsilon)
  };

  template <row R>
  constexpr moments<scalar_of<R>> statistics(const R& r, auto x) const {
    using T = scalar_of<R>;
    using math::sqrt;
    const T n = static_cast<T>(static_cast<double>(r.width()));
    const T mean = r.sum([&](auto j) { return r(x, j); }) / n;
    const T variance = r.sum([&](auto j) { return (r(x, j) - mean) * (r(x, j) - mean); }) / n;
    // If the variance is infinite, infinity - infinity makes the scale NaN: 1 / infinity would silently be 0.
    const T undefined_or_zero = variance - variance;  // NOLINT(misc-redundant-expression)
    return {mean, 1 / sqrt(variance + static_cast<T>(epsilon)) + undefined_or_zero};
  }
};

}  // namespace trimtab
