// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/prompt_pair.hpp>
#include <trimtab/core/random.hpp>
#include <trimtab/model/gpt2.hpp>
#include <trimtab/model/gpt_neox.hpp>

#include "random_weights.hpp"

#include <utility>
#include <vector>

/// The three kinds of model, as small as possible while no size is even, square or a power of two, and prompts for
/// them.

namespace trimtab::test {

/// A kind of model: its type on a backend, and a small configuration.
struct small_gpt2 {
  template <tensor_backend B>
  using model = gpt2<B>;
  static constexpr bool parallel = false;

  static model_config config() {
    return {
        .architecture = "gpt2", .layers = 3, .width = 10, .heads = 2, .hidden = 19, .context = 12, .vocabulary = 23};
  }
};

struct small_neox_parallel {
  template <tensor_backend B>
  using model = gpt_neox<B>;
  static constexpr bool parallel = true;

  static model_config config() {
    return {.architecture = "gpt_neox",
            .layers = 3,
            .width = 10,
            .heads = 2,
            .hidden = 19,
            .context = 12,
            .vocabulary = 23,
            .rotary_channels = 4,
            .nonlinearity = activation::gelu_erf,
            .parallel_residual = true};
  }
};

struct small_neox_sequential {
  template <tensor_backend B>
  using model = gpt_neox_sequential<B>;
  static constexpr bool parallel = false;

  static model_config config() {
    auto c = small_neox_parallel::config();
    c.parallel_residual = false;
    return c;
  }
};

/// Prompts of the given lengths, with two answers and roles: the "subject" is the second token, the "end" the last one.
inline std::vector<prompt_pair> random_prompts(const model_config& config, const std::vector<int>& lengths,
                                               std::uint64_t seed = 1) {
  random_generator random(seed);
  const auto token = [&] { return static_cast<int>(random.below(static_cast<std::size_t>(config.vocabulary))); };
  std::vector<prompt_pair> prompts;
  for (int length : lengths) {
    prompt_pair p;
    for (int i = 0; i < length; ++i) p.ids.push_back(token());
    p.correct_id = token();
    do p.wrong_id = token();
    while (p.wrong_id == p.correct_id);
    if (length > 1) p.roles["subject"] = {1, 2};
    p.roles["end"] = {length - 1, length};
    prompts.push_back(std::move(p));
  }
  return prompts;
}

/// Random weights, of which a function f(layer, block) may change each block.
template <typename F>
class edited_weights {
 public:
  edited_weights(random_weights source, F edit) : source_(std::move(source)), edit_(std::move(edit)) {}

  const model_config& config() const { return source_.config(); }
  template <typename T>
  block_weights<T> block(index_t layer) const {
    auto weights = source_.block<T>(layer);
    edit_(layer, weights);
    return weights;
  }
  template <typename T>
  outer_weights<T> outer() const {
    return source_.outer<T>();
  }

 private:
  random_weights source_;
  F edit_;
};

}  // namespace trimtab::test
