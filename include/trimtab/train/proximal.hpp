// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/optimizer.hpp>
#include <trimtab/row/math.hpp>

/// The proximal step of a penalty on one record of parameters u, where each parameter j has a threshold t_j = η_j λ of
/// its own:
///
///     Σ |θ|   θ_j = sign(u_j) max(0, |u_j| − t_j)
///     ‖θ‖₂    θ_j = u_j s / (s + t_j) with s = ‖θ‖ the root of Σ (u_j / (s + t_j))² = 1;
///             θ = 0 if Σ (u_j / t_j)² <= 1
///
/// The second is exact also where thresholds differ within the record, which a plain block threshold is not.

namespace trimtab {

/// The second of these steps, for the numbers with `takes(j)`.
template <row R, typename Threshold, typename Takes>
constexpr void shrink_together(R& r, Threshold threshold, Takes takes) {
  using T = scalar_of<R>;
  using math::abs;
  using name::theta;
  const auto excess = [&](T s) {
    return r.sum([&](auto j) {
      const T q = r(theta, j) / (s + threshold(j));
      return takes(j) ? q * q : T(0);
    });
  };
  if (excess(T(0)) <= 1) {
    r.each([&](auto j) { r(theta, j) = takes(j) ? T(0) : r(theta, j); });
    return;
  }
  // The sum is decreasing and convex in s, so Newton steps from the left approach the root without passing it. At the
  // root no summand exceeds 1, so s >= |u_j| − t_j for every j; starting from there, no quotient overflows, however
  // small thresholds are.
  const T nearest = r.max([&](auto j) { return takes(j) ? abs(r(theta, j)) - threshold(j) : T(0); });
  T s = nearest > 0 ? nearest : T(0);
  for (int k = 0; k < 100; ++k) {
    const T slope = r.sum([&](auto j) {
      const T d = s + threshold(j), q = r(theta, j) / d;
      return takes(j) ? 2 * q * q / d : T(0);
    });
    const T step = (excess(s) - 1) / slope;
    s += step;
    if (not(step > s * static_cast<T>(sizeof(T) == sizeof(float) ? 1e-7 : 1e-15))) break;
  }
  r.each([&](auto j) { r(theta, j) *= takes(j) ? s / (s + threshold(j)) : T(1); });
}

/// Replaces u, the row's theta, by the proximal point.
template <row R, typename Threshold, typename Units = each_by_itself>
constexpr void shrink(R& r, parameter_norm norm, Threshold threshold, Units units = {}) {
  using T = scalar_of<R>;
  using name::theta;
  if (norm == parameter_norm::group) {
    shrink_together(r, threshold, [&](auto j) { return units(j) >= 0; });
    return;
  }
  r.each([&](auto j) {
    const T u = r(theta, j), t = threshold(j);
    const T size = u < 0 ? -u : u;
    const T shrunk = size <= t ? T(0) : u < 0 ? u + t : u - t;  // NaN stays NaN instead of passing for a zero
    r(theta, j) = units(j) == 0 ? shrunk : u;
  });
  for (int k = 1; k <= units.groups; ++k) shrink_together(r, threshold, [&](auto j) { return units(j) == k; });
}

/// Adds λ ∂‖θ‖ to the gradient; 0 is the subgradient at 0.
template <row R, typename Units = each_by_itself>
constexpr void add_subgradient(R& r, scalar_of<R> lambda, parameter_norm norm, Units units = {}) {
  using T = scalar_of<R>;
  using math::sqrt;
  using name::theta;
  const auto add_together = [&](auto takes) {
    const T length = sqrt(r.sum([&](auto j) { return takes(j) ? r(theta, j) * r(theta, j) : T(0); }));
    const T scale = length > 0 ? lambda / length : T(0);
    r.each([&](auto j) { r.d(theta, j) += takes(j) ? scale * r(theta, j) : T(0); });
  };
  if (norm == parameter_norm::group) {
    add_together([&](auto j) { return units(j) >= 0; });
    return;
  }
  r.each([&](auto j) {
    const T slope = r(theta, j) > 0 ? lambda : r(theta, j) < 0 ? -lambda : T(0);
    r.d(theta, j) += units(j) == 0 ? slope : T(0);
  });
  for (int k = 1; k <= units.groups; ++k) add_together([&](auto j) { return units(j) == k; });
}

}  // namespace trimtab
