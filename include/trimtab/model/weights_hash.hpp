// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/view.hpp>
#include <trimtab/model/hash.hpp>
#include <trimtab/model/weights.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

/// A hash of a model's weights by value, in the layout of model/weights.hpp: types, names and files in which they were
/// stored do not matter. Values are hashed as float, so that a model has one hash in float and in double. Eight words
/// are hashed in parallel.

namespace trimtab {

class weights_hash {
 public:
  template <typename T>
  void add(const host_matrix<T>& m) {
    add_shape(m.rows, m.cols);
    add_numbers(std::span<const T>(m.values));
  }
  /// A matrix that is not in one piece: set(first, view) sets the view to its rows from `first` on.
  template <typename T, typename Set>
  void add_rows(index_t rows, index_t cols, const Set& set) {
    constexpr index_t numbers_at_once = index_t{1} << 18;
    const index_t at_once = std::max<index_t>(1, numbers_at_once / (numbers * cols)) * numbers;  // whole groups
    host_matrix<T> some(std::min(at_once, rows), cols);
    add_shape(rows, cols);
    for (index_t first = 0; first < rows; first += at_once) {
      const matrix_view<T> now{some.values.data(), std::min(at_once, rows - first), cols};
      set(first, now);
      add_numbers(std::span<const T>(now.data, static_cast<std::size_t>(now.size())));
    }
  }

  template <typename T>
  void add(const outer_weights<T>& w) {
    for (const host_matrix<T>* m :
         {&w.token_embedding, &w.position_embedding, &w.norm_final.gain, &w.norm_final.bias, &w.unembedding})
      add(*m);
  }
  template <typename T>
  void add(const block_weights<T>& w) {
    for (const layer_norm_weights<T>* norm : {&w.norm_1, &w.norm_2}) add(norm->gain), add(norm->bias);
    for (const linear_weights<T>* map : {&w.qkv, &w.attn_out, &w.mlp_in, &w.mlp_out}) add(map->weight), add(map->bias);
  }

  /// 16 hexadecimal digits.
  std::string text() const {
    byte_hash all;
    for (std::uint64_t state : states_) all.add(std::as_bytes(std::span(&state, 1)));
    return all.text();
  }

 private:
  static constexpr index_t lanes = 8, numbers = 2 * lanes;  // of a group, which is hashed at once

  template <typename T>
  void add_numbers(std::span<const T> values) {
    std::array<float, numbers> group{};
    const auto add_group = [&] {
      for (std::size_t lane = 0; lane < lanes; ++lane) {
        std::uint64_t& state = states_[lane];
        state = (state ^ std::bit_cast<std::uint32_t>(group[lane]) ^
                 std::uint64_t{std::bit_cast<std::uint32_t>(group[lanes + lane])} << 32) *
                0x100000001b3u;
        state ^= state >> 32;
      }
    };
    for (; values.size() >= group.size(); values = values.subspan(group.size())) {
      std::ranges::transform(values.first(group.size()), group.begin(), value<T>);
      add_group();
    }
    if (values.empty()) return;
    group.fill(0);
    std::ranges::transform(values, group.begin(), value<T>);
    add_group();
  }
  template <typename T>
  static float value(T x) {
    const float narrow = static_cast<float>(static_cast<double>(x));
    return narrow == 0 ? 0.0f : narrow;  // -0 and 0 compute the same
  }
  void add_shape(index_t rows, index_t cols) {
    for (std::uint64_t& state : states_)
      state = (state ^ static_cast<std::uint64_t>(rows) ^ static_cast<std::uint64_t>(cols) << 32) * 0x9e3779b97f4a7c15u;
  }

  std::array<std::uint64_t, 8> states_ = {1, 2, 3, 4, 5, 6, 7, 8};
};

/// The hash of a source's weights, which are read once.
template <typename T, weight_source<T> Source>
std::string hash_of_weights(const Source& source) {
  weights_hash hash;
  hash.add(source.template outer<T>());
  for (index_t l = 0; l < model_config(source.config()).layers; ++l) hash.add(source.template block<T>(l));
  return hash.text();
}

}  // namespace trimtab
