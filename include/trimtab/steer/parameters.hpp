// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/objective.hpp>
#include <trimtab/steer/parameter_layout.hpp>

#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

/// A composition's parameters in host memory, their counts and their norms.

namespace trimtab {

/// Held as double, which is exact for the parameters of every backend.
struct parameters {
  parameter_layout layout = {};
  std::vector<double> theta = {};

  /// The record of one place: the block's k-th layer, a position and a part.
  std::span<const double> record(const parameter_block& block, index_t k, index_t position, index_t part = 0) const {
    const index_t r = (k * block.positions.count() + position) * block.parts + part;
    return std::span(theta).subspan(static_cast<std::size_t>(block.offset + r * block.record_size),
                                    static_cast<std::size_t>(block.record_size));
  }

  friend bool operator==(const parameters&, const parameters&) = default;
};

/// How many parameters and places are not zero.
struct parameter_counts {
  index_t parameters = 0;
  index_t nonzero_parameters = 0;
  index_t sites = 0;          ///< places with a record of their own
  index_t nonzero_sites = 0;  ///< of these, with any number that is not exactly 0
  double l1 = 0;

  friend bool operator==(const parameter_counts&, const parameter_counts&) = default;
};

/// f(offset in θ, how many numbers) for each record, in the order of θ.
template <typename F>
void each_record(const parameter_layout& layout, F f) {
  for (const parameter_block& block : layout.blocks)
    for (index_t r = 0; r < block.records(); ++r)
      f(static_cast<std::size_t>(block.offset + r * block.record_size), static_cast<std::size_t>(block.record_size));
}

/// The Euclidean norm of a record.
inline double norm_of_record(std::span<const double> record) {
  double square = 0;
  for (double x : record) square += x * x;
  return std::sqrt(square);
}

inline parameter_counts count_parameters(const parameters& p) {
  parameter_counts c;
  for (const parameter_block& block : p.layout.blocks)
    for (index_t r = 0; r < block.records(); ++r) {
      index_t nonzero = 0;
      for (index_t j = 0; j < block.record_size; ++j) {
        const double x = p.theta[static_cast<std::size_t>(block.offset + r * block.record_size + j)];
        nonzero += x != 0;
        c.l1 += std::abs(x);
      }
      c.parameters += block.record_size;
      c.nonzero_parameters += nonzero;
      c.sites += 1;
      c.nonzero_sites += nonzero > 0;
    }
  return c;
}

/// The size of parameters θ under a norm.
inline double norm_of(const parameter_layout& layout, std::span<const double> theta, parameter_norm norm) {
  double total = 0;
  if (norm == parameter_norm::group) {
    each_record(layout,
                [&](std::size_t first, std::size_t count) { total += norm_of_record(theta.subspan(first, count)); });
    return total;
  }
  for (double x : theta) total += std::abs(x);
  return norm == parameter_norm::mean and not theta.empty() ? total / static_cast<double>(theta.size()) : total;
}

}  // namespace trimtab
