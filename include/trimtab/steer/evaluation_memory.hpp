// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/core/prompt_pair.hpp>
#include <trimtab/model/pass_memory.hpp>
#include <trimtab/steer/continuations.hpp>
#include <trimtab/steer/layout_hooks.hpp>
#include <trimtab/steer/parameter_layout.hpp>
#include <trimtab/steer/steered.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>

namespace trimtab {

/// What an evaluation takes besides the model, in bytes: of `texts` with `tokens` in all, each steered `times` times,
/// once for each strength and each set of parameters.
template <typename T>
index_t bytes_of_evaluation(const model_config& config, const parameter_layout& layout, index_t texts, index_t tokens,
                            index_t times) {
  const detail::layout_hooks hooks{layout};
  const index_t first = first_layer_of_pass(layout, config), layers = config.layers;
  const index_t rows = tokens * times, sequences = texts * times;
  const auto pass = [&](const pass_rows& shape, layer_interval interval, const hooked_sites& hooked) {
    return bytes_of_pass<T>(config, shape, interval, hooked, pass_use::forward_only);
  };
  const hooked_sites none(no_hooks{}, layers);
  // The untouched model's passes are over when the steered one begins; its stream and its logits stay. Logits are
  // copied to the host.
  const index_t untouched =
      std::max(pass({tokens, tokens, texts}, {0, first}, none), pass({tokens, tokens, texts}, {first, layers}, none));
  const index_t steered_pass = pass({rows, rows, sequences}, {first, layers}, hooked_sites(hooks, layers));
  const index_t kept = tokens * config.width + texts * (2 * config.vocabulary + config.width);
  const index_t of_steered = rows * config.width + 2 * sequences * config.vocabulary;
  constexpr auto number = static_cast<index_t>(sizeof(T));
  return kept * number + std::max(untouched, steered_pass + of_steered * number);
}

/// How many of the prompts, from the first on, are evaluated at once: at most `at_most`, and no more than fit into
/// `memory` bytes unless that is 0. Throws `memory` where not even the first one fits.
template <typename T>
index_t prompts_that_fit(const model_config& config, const parameter_layout& layout,
                         std::span<const prompt_pair> prompts, index_t times, index_t at_most, index_t memory) {
  index_t count = 0, texts = 0, tokens = 0;
  for (; count < std::min(at_most, std::ssize(prompts)); ++count) {
    for (const prompt_pair& text : with_continuations(prompts.subspan(static_cast<std::size_t>(count), 1)))
      ++texts, tokens += std::ssize(text.ids);
    const index_t bytes = memory == 0 ? 0 : bytes_of_evaluation<T>(config, layout, texts, tokens, times);
    if (bytes <= memory) continue;
    if (count > 0) break;
    throw error(error_kind::memory, "evaluating a prompt of " + std::to_string(prompts.front().ids.size()) +
                                        " tokens takes " + bytes_text(static_cast<double>(bytes)) +
                                        " of memory, more than the " + bytes_text(static_cast<double>(memory)) +
                                        " that are left for it; allow more");
  }
  return count;
}

}  // namespace trimtab
