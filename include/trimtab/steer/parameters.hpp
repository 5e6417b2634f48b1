// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/objective.hpp>
#include <trimtab/steer/parameter_layout.hpp>
#include <trimtab/steer/same_place.hpp>

#include <algorithm>
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

/// How many parameters and places are not zero, of those that minimality weighs. Records that are the same intervention
/// (same_place.hpp) count once; a number counts as not zero if it is not in any of them.
struct parameter_counts {
  index_t parameters = 0;
  index_t nonzero_parameters = 0;
  index_t sites = 0;          ///< places with a record of their own
  index_t nonzero_sites = 0;  ///< of these, with any number that is not exactly 0
  double l1 = 0;

  friend bool operator==(const parameter_counts&, const parameter_counts&) = default;
};

/// f(block, offset in θ) for each record, in the order of θ.
template <typename F>
void each_record(const parameter_layout& layout, F f) {
  for (const parameter_block& block : layout.blocks)
    for (index_t r = 0; r < block.records(); ++r)
      f(block, static_cast<std::size_t>(block.offset + r * block.record_size));
}

/// f(number) for each number of a record that minimality weighs; the record begins at `first` in θ.
template <typename F>
void each_weighed_number(const parameter_block& block, std::span<const double> theta, std::size_t first, F f) {
  block.each_weighed([&](const parameter_slice& slice) {
    const auto begin = first + static_cast<std::size_t>(slice.offset);
    for (const double x : theta.subspan(begin, static_cast<std::size_t>(slice.extent))) f(x);
  });
}

/// The Euclidean norm of what minimality weighs of a record: 0 where the record leaves activations as they are.
inline double norm_of_record(const parameter_block& block, std::span<const double> theta, std::size_t first) {
  double square = 0;
  each_weighed_number(block, theta, first, [&](double x) { square += x * x; });
  return std::sqrt(square);
}

inline parameter_counts count_parameters(const parameters& p) {
  parameter_counts c;
  std::vector<block_layer> alike;  // the layers that are the same intervention as the one at hand
  each_record(p.layout, [&](const parameter_block& block, std::size_t first) {
    if (block.record_size == 0) return;  // a policy without parameters
    const index_t r = (static_cast<index_t>(first) - block.offset) / block.record_size;
    if (not block.uses(r)) return;
    each_weighed_number(block, p.theta, first, [&](double x) { c.l1 += std::abs(x); });
    const index_t in_layer = r % block.records_per_layer();
    const block_layer here{static_cast<std::size_t>(&block - p.layout.blocks.data()),
                           static_cast<std::size_t>(r / block.records_per_layer())};
    if (std::ranges::find(alike, here) == alike.end()) alike = same_place(p.layout, here);
    if (alike.front() != here) return;
    const auto is_zero = [&](const block_layer& at, index_t j) {
      const parameter_block& of = p.layout.blocks[at.block];
      const index_t record = static_cast<index_t>(at.layer) * of.records_per_layer() + in_layer;
      return p.theta[static_cast<std::size_t>(of.offset + record * of.record_size + j)] == 0;
    };
    const index_t before = c.nonzero_parameters;
    block.each_weighed([&](const parameter_slice& slice) {
      for (index_t j = slice.offset; j < slice.offset + slice.extent; ++j)
        c.nonzero_parameters += not std::ranges::all_of(alike, [&](const block_layer& at) { return is_zero(at, j); });
      c.parameters += slice.extent;
    });
    c.sites += 1;
    c.nonzero_sites += c.nonzero_parameters > before;
  });
  return c;
}

/// How many numbers of θ minimality weighs.
inline index_t weighed_numbers(const parameter_layout& layout) {
  index_t numbers = 0;
  for (const parameter_block& block : layout.blocks)
    block.each_weighed([&](const parameter_slice& slice) { numbers += block.used_records() * slice.extent; });
  return numbers;
}

/// The size of parameters θ under a norm.
inline double norm_of(const parameter_layout& layout, std::span<const double> theta, parameter_norm norm) {
  double total = 0;
  each_record(layout, [&](const parameter_block& block, std::size_t first) {
    if (norm == parameter_norm::group) {
      total += norm_of_record(block, theta, first);
      return;
    }
    block.each_weighed([&](const parameter_slice& slice) {
      double square = 0;
      for (const double x :
           theta.subspan(first + static_cast<std::size_t>(slice.offset), static_cast<std::size_t>(slice.extent))) {
        if (slice.weighed == weighing::each) total += std::abs(x);
        square += x * x;
      }
      if (slice.weighed == weighing::together) total += std::sqrt(square);
    });
  });
  const index_t numbers = weighed_numbers(layout);
  return norm == parameter_norm::mean and numbers > 0 ? total / static_cast<double>(numbers) : total;
}

/// f(numbers, weighed) for each unit of θ under a norm, in the order of θ: the indices of numbers that minimality takes
/// as one (a number, a parameter that counts as a whole, or what it weighs of a record), and each number that it does
/// not weigh.
template <typename F>
void each_unit(const parameter_layout& layout, parameter_norm norm, F f) {
  std::vector<std::size_t> unit;
  const auto give = [&](bool weighed) {
    if (not unit.empty()) f(std::span<const std::size_t>(unit), weighed);
    unit.clear();
  };
  each_record(layout, [&](const parameter_block& block, std::size_t first) {
    const auto take = [&](const parameter_slice& slice, bool one_by_one) {
      for (index_t j = 0; j < slice.extent; ++j) {
        unit.push_back(first + static_cast<std::size_t>(slice.offset + j));
        if (one_by_one) give(slice.weighed != weighing::none);
      }
    };
    block.each_weighed([&](const parameter_slice& slice) {
      take(slice, norm != parameter_norm::group and slice.weighed == weighing::each);
      if (norm != parameter_norm::group) give(true);
    });
    give(true);
    for (const parameter_slice& slice : block.slices)
      if (slice.weighed == weighing::none) take(slice, true);
  });
}

}  // namespace trimtab
