// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/core/prompt_pair.hpp>
#include <trimtab/core/random.hpp>
#include <trimtab/core/site.hpp>
#include <trimtab/core/view.hpp>
#include <trimtab/steer/observe.hpp>
#include <trimtab/steer/parameters.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

/// Steering vectors by statistics, without a fit: what differs between the activations of two sets of prompts at their
/// last tokens. They are baselines for vectors that were fitted.

namespace trimtab {

enum class direction_method {
  mean_difference,      ///< the mean of the differences
  principal_component,  ///< the first principal component of the differences, which are not centred
};

namespace detail {

/// The unit vector u that maximises Σ (u·d)² over the rows d of `differences`: by power iteration from a random start,
/// to a residual of 1e-12 of the eigenvalue, or after 100,000 steps. Zero where all differences are.
inline std::vector<double> first_component(const host_matrix<double>& differences) {
  const index_t width = differences.cols;
  random_generator random(1);
  std::vector<double> u(static_cast<std::size_t>(width)), next(u.size());
  for (double& x : u) x = random.normal();
  const auto norm = [](const std::vector<double>& v) {
    double square = 0;
    for (const double x : v) square += x * x;
    return std::sqrt(square);
  };
  for (double length = norm(u); double& x : u) x /= length;
  for (int step = 0; step < 100'000; ++step) {
    std::ranges::fill(next, 0.0);
    for (index_t n = 0; n < differences.rows; ++n) {
      const double* const d = differences.view().row(n);
      double projection = 0;
      for (index_t j = 0; j < width; ++j) projection += u[static_cast<std::size_t>(j)] * d[j];
      for (index_t j = 0; j < width; ++j) next[static_cast<std::size_t>(j)] += projection * d[j];
    }
    const double eigenvalue = norm(next);
    if (eigenvalue == 0) return next;
    double residual = 0;
    for (std::size_t j = 0; j < u.size(); ++j) {
      const double x = next[j] / eigenvalue;
      residual += (x - u[j]) * (x - u[j]);
      u[j] = x;
    }
    if (residual < 1e-24) break;
  }
  return u;
}

}  // namespace detail

/// The steering vector [D] of differences [N, D], positive minus negative. A principal component's sign is that of the
/// mean projection on it, and its length the difference of the two sets' mean projections.
inline std::vector<double> direction_of(const host_matrix<double>& differences, direction_method method) {
  std::vector<double> mean(static_cast<std::size_t>(differences.cols));
  for (index_t n = 0; n < differences.rows; ++n)
    for (std::size_t j = 0; j < mean.size(); ++j)
      mean[j] += differences(n, static_cast<index_t>(j)) / static_cast<double>(differences.rows);
  if (method == direction_method::mean_difference) return mean;
  std::vector<double> u = detail::first_component(differences);
  double gap = 0;
  for (std::size_t j = 0; j < u.size(); ++j) gap += u[j] * mean[j];
  for (double& x : u) x *= gap;  // of either sign of u, the product points from negative to positive
  return u;
}

/// The directions of a composition of vectors, at each of its sites and layers; every position gets the same one, and
/// every head its own. `prompts` are those whose positions count, `positive` and `negative` token ids in pairs. Throws
/// `mismatch` for a policy that is not one vector, `bad_argument` for sets of different sizes, and as `layout` and
/// `observe` do.
template <typename Steering>
parameters directions(const Steering& composition, std::span<const prompt_pair> prompts,
                      std::span<const std::vector<int>> positive, std::span<const std::vector<int>> negative,
                      direction_method method) {
  if (positive.empty() or positive.size() != negative.size())
    throw error(error_kind::bad_argument, "there are " + std::to_string(positive.size()) + " positive and " +
                                              std::to_string(negative.size()) +
                                              " negative texts; they make pairs, at least one");
  parameters values{composition.layout(prompts), {}};
  values.theta.resize(static_cast<std::size_t>(values.layout.size()));
  const auto count = static_cast<index_t>(positive.size());
  std::vector<std::vector<host_matrix<double>>> differences;  // by block and by layer: [N, parts * width]
  for (const parameter_block& block : values.layout.blocks) {
    if (block.slices.size() != 1 or not block.slices.front().is_offset or not block.slices.front().is_per_channel or
        block.slices.front().count != 1)
      throw error(error_kind::mismatch, "the policy " + block.policy + " at " + block.site +
                                            " is not one vector, which is all that a direction can be");
    differences.emplace_back(block.layers.size(), host_matrix<double>(count, block.parts * block.width));
  }

  const auto& model = composition.model();
  constexpr std::size_t at_once = 64;  // bounds the memory
  for (const double sign : {1.0, -1.0}) {
    const auto& texts = sign > 0 ? positive : negative;
    for (std::size_t first = 0; first < texts.size(); first += at_once) {
      const auto some = texts.subspan(first, std::min(at_once, texts.size() - first));
      observe(model, some, [&]<typename Site>(Site, index_t layer, auto, auto out) {
        for (std::size_t k = 0; k < differences.size(); ++k) {
          const parameter_block& block = values.layout.blocks[k];
          const index_t number = block.layer_number(layer);
          if (block.site != Site::text or number < 0) continue;
          const auto h = model.backend().download(out);
          auto& to = differences[k][static_cast<std::size_t>(number)];
          index_t token = -1;
          for (std::size_t n = 0; n < some.size(); ++n) {
            token += static_cast<index_t>(some[n].size());
            for (index_t j = 0; j < to.cols; ++j)
              to(static_cast<index_t>(first + n), j) +=
                  sign * static_cast<double>(h.values[static_cast<std::size_t>(token * to.cols + j)]);
          }
        }
      });
    }
  }

  for (std::size_t k = 0; k < differences.size(); ++k) {
    const parameter_block& block = values.layout.blocks[k];
    for (std::size_t number = 0; number < block.layers.size(); ++number)
      for (index_t part = 0; part < block.parts; ++part) {
        host_matrix<double> of_part(count, block.width);
        for (index_t n = 0; n < count; ++n)
          for (index_t j = 0; j < block.width; ++j) of_part(n, j) = differences[k][number](n, part * block.width + j);
        const auto vector = direction_of(of_part, method);
        for (index_t position = 0; position < block.positions.count(); ++position)
          std::ranges::copy(vector, values.theta.begin() + block.layer_offset(block.layers[number]) +
                                        (position * block.parts + part) * block.record_size);
      }
  }
  return values;
}

}  // namespace trimtab
