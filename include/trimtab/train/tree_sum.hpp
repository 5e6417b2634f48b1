// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/model/workspace.hpp>
#include <trimtab/row/residual.hpp>

#include <cstddef>
#include <vector>

/// The sum of parts along a fixed binary tree over their numbers: ((0 + 1) + (2 + 3)) + 4. Where parts are made one
/// after another, or by several processes, does not change a bit of it, and only a few partial sums are kept.

namespace trimtab {

/// A whole subtree: the parts start, ..., start + 2^level - 1, where start is a multiple of 2^level.
struct subtree {
  index_t start = 0;
  int level = 0;

  friend bool operator==(const subtree&, const subtree&) = default;
};

/// The largest subtrees that make up the parts first, ..., last - 1: at most twice the logarithm of their number.
inline std::vector<subtree> subtrees_of(index_t first, index_t last) {
  std::vector<subtree> all;
  while (first < last) {
    int level = 0;
    while (first % (index_t{2} << level) == 0 and first + (index_t{2} << level) <= last) ++level;
    all.push_back({first, level});
    first += index_t{1} << level;
  }
  return all;
}

template <tensor_backend B>
class tree_sum {
 public:
  using T = typename B::scalar;

  /// `numbers` is the size of a part.
  tree_sum(const B& backend, index_t numbers) : backend_(backend), memory_(backend), numbers_(numbers) {}

  /// Forgets all parts; the next one is number `first`.
  void begin(index_t first = 0) {
    next_ = first;
    used_ = 0;
  }

  /// Adds the next part, [1, numbers], or the sum of the next 2^level parts.
  void add(matrix_view<const T> part, int level = 0) {
    subtree made{next_, level};
    next_ += index_t{1} << level;
    const auto is_other_half = [&](const partial& left) {
      return left.of.level == made.level and left.of.start % (index_t{2} << made.level) == 0;
    };
    for (; used_ > 0 and is_other_half(partials_[used_ - 1]); --used_) {
      const partial& left = partials_[used_ - 1];
      add(left.sum, part, left.sum);
      part = left.sum;
      made = {left.of.start, made.level + 1};
    }
    if (used_ == partials_.size()) partials_.push_back({{}, memory_.take(1, numbers_)});
    partial& kept = partials_[used_++];
    kept.of = made;
    if (part.data != kept.sum.data) backend_.copy(part, kept.sum);
  }

  /// The sums of whole subtrees so far, those of `subtrees_of`: f([1, numbers]) each.
  template <typename F>
  void each_partial(F f) const {
    for (std::size_t k = 0; k < used_; ++k) f(matrix_view<const T>(partials_[k].sum));
  }

  /// Sets `total` [1, numbers] to the sum of all parts.
  void total(matrix_view<T> total) const {
    if (used_ == 0) return backend_.fill(total, T(0));
    backend_.copy(partials_[used_ - 1].sum, total);
    for (std::size_t k = used_ - 1; k-- > 0;) add(partials_[k].sum, total, total);
  }

 private:
  struct partial {
    subtree of;
    matrix_view<T> sum;
  };

  void add(matrix_view<const T> left, matrix_view<const T> right, matrix_view<T> out) const {
    backend_.forward(residual{}, 1, numbers_, each_row(name::h, left), each_row(residual::branch, right),
                     each_row(name::out, out));
  }

  const B& backend_;
  workspace<B> memory_;
  index_t numbers_;
  index_t next_ = 0;
  std::size_t used_ = 0;
  std::vector<partial> partials_ = {};  ///< in the order of parts; those from `used_` on are memory for later
};

}  // namespace trimtab
