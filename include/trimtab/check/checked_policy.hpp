// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/check/checked_row.hpp>
#include <trimtab/check/plain_row.hpp>
#include <trimtab/core/policy.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

/// A policy under check, as a function of all its inputs: `h` and one record of parameters. Its value is Σ d_out · out,
/// so that its gradient is what `backward` writes for a random d_out.

namespace trimtab::detail {

/// NaN, so that a function that forgets to write is noticed.
template <typename T>
std::vector<T> unwritten(index_t count) {
  return std::vector<T>(static_cast<std::size_t>(count), T(std::numeric_limits<double>::quiet_NaN()));
}

template <intervention_policy P>
struct checked_policy {
  static constexpr const char* function = "backward";

  struct drawn {
    double beta;
    std::vector<double> x, d_out, before;
  };

  P policy;
  index_t width;
  double scale;

  std::vector<checked_operand> operands() const {
    std::vector<checked_operand> all{{"d_h", 0, width, width, false}};
    P::parameters.apply(width, [&]<typename... Name>(parameter_place<Name>... p) {
      (all.push_back(
           {"d(" + label(p.name) + ")", width + p.offset, p.extent, Name::is_per_channel ? width : 0, Name::count > 1}),
       ...);
    });
    return all;
  }

  drawn draw(random_generator& random, double beta) const {
    const index_t size = P::parameters.size(width);
    drawn row{beta, random_numbers(random, width, scale), random_numbers(random, width, 1),
              random_numbers(random, size, 1)};
    const auto theta = random_numbers(random, size, 1 / std::sqrt(static_cast<double>(width)));
    row.x.insert(row.x.end(), theta.begin(), theta.end());
    return row;
  }

  template <typename T>
  T value(const drawn& row, const std::vector<T>& x) const {
    const std::vector<T> out = steered(row, x, false);
    T sum(0);
    for (std::size_t j = 0; j < out.size(); ++j) sum += out[j] * row.d_out[j];
    return sum;
  }

  /// Whether `forward` computes the same where `out` and `h` are the same memory.
  bool is_right_in_place(const drawn& row) const { return steered(row, row.x, true) == steered(row, row.x, false); }

  /// Gradients of parameters start at `before`, because `backward` must add to them.
  std::vector<double> written(const drawn& row) const {
    std::vector<double> d_h = unwritten<double>(width), scratch = unwritten<double>(scratch_rows_of<P>() * width);
    std::vector<double> d_theta = row.before;
    P::parameters.apply(width, [&](auto... p) {
      with_scratch(scratch, [&](auto... rows) {
        plain_row<double, bound_name<decltype(p.name), const double>...,
                  bound_name<gradient_of<decltype(p.name)>, double>..., decltype(rows)...,
                  bound_name<per_channel<"h">, const double>, bound_name<gradient_of<per_channel<"out">>, const double>,
                  bound_name<gradient_of<per_channel<"h">>, double>, bound_name<per_row<"beta">, const double>>
            r(width, {row.x.data() + width + p.offset}..., {d_theta.data() + p.offset}..., rows..., {row.x.data()},
              {row.d_out.data()}, {d_h.data()}, {&row.beta});
        policy.backward(r);
      });
    });
    for (std::size_t k = 0; k < d_theta.size(); ++k) d_theta[k] -= row.before[k];
    d_h.insert(d_h.end(), d_theta.begin(), d_theta.end());
    return d_h;
  }

 private:
  template <typename T>
  std::vector<T> steered(const drawn& row, const std::vector<T>& x, bool in_place) const {
    std::vector<T> out = unwritten<T>(width), scratch = unwritten<T>(scratch_rows_of<P>() * width);
    if (in_place) std::copy_n(x.begin(), width, out.begin());
    const T* const h = in_place ? out.data() : x.data();
    const T beta(row.beta);
    P::parameters.apply(width, [&](auto... p) {
      with_scratch(scratch, [&](auto... rows) {
        plain_row<T, bound_name<decltype(p.name), const T>..., decltype(rows)..., bound_name<per_channel<"h">, const T>,
                  bound_name<per_channel<"out">, T>, bound_name<per_row<"beta">, const T>>
            r(width, {x.data() + width + p.offset}..., rows..., {h}, {out.data()}, {&beta});
        policy.forward(r);
      });
    });
    return out;
  }

  template <typename T, typename F>
  void with_scratch(std::vector<T>& memory, F&& f) const {
    [&]<int... K>(std::integer_sequence<int, K...>) { f(bound_name<scratch_row<K>, T>{memory.data() + K * width}...); }
    (std::make_integer_sequence<int, scratch_rows_of<P>()>{});
  }
};

}  // namespace trimtab::detail
