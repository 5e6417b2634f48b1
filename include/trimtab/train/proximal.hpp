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

/// Replaces u, the row's theta, by the proximal point.
template <row R, typename Threshold>
constexpr void shrink(R& r, parameter_norm norm, Threshold threshold) {
  using T = scalar_of<R>;
  using math::abs;
  using name::theta;
  if (norm != parameter_norm::group) {
    r.each([&](auto j) {
      const T u = r(theta, j), t = threshold(j);
      const T size = u < 0 ? -u : u;
      r(theta, j) = size <= t ? T(0) : u < 0 ? u + t : u - t;  // NaN stays NaN instead of passing for a zero
    });
    return;
  }
  const auto excess = [&](T s) {
    return r.sum([&](auto j) {
      const T q = r(theta, j) / (s + threshold(j));
      return q * q;
    });
  };
  if (excess(T(0)) <= 1) {
    r.each([&](auto j) { r(theta, j) = 0; });
    return;
  }
  // The sum is decreasing and convex in s, so Newton steps from the left approach the root without passing it. At the
  // root no summand exceeds 1, so s >= |u_j| − t_j for every j; starting from there, no quotient overflows, however
  // small thresholds are.
  const T nearest = r.max([&](auto j) { return abs(r(theta, j)) - threshold(j); });
  T s = nearest > 0 ? nearest : T(0);
  for (int k = 0; k < 100; ++k) {
    const T slope = r.sum([&](auto j) {
      const T d = s + threshold(j), q = r(theta, j) / d;
      return 2 * q * q / d;
    });
    const T step = (excess(s) - 1) / slope;
    s += step;
    if (not(step > s * static_cast<T>(sizeof(T) == sizeof(float) ? 1e-7 : 1e-15))) break;
  }
  r.each([&](auto j) { r(theta, j) *= s / (s + threshold(j)); });
}

/// Adds λ ∂‖θ‖ to the gradient; 0 is the subgradient at 0.
template <row R>
constexpr void add_subgradient(R& r, scalar_of<R> lambda, parameter_norm norm) {
  using T = scalar_of<R>;
  using math::sqrt;
  using name::theta;
  if (norm != parameter_norm::group) {
    r.each([&](auto j) { r.d(theta, j) += r(theta, j) > 0 ? lambda : r(theta, j) < 0 ? -lambda : T(0); });
    return;
  }
  const T length = sqrt(r.sum([&](auto j) { return r(theta, j) * r(theta, j); }));
  const T scale = length > 0 ? lambda / length : T(0);
  r.each([&](auto j) { r.d(theta, j) += scale * r(theta, j); });
}

}  // namespace trimtab
