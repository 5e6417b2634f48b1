// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/backend/eigen/fold.hpp>
#include <trimtab/backend/eigen/target.hpp>
#include <trimtab/core/operand.hpp>
#include <trimtab/core/row.hpp>

/// The row on the CPU: one thread runs it, with its channels as SIMD lanes. `each` tells the compiler that channels are
/// independent; `sum` keeps 64 running sums, which is enough to hide the latency of an addition at any SIMD width and
/// fixes the order of the summands, so that the bits do not depend on alignment.

namespace trimtab::eigen {
inline namespace TRIMTAB_TARGET {

/// A name and the memory behind it for one row.
template <typename Name, typename T>
struct bound {
  T* data;
};

template <typename T, typename... Bound>
class row : public row_vocabulary<row<T, Bound...>>, Bound... {
 public:
  using scalar = T;
  explicit row(index_t width, Bound... operands) : Bound(operands)..., width_(width) {}

  index_t width() const { return width_; }

  template <typename F>
  void each(F&& f) const {
    each(width_, f);
  }

  template <typename F>
  void each(index_t n, F&& f) const {
#pragma omp simd
    for (index_t j = 0; j < n; ++j) f(j);
  }

  template <typename F>
  void at(index_t j, F&& f) const {
    f(j);
  }

  template <typename F>
  T sum(F&& f) const {
    return reduce(f, T(0), [](auto a, auto b) { return a + b; });
  }

  /// At least one channel.
  template <typename F>
  T max(F&& f) const {
    return reduce(f, static_cast<T>(f(index_t{})), [](auto a, auto b) { return a < b ? b : a; });
  }

  template <typename Name>
  auto& operator()(Name, index_t j) const {
    return find<Name>()[j];
  }

  template <typename Name>
  auto& operator()(Name, index_t k, index_t j) const {
    return find<Name>()[k * width_ + j];
  }

  template <typename Name>
  auto& operator()(Name) const {
    return *find<Name>();
  }

 private:
  static constexpr index_t lanes = 64;

  /// `combine` takes numbers by value, because references would keep `running` out of the registers.
  template <typename F, typename Combine>
  T reduce(F& f, T start, Combine combine) const {
    T running[lanes];
    for (T& lane : running) lane = start;
    index_t j = 0;
    for (; j + lanes <= width_; j += lanes) {
#pragma omp simd
      for (index_t k = 0; k < lanes; ++k) running[k] = combine(running[k], static_cast<T>(f(j + k)));
    }
    const index_t rest = width_ - j;
#pragma omp simd
    for (index_t k = 0; k < rest; ++k) running[k] = combine(running[k], static_cast<T>(f(j + k)));
    return fold<lanes>(running, combine);
  }

  template <typename Name, typename U>
  static U* pointer(const bound<Name, U>& operand) {
    return operand.data;
  }

  template <typename Name>
  auto* find() const {
    constexpr bool given = requires(const row& self) { pointer<Name>(self); };
    static_assert(given,
                  "this row function uses a name that is not bound here (see `Name` above); it may use its policy's "
                  "parameters, its scratch rows and the names in trimtab::name");
    if constexpr (given) return pointer<Name>(*this);
  }

  index_t width_;

 public:
  /// Whether a name is bound. Below `pointer`, which is looked up here and not when the class is complete.
  template <typename Name>
  static constexpr bool binds = requires(const row& self) {
    pointer<Name>(self);
  };
};

/// Row i of the operands.
template <typename T, typename... Name, typename... U>
auto row_of(index_t width, index_t i, operand<Name, U>... operands) {
  return row<T, bound<Name, U>...>(width, bound<Name, U>{operands.at(i)}...);
}

}  // namespace TRIMTAB_TARGET
}  // namespace trimtab::eigen
