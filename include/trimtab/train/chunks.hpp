// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/random.hpp>
#include <trimtab/model/pass_memory.hpp>
#include <trimtab/steer/continuations.hpp>
#include <trimtab/steer/layout_hooks.hpp>
#include <trimtab/steer/parameter_layout.hpp>
#include <trimtab/steer/sequence.hpp>
#include <trimtab/steer/steered.hpp>
#include <trimtab/train/replica.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

/// How a step is cut so that its memory is bounded. A step sees the prompts of its batch, which are all prompts unless
/// a fit asks for mini-batches, and runs them in chunks: consecutive whole prompts at all strengths, each with its
/// continuations (steer/continuations.hpp). The chunk is a setting as the learning rate is one: it changes the last
/// bits of a gradient; memory and threads never change it.

namespace trimtab {

/// The activations that a fit saves for its backward pass, where nothing else is asked for, in bytes.
inline constexpr index_t usual_chunk_bytes = index_t{1} << 30;

/// The memory of a step on some prompts and their continuations at all strengths, in bytes.
struct step_bytes {
  index_t activations = 0;  ///< those saved for the backward pass, and its scratch
  index_t logits = 0;       ///< of the steered and the untouched model, with their gradient, and streams
  index_t parameters = 0;   ///< with their gradient and Adam's moments
  index_t rows = 0;         ///< that the pass computes

  index_t total() const { return activations + logits + parameters; }
};

/// What terms on hooks take, in bytes: values and weights of the rows of all hooked places, and the activations of the
/// largest of these three times.
template <typename T>
index_t bytes_of_hook_terms(const model_config& config, const parameter_layout& layout, index_t rows, index_t terms) {
  const detail::layout_hooks hooks{layout};
  index_t numbers = 0, widest = 0;
  for (index_t l = 0; l < config.layers; ++l)
    site::all::each([&]<typename Site>(Site) {
      if (not hooks.active<Site>(l)) return;
      const index_t width = site_width<Site>(config), parts = site_parts(Site::rows, config);
      numbers += 2 * terms * rows * parts;
      widest = std::max(widest, width * parts);
    });
  return (numbers + (terms > 0 ? 3 * rows * widest : 0)) * static_cast<index_t>(sizeof(T));
}

/// `hook_terms`: how many terms are on what hooks do.
template <typename T>
step_bytes bytes_of_step(const model_config& config, const parameter_layout& layout,
                         std::span<const prompt_pair> prompts, std::span<const double> strengths,
                         index_t hook_terms = 0) {
  constexpr auto number = static_cast<index_t>(sizeof(T));
  const std::vector<prompt_pair> texts = with_continuations(prompts);
  pass_rows shape;
  for (const sequence& s : with_past(std::span(&layout, 1), texts, every_strength(std::ssize(texts), strengths))) {
    const index_t tokens = std::ssize(texts[static_cast<std::size_t>(s.prompt)].ids);
    shape.keys += tokens;
    shape.rows += tokens - s.past;
    ++shape.queries;
  }
  const detail::layout_hooks hooks{layout};
  const index_t first = first_layer_of_pass(layout, config);
  return {bytes_of_pass<T>(config, shape, {first, config.layers}, hooked_sites(hooks, config.layers),
                           pass_use::forward_and_backward) +
              bytes_of_hook_terms<T>(config, layout, shape.rows, hook_terms),
          (shape.rows * config.width + 2 * shape.queries * config.vocabulary) * number, 4 * layout.size() * number,
          shape.rows};
}

/// The tokens of a prompt and of its continuations.
inline index_t tokens_with_continuations(const prompt_pair& prompt) {
  const index_t length = std::ssize(prompt.ids);
  index_t tokens = length;
  for (const auto* rest : {&prompt.correct_rest, &prompt.wrong_rest})
    for (index_t k = 1; k <= std::ssize(*rest); ++k) tokens += length + k;
  return tokens;
}

/// The number of prompts in a chunk where nobody sets it: as many of the longest, with continuations, as save at
/// most `bytes` of activations, at least one. A number of the shapes alone.
template <typename T>
index_t usual_chunk(const model_config& config, const parameter_layout& layout, std::span<const prompt_pair> prompts,
                    std::span<const double> strengths, index_t bytes = usual_chunk_bytes) {
  const auto longest = std::ranges::max_element(prompts, {}, tokens_with_continuations);
  const index_t one = bytes_of_step<T>(config, layout, std::span(&*longest, 1), strengths).activations;
  return std::max<index_t>(1, bytes / std::max<index_t>(1, one));
}

/// The prompts of a step (0, 1, ...), by number: all of them in order, or the step's batch of a permutation that is new
/// in each epoch. The last batch of an epoch may be smaller.
inline std::vector<index_t> prompts_of_step(index_t prompts, const mini_batches& batches, index_t step) {
  std::vector<index_t> all(static_cast<std::size_t>(prompts));
  for (index_t n = 0; n < prompts; ++n) all[static_cast<std::size_t>(n)] = n;
  if (batches.size == 0) return all;
  const index_t an_epoch = batches.an_epoch(prompts);
  random_generator epochs(batches.seed);
  for (index_t e = 0; e < step / an_epoch; ++e) epochs();
  random_generator(epochs()).shuffle(all);
  const auto begin = all.begin() + step % an_epoch * batches.size;
  return {begin, begin + std::min<index_t>(batches.size, all.end() - begin)};
}

}  // namespace trimtab
