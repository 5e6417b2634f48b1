// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/gate.hpp>
#include <trimtab/row/math.hpp>

#include <string_view>

/// Gates with one direction w:
///
///     linear     w·h + b
///     tanh       tanh(w·h + b), bounded
///     rms        w·(h / rms(h)) + b with rms(h)² = mean(h²) + 1e-6
///     tanh_rms   both: tanh(w·(h / rms(h)) + b)
///
/// each with a bias or, as `linear<bias::none>`, without.

namespace trimtab::gate {

enum class squash { identity, tanh };
enum class bias { none, learned };

template <squash SquashBy, bool RmsNormalised, bias Bias>
struct response {
  static constexpr std::string_view text = SquashBy == squash::tanh and RmsNormalised ? "tanh-rms"
                                           : SquashBy == squash::tanh                 ? "tanh"
                                           : RmsNormalised                            ? "rms"
                                                                                      : "linear";
  static constexpr std::string_view formula = SquashBy == squash::tanh and RmsNormalised
                                                  ? "tanh(weight . h / sqrt(mean(h^2) + 1e-6) + bias)"
                                              : SquashBy == squash::tanh ? "tanh(weight . h + bias)"
                                              : RmsNormalised            ? "weight . h / sqrt(mean(h^2) + 1e-6) + bias"
                                                                         : "weight . h + bias";
  static constexpr bool has_bias = Bias == bias::learned;
  static constexpr per_channel<"weight"> weight{};
  static constexpr per_row<"bias"> offset{};
  static constexpr auto parameters = [] {
    if constexpr (has_bias)
      return parameter_list{weight, offset};
    else
      return parameter_list{weight};
  }();
  static constexpr double rms_epsilon = 1e-6;

  template <row R>
  constexpr scalar_of<R> value(const R& r) const {
    using math::tanh;
    scalar_of<R> u = normaliser(r) * r.sum([&](auto j) { return r(weight, j) * r.h(j); });
    if constexpr (has_bias) u += r(offset);
    if constexpr (SquashBy == squash::tanh)
      return tanh(u);
    else
      return u;
  }

  template <row R>
  constexpr void backward(R& r, scalar_of<R> g, scalar_of<R> d_g, scalar_of<R> keep) const {
    using T = scalar_of<R>;
    T d_u = d_g;
    if constexpr (SquashBy == squash::tanh) d_u *= 1 - g * g;
    const T scale = normaliser(r);  // 1 / rms(h), or 1
    T radial = 0;                   // the normaliser's part of d_h, along h
    if constexpr (RmsNormalised) {
      const T n = static_cast<T>(static_cast<double>(r.width()));
      radial = d_u * scale * scale * scale * r.sum([&](auto j) { return r(weight, j) * r.h(j); }) / n;
    }
    r.each([&](auto j) {
      r.d_h(j) = keep * r.d_out(j) + d_u * scale * r(weight, j) - radial * r.h(j);
      r.d(weight, j) += d_u * scale * r.h(j);
    });
    if constexpr (has_bias) r.d(offset) += d_u;
  }

 private:
  template <row R>
  static constexpr scalar_of<R> normaliser(const R& r) {
    using T = scalar_of<R>;
    using math::sqrt;
    if constexpr (RmsNormalised) {
      const T n = static_cast<T>(static_cast<double>(r.width()));
      return 1 / sqrt(r.sum([&](auto j) { return r.h(j) * r.h(j); }) / n + static_cast<T>(rms_epsilon));
    } else {
      return 1;
    }
  }
};

template <bias Bias = bias::learned>
using linear = response<squash::identity, false, Bias>;
template <bias Bias = bias::learned>
using tanh = response<squash::tanh, false, Bias>;
template <bias Bias = bias::learned>
using rms = response<squash::identity, true, Bias>;
template <bias Bias = bias::learned>
using tanh_rms = response<squash::tanh, true, Bias>;

}  // namespace trimtab::gate
