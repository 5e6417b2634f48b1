// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/position.hpp>
#include <trimtab/core/prompt_pair.hpp>
#include <trimtab/core/view.hpp>
#include <trimtab/objective/effectiveness.hpp>
#include <trimtab/objective/faithfulness.hpp>
#include <trimtab/objective/minimality.hpp>
#include <trimtab/objective/weighted_sum.hpp>
#include <trimtab/policy/library.hpp>
#include <trimtab/steer/parameter_layout.hpp>
#include <trimtab/train/adam.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <vector>

/// The fixtures of the independent reference, in the library's types. The head of reference.py describes the files.

namespace trimtab::test {

/// Numbers by `<site>.<parameter>`, each tensor flat and with a row for every layer of the model.
using tensors = std::map<std::string, std::vector<double>>;

struct expected_terms {
  double loss, effectiveness, faithfulness, minimality;
};

/// What a case and a trajectory have in common: prompts, an intervention and an objective.
struct problem {
  std::string name = {};
  std::vector<prompt_pair> prompts = {};
  std::string policy = {};
  policy::options options = {};  ///< of the policy
  position_key positions = {};
  std::vector<std::string> sites = {};
  std::vector<index_t> layers = {};
  objective::weighted_sum<objective::effectiveness, objective::faithfulness, objective::minimality> objective = {};
  std::vector<double> strengths = {};
};

struct steered_case : problem {
  expected_terms expected = {};
  std::map<double, std::vector<double>> logit_diffs = {};  ///< by strength, of each prompt
  std::vector<double> divergences = {};                    ///< of each prompt, mean over the strengths
  tensors parameters = {};
  tensors gradient = {};
  std::map<double, host_matrix<double>> logits = {};  ///< by strength, [prompts, V] at the last positions
};

struct trajectory : problem {
  adam optimizer = {};
  index_t steps = 0;
  std::vector<expected_terms> terms = {};  ///< before each step and after the last
  tensors parameters = {};                 ///< after the last step
};

struct fixture {
  std::filesystem::path folder = {};
  std::map<std::string, std::vector<prompt_pair>> batches = {};
  std::map<std::string, host_matrix<double>> unsteered = {};    ///< by batch, logits of every position
  prompt_pair recorded = {};                                    ///< the prompt of the activations
  std::map<std::string, host_matrix<double>> activations = {};  ///< by `blocks.<layer>.<site>`
  std::vector<steered_case> cases = {};
  std::vector<trajectory> trajectories = {};
};

inline constexpr std::array fixture_names{"gpt2-a",        "gpt2-b",        "neox-parallel",          "neox-sequential",
                                          "gpt2-unscaled", "gpt2-by-layer", "gpt2-unscaled-by-layer", "neox-no-bias"};

/// The fixture of that name, read once.
const fixture& read_fixture(const std::string& name);

/// Calls f(i, tensor, k) for every parameter: number i of the parameters is number k of the tensor with this name. The
/// order of a tensor is [layer][position][head, at attn_z][channel]; a record has its parameters one after another.
template <typename F>
void each_parameter(const parameter_layout& layout, F&& f) {
  for (const parameter_block& block : layout.blocks)
    for (const parameter_slice& slice : block.slices)
      for (std::size_t k = 0; k < block.layers.size(); ++k)
        for (index_t r = 0; r < block.records_per_layer(); ++r)
          for (index_t j = 0; j < slice.extent; ++j) {
            const index_t record = static_cast<index_t>(k) * block.records_per_layer() + r;
            const index_t place = block.layers[k] * block.records_per_layer() + r;
            f(static_cast<std::size_t>(block.offset + record * block.record_size + slice.offset + j),
              block.site + "." + slice.name, static_cast<std::size_t>(place * slice.extent + j));
          }
}

/// The parameters in the library's order, from a fixture's tensors.
inline std::vector<double> lane_of(const parameter_layout& layout, const tensors& from) {
  std::vector<double> lane(static_cast<std::size_t>(layout.size()));
  each_parameter(layout, [&](std::size_t i, const std::string& tensor, std::size_t place) {
    lane[i] = from.at(tensor).at(place);
  });
  return lane;
}

/// The tensors from parameters in the library's order; layers that are not intervened on are zero.
inline tensors tensors_of(const parameter_layout& layout, std::span<const double> lane, index_t layers) {
  tensors to;
  for (const parameter_block& block : layout.blocks)
    if (not block.layers.empty())
      for (const parameter_slice& slice : block.slices)
        to[block.site + "." + slice.name].resize(
            static_cast<std::size_t>(layers * block.records_per_layer() * slice.extent));
  each_parameter(layout,
                 [&](std::size_t i, const std::string& tensor, std::size_t place) { to[tensor].at(place) = lane[i]; });
  return to;
}

/// The largest absolute difference; infinite where sizes differ or a number is not finite.
template <typename A, typename B>
double difference(const std::vector<A>& a, const std::vector<B>& b) {
  if (a.size() != b.size()) return std::numeric_limits<double>::infinity();
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double d = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    if (not std::isfinite(d)) return std::numeric_limits<double>::infinity();
    worst = std::max(worst, d);
  }
  return worst;
}
template <typename A, typename B>
double difference(const host_matrix<A>& a, const host_matrix<B>& b) {
  return a.rows == b.rows and a.cols == b.cols ? difference(a.values, b.values)
                                               : std::numeric_limits<double>::infinity();
}

inline double largest(const std::vector<double>& numbers) {
  return difference(numbers, std::vector<double>(numbers.size()));
}

/// Rows first, ..., first + count - 1 of a matrix.
template <typename T>
host_matrix<T> rows_of(matrix_view<const T> m, index_t first, index_t count) {
  host_matrix<T> some(count, m.cols);
  std::copy_n(m.row(first), some.values.size(), some.values.begin());
  return some;
}

}  // namespace trimtab::test
