// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/backend/eigen/memory.hpp>
#include <trimtab/backend/eigen/rows.hpp>

#include <Eigen/Core>

#include <algorithm>
#include <memory>
#include <mutex>
#include <utility>

/// Products with frozen matrices. A matrix is packed once into panels as wide as two SIMD registers, so that the inner
/// loop streams it in order; a block of rows that fills the register file stays in accumulators over the whole depth.
/// Each output number is one chain of multiply-adds in the order of the depth, whatever the number of rows: a prompt
/// alone and the same prompt in a batch give the same bits. Packets are Eigen's, so one kernel serves every instruction
/// set and every scalar.

namespace trimtab::eigen {

template <typename T>
using packet = typename Eigen::internal::packet_traits<T>::type;

/// How a product is cut: numbers of one packet, columns of a panel, rows of a register block, rows of one task.
template <typename T>
struct tile {
  static constexpr int lanes = Eigen::internal::unpacket_traits<packet<T>>::size;
  static constexpr int columns = 2 * lanes;
  static constexpr int registers = EIGEN_ARCH_DEFAULT_NUMBER_OF_REGISTERS;
  static constexpr int rows = registers >= 32 ? 12 : 6;  // two accumulators a row, two packets of the panel, one of x
  static constexpr index_t task_rows = 5 * rows;
};

/// A matrix [depth, columns] as panels [panel][depth][tile columns], the last one padded with zeros.
template <typename T>
class panels {
 public:
  panels() = default;

  template <typename Element>
  panels(index_t depth, index_t columns, Element element) : depth_(depth), columns_(columns) {
    const index_t count = (columns + tile<T>::columns - 1) / tile<T>::columns;
    numbers_ = array<T>(count * depth * tile<T>::columns);
    for (index_t p = 0; p < count; ++p)
      for (index_t k = 0; k < depth; ++k)
        for (index_t j = 0; j < std::min<index_t>(tile<T>::columns, columns - p * tile<T>::columns); ++j)
          numbers_.data()[(p * depth + k) * tile<T>::columns + j] = element(k, p * tile<T>::columns + j);
  }

  index_t depth() const { return depth_; }
  index_t columns() const { return columns_; }
  index_t count() const { return (columns_ + tile<T>::columns - 1) / tile<T>::columns; }
  T const* panel(index_t p) const { return numbers_.data() + p * depth_ * tile<T>::columns; }
  T operator()(index_t k, index_t j) const {
    return panel(j / tile<T>::columns)[k * tile<T>::columns + j % tile<T>::columns];
  }

 private:
  index_t depth_ = 0;
  index_t columns_ = 0;
  array<T> numbers_;
};

/// y = x W + b, frozen. The panels of Wᵀ are made when an adjoint first asks for them: inference never pays for them.
template <typename T>
class linear {
 public:
  linear() = default;

  linear(matrix_view<T const> weight, matrix_view<T const> bias, bool transposed)
      : forward_(transposed ? weight.cols : weight.rows, transposed ? weight.rows : weight.cols,
                 [&](index_t k, index_t j) { return transposed ? weight.row(j)[k] : weight.row(k)[j]; }),
        bias_(forward_.count() * tile<T>::columns) {
    if (not bias.empty()) std::copy_n(bias.data, forward_.columns(), bias_.data());
  }

  index_t inputs() const { return forward_.depth(); }
  index_t outputs() const { return forward_.columns(); }
  panels<T> const& forward() const { return forward_; }
  T const* bias() const { return bias_.data(); }

  panels<T> const& adjoint() const {
    std::call_once(adjoint_->made, [this] {
      adjoint_->panels = panels<T>(outputs(), inputs(), [this](index_t k, index_t j) { return forward_(j, k); });
    });
    return adjoint_->panels;
  }

 private:
  struct lazy {
    std::once_flag made;
    eigen::panels<T> panels;
  };

  panels<T> forward_;
  array<T> bias_;
  std::unique_ptr<lazy> adjoint_ = std::make_unique<lazy>();
};

/// `Rows` rows of x against one panel; y has `columns` columns from here on, at most a panel's.
template <int Rows, typename T>
void multiply_block(panels<T> const& w, index_t p, T const* x, T const* bias, T* y, index_t y_stride, index_t columns) {
  using namespace Eigen::internal;
  constexpr int lanes = tile<T>::lanes;
  const index_t depth = w.depth();
  // All loops over `sums` are unrolled: an array that is indexed by a variable anywhere lives in memory everywhere.
  packet<T> sums[Rows][2];
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
    sums[i][0] = bias ? ploadu<packet<T>>(bias) : pset1<packet<T>>(T(0));
    sums[i][1] = bias ? ploadu<packet<T>>(bias + lanes) : pset1<packet<T>>(T(0));
  }

  T const* panel = w.panel(p);
  for (index_t k = 0; k < depth; ++k, panel += 2 * lanes) {
    const packet<T> left = ploadu<packet<T>>(panel), right = ploadu<packet<T>>(panel + lanes);
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
      const packet<T> a = pset1<packet<T>>(x[i * depth + k]);
      sums[i][0] = pmadd(a, left, sums[i][0]);
      sums[i][1] = pmadd(a, right, sums[i][1]);
    }
  }

#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
    if (columns == 2 * lanes) {
      pstoreu(y + i * y_stride, sums[i][0]);
      pstoreu(y + i * y_stride + lanes, sums[i][1]);
    } else {
      T edge[2 * lanes];
      pstoreu(edge, sums[i][0]);
      pstoreu(edge + lanes, sums[i][1]);
      std::copy_n(edge, columns, y + i * y_stride);
    }
  }
}

/// `rows` < `Most` + 1 rows by the kernel of exactly that height.
template <int Most, typename T>
void multiply_remainder(index_t rows, panels<T> const& w, index_t p, T const* x, T const* bias, T* y, index_t y_stride,
                        index_t columns) {
  if constexpr (Most > 0) {
    if (rows == Most)
      multiply_block<Most>(w, p, x, bias, y, y_stride, columns);
    else
      multiply_remainder<Most - 1>(rows, w, p, x, bias, y, y_stride, columns);
  }
}

/// y [n, columns] = x [n, depth] W + bias, the bias padded to whole panels or null.
template <typename T>
void multiply(int threads, panels<T> const& w, matrix_view<T const> x, T const* bias, matrix_view<T> y) {
  using cut = tile<T>;
  assert(x.cols == w.depth() and y.cols == w.columns() and x.rows == y.rows);
  const index_t row_tasks = (x.rows + cut::task_rows - 1) / cut::task_rows;
  parallel_for(threads, w.count() * row_tasks, x.rows * y.cols * 16, [&](index_t task) {
    const index_t p = task / row_tasks;
    const index_t end = std::min(x.rows, (task % row_tasks + 1) * cut::task_rows);
    const index_t columns = std::min<index_t>(cut::columns, y.cols - p * cut::columns);
    T const* const panel_bias = bias ? bias + p * cut::columns : nullptr;
    index_t i = (task % row_tasks) * cut::task_rows;
    for (; i + cut::rows <= end; i += cut::rows)
      multiply_block<cut::rows>(w, p, x.row(i), panel_bias, y.row(i) + p * cut::columns, y.cols, columns);
    multiply_remainder<cut::rows - 1>(end - i, w, p, x.row(i), panel_bias, y.row(i) + p * cut::columns, y.cols,
                                      columns);
  });
}

}  // namespace trimtab::eigen
