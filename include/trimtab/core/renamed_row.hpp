// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/row.hpp>

#include <string_view>

/// A row with its names mapped to others, so that each part of a composed row function sees its own `h`, `out` and
/// parameters.

namespace trimtab {

/// The parameter `Inner` of the k-th part of a composed row function.
template <int K, typename Inner>
struct scoped {
  using inner = Inner;
  static constexpr int scope = K;
  static constexpr bool is_per_channel = Inner::is_per_channel;
  static constexpr int count = Inner::count;
};

/// The parameter `Inner` of the gate of a policy that has other parameters too.
template <typename Inner>
struct of_gate {
  using inner = Inner;
  static constexpr std::string_view scope = "gate";
  static constexpr bool is_per_channel = Inner::is_per_channel;
  static constexpr int count = Inner::count;
};

/// `Base` with every name mapped by `Rename`, a function object from name to name.
template <row Base, typename Rename>
struct renamed_row : row_vocabulary<renamed_row<Base, Rename>> {
  using scalar = scalar_of<Base>;

  const Base& base;

  constexpr explicit renamed_row(const Base& row, Rename) : base(row) {}

  constexpr index_t width() const { return base.width(); }
  template <typename F>
  constexpr void each(F&& f) const {
    base.each(f);
  }
  template <typename F>
  constexpr void each(index_t n, F&& f) const {
    base.each(n, f);
  }
  template <typename F>
  constexpr void at(index_t j, F&& f) const {
    base.at(j, f);
  }
  template <typename F>
  constexpr scalar sum(F&& f) const {
    return base.sum(f);
  }
  template <typename F>
  constexpr scalar max(F&& f) const {
    return base.max(f);
  }
  template <typename Name>
  constexpr decltype(auto) operator()(Name n, auto j) const {
    return base(Rename{}(n), j);
  }
  template <typename Name>
  constexpr decltype(auto) operator()(Name n, index_t k, auto j) const {
    return base(Rename{}(n), k, j);
  }
  template <typename Name>
  constexpr decltype(auto) operator()(Name n) const {
    return base(Rename{}(n));
  }
};

}  // namespace trimtab
