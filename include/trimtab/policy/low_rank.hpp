// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/policy.hpp>

#include <cmath>
#include <string_view>
#include <type_traits>

/// A linear map of low rank beside the activation: out = h + β Wᵀ(R h + b) with W and R [Rank, D]. It reads Rank
/// directions R of h and writes as many directions W. It starts at W = 0, the identity whatever R and b are, with
/// R ~ N(0, 1/D) and b = 0; minimality weighs W alone.

namespace trimtab::policy {

template <int Rank = 4>
struct low_rank {
  static constexpr std::string_view text = "low-rank";
  static constexpr std::string_view formula = "out = h + beta * (read @ h + bias) @ write";
  static constexpr fit_defaults defaults{.lambda_m = 0.003, .learning_rate = 0.01};  // as steer_vec, of which W is many
  static constexpr bool shared_by_positions = true;
  static constexpr bool in_place = true;
  static constexpr per_channel<"write", Rank> write{};
  static constexpr per_channel<"read", Rank> read{};
  static constexpr per_row<"bias", Rank> bias{};
  static constexpr parameter_list parameters{write, read, bias};
  static constexpr parameter_list offsets{bias};

  static double start(decltype(read), random_generator& random, index_t width) {
    return random.normal() / std::sqrt(static_cast<double>(width));
  }
  static constexpr weighing weighs(decltype(read)) { return weighing::none; }
  static constexpr weighing weighs(decltype(bias)) { return weighing::none; }

  constexpr void forward(row auto& r) const {
    scalar_of<std::remove_reference_t<decltype(r)>> y[Rank];
    for (int k = 0; k < Rank; ++k) y[k] = r.beta() * reading(r, k);
    r.each([&](auto j) {
      auto moved = r.h(j) + y[0] * r(write, 0, j);
      for (int k = 1; k < Rank; ++k) moved += y[k] * r(write, k, j);
      r.out(j) = moved;
    });
  }

  constexpr void backward(row auto& r) const {
    using T = scalar_of<std::remove_reference_t<decltype(r)>>;
    r.each([&](auto j) { r.d_h(j) = r.d_out(j); });
    for (index_t k = 0; k < Rank; ++k) {
      const T y = r.beta() * reading(r, k);
      const T d_y = r.beta() * r.sum([&](auto j) { return r(write, k, j) * r.d_out(j); });
      r.each([&](auto j) {
        r.d_h(j) += d_y * r(read, k, j);
        r.d(read, k, j) += d_y * r.h(j);
        r.d(write, k, j) += y * r.d_out(j);
      });
      r.d(bias, k) += d_y;
    }
  }

 private:
  template <row R>
  static constexpr scalar_of<R> reading(const R& r, index_t k) {
    return r.sum([&](auto j) { return r(read, k, j) * r.h(j); }) + r(bias, k);
  }
};

}  // namespace trimtab::policy
