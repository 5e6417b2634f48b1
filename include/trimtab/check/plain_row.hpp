// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/names.hpp>
#include <trimtab/core/row.hpp>
#include <trimtab/core/view.hpp>

/// A row of any scalar without a backend: plain loops over the channels, one after another.

namespace trimtab::detail {

/// A name and the memory behind it.
template <typename Name, typename U>
struct bound_name {
  U* data;
};

template <typename T, typename... Bound>
class plain_row : public row_vocabulary<plain_row<T, Bound...>>, Bound... {
 public:
  using scalar = T;

  explicit constexpr plain_row(index_t width, Bound... operands) : Bound(operands)..., width_(width) {}

  constexpr index_t width() const { return width_; }
  template <typename F>
  constexpr void each(F&& f) const {
    each(width_, f);
  }
  template <typename F>
  constexpr void each(index_t n, F&& f) const {
    for (index_t j = 0; j < n; ++j) f(j);
  }
  template <typename F>
  constexpr void at(index_t j, F&& f) const {
    f(j);
  }
  template <typename F>
  constexpr T sum(F&& f) const {
    T total(0);
    for (index_t j = 0; j < width_; ++j) total += f(j);
    return total;
  }
  template <typename F>
  constexpr T max(F&& f) const {
    T top = f(index_t{});
    for (index_t j = 1; j < width_; ++j) {
      const T x = f(j);
      if (top < x) top = x;
    }
    return top;
  }

  template <typename Name>
  constexpr auto& operator()(Name, index_t j) const {
    return find<Name>()[j];
  }
  template <typename Name>
  constexpr auto& operator()(Name, index_t k, index_t j) const {
    return find<Name>()[k * width_ + j];
  }
  template <typename Name>
  constexpr auto& operator()(Name) const {
    return *find<Name>();
  }

 private:
  template <typename Name, typename U>
  static constexpr U* pointer(const bound_name<Name, U>& operand) {
    return operand.data;
  }

  template <typename Name>
  constexpr auto* find() const {
    constexpr bool given = requires(const plain_row& self) { pointer<Name>(self); };
    static_assert(given,
                  "this row function uses a name that is not bound here (see `Name` above); it may use its policy's "
                  "parameters, its scratch rows and the names in trimtab::name");
    if constexpr (given) return pointer<Name>(*this);
  }

  index_t width_;
};

}  // namespace trimtab::detail
