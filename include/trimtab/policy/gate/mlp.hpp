// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/gate.hpp>
#include <trimtab/row/math.hpp>

#include <cmath>
#include <string_view>

/// A gate with several directions, an MLP of one hidden layer:
///
///     g(h) = Σ_k a_k tanh(w_k·h + b_k)
///
/// It starts at a = b = 0 with w_k ~ N(0, 1/D). Zero amplitudes a are the identity, so minimality weighs only them.

namespace trimtab::gate {

template <int Units = 4>
struct mlp {
  static constexpr std::string_view text = "mlp";
  static constexpr std::string_view formula = "amplitude . tanh(weight @ h + bias)";
  static constexpr per_row<"amplitude", Units> amplitude{};
  static constexpr per_channel<"weight", Units> weight{};
  static constexpr per_row<"bias", Units> bias{};
  static constexpr parameter_list parameters{amplitude, weight, bias};

  static double start(decltype(weight), random_generator& random, index_t width) {
    return random.normal() / std::sqrt(static_cast<double>(width));
  }
  static constexpr weighing weighs(decltype(weight)) { return weighing::none; }
  static constexpr weighing weighs(decltype(bias)) { return weighing::none; }

  template <row R>
  constexpr scalar_of<R> value(const R& r) const {
    scalar_of<R> g = 0;
    for (index_t k = 0; k < Units; ++k) g += r(amplitude, k) * activation(r, k);
    return g;
  }

  template <row R>
  constexpr void backward(R& r, scalar_of<R>, scalar_of<R> d_g, scalar_of<R> keep) const {
    using T = scalar_of<R>;
    r.each([&](auto j) { r.d_h(j) = keep * r.d_out(j); });
    for (index_t k = 0; k < Units; ++k) {
      const T t = activation(r, k), d_u = d_g * r(amplitude, k) * (1 - t * t);
      r.d(amplitude, k) += d_g * t;
      r.d(bias, k) += d_u;
      r.each([&](auto j) {
        r.d_h(j) += d_u * r(weight, k, j);
        r.d(weight, k, j) += d_u * r.h(j);
      });
    }
  }

 private:
  template <row R>
  static constexpr scalar_of<R> activation(const R& r, index_t k) {
    using math::tanh;
    const scalar_of<R> u = r.sum([&](auto j) { return r(weight, k, j) * r.h(j); }) + r(bias, k);
    return tanh(u);
  }
};

}  // namespace trimtab::gate
