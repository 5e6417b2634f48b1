// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/site.hpp>
#include <trimtab/train/chunks.hpp>

#include <algorithm>
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

/// What a fit will need, from the shapes of the model, the prompts and the interventions: no weight is read.

namespace trimtab {

/// By site and layer: how many tokens of the prompts change.
using tokens_touched = std::map<std::string, std::vector<index_t>>;

inline tokens_touched touched_by(const parameter_layout& layout, std::span<const prompt_pair> prompts,
                                 const model_config& config) {
  tokens_touched touched;
  for (const parameter_block& block : layout.blocks) {
    std::vector<index_t>& by_layer = touched[block.site];
    by_layer.resize(static_cast<std::size_t>(config.layers));
    index_t here = 0;
    for (const prompt_pair& p : prompts)
      here +=
          block.layers.empty() ? 0 : std::ranges::count_if(block.positions.records(p), [](int r) { return r >= 0; });
    for (index_t l : block.layers)
      by_layer[static_cast<std::size_t>(l)] = std::max(by_layer[static_cast<std::size_t>(l)], here);
  }
  return touched;
}

struct fit_plan {
  index_t rows = 0;    ///< that a step computes, all strengths together; with mini-batches, the largest step
  index_t chunk = 0;   ///< prompts in a chunk
  index_t chunks = 1;  ///< in that step
  std::vector<std::pair<std::string, index_t>> memory = {};  ///< bytes by part
  double flops = 0;                                          ///< floating-point operations of all steps
  tokens_touched touched = {};

  index_t bytes() const {
    index_t sum = 0;
    for (const auto& [part, size] : memory) sum += size;
    return sum;
  }
};

/// Multiply-adds of a pass forward over a text of `tokens`, of which the first `past` have no rows. In the last layer
/// only the last token goes past the attention.
inline double multiply_adds(const model_config& c, index_t tokens, index_t past, index_t first_layer) {
  const auto number = [](index_t n) { return static_cast<double>(n); };
  const double width = number(c.width), rows = number(tokens - past), keys = number(tokens);
  const double pairs = (keys * (keys + 1) - number(past) * (number(past) + 1)) / 2;
  const double in = 3 * width * width, out = width * width + 2 * width * number(c.hidden);
  double sum = 0;
  for (index_t l = first_layer; l < c.layers; ++l) {
    const bool last = l == c.layers - 1;
    sum += rows * in + 2 * width * (last ? keys : pairs) + (last ? 1 : rows) * out;
  }
  return sum;
}

/// The plan of a fit whose chunk is known, of a model that takes `weights` bytes. `steps` may be 0, for the memory
/// alone; `hook_terms` are those on what hooks do.
template <typename T>
fit_plan plan_of_fit(const model_config& config, const parameter_layout& layout, std::span<const prompt_pair> prompts,
                     std::span<const double> strengths, index_t chunk, const mini_batches& batches, index_t steps,
                     index_t weights, index_t hook_terms = 0) {
  constexpr auto number = static_cast<index_t>(sizeof(T));
  const index_t count = std::ssize(prompts);
  const std::vector<prompt_pair> texts = with_continuations(prompts);
  const index_t in_step = batches.size == 0 ? count : std::min(batches.size, count);
  const index_t first_layer = first_layer_of_pass(layout, config);
  const bool at_once = in_step <= chunk and batches.size == 0;
  fit_plan plan{.chunk = std::min(chunk, in_step), .chunks = (in_step + chunk - 1) / chunk};

  // By text: what a pass computes of it, in units that add up.
  double forward = 0, untouched = 0, again = 0;
  index_t rows = 0, tokens = 0, past = 0;
  for (const sequence& s :
       with_past(std::span(&layout, 1), texts, every_strength(std::ssize(texts), strengths.first(1)))) {
    const index_t length = std::ssize(texts[static_cast<std::size_t>(s.prompt)].ids);
    rows += length - s.past, tokens += length, past += s.past;
    forward += multiply_adds(config, length, s.past, first_layer);
    untouched += multiply_adds(config, length, 0, 0);
    again += multiply_adds(config, length, 0, 0) - multiply_adds(config, length, 0, first_layer);
  }
  const auto unembed = static_cast<double>(config.width * config.vocabulary * std::ssize(texts));
  const auto betas = static_cast<double>(strengths.size());
  const double share = static_cast<double>(in_step) / static_cast<double>(count);
  // Backward, each product costs what it costs forward; the untouched model runs once, and in chunks its logits, and
  // what lies below the interventions, are made again in each step.
  const double a_step = 2 * betas * (forward + unembed) + (at_once    ? 0
                                                           : past > 0 ? untouched + unembed
                                                                      : again + unembed);
  plan.flops =
      2 * (untouched + unembed + share * a_step * static_cast<double>(steps) + betas * share * (forward + unembed));
  plan.rows = static_cast<index_t>(static_cast<double>(rows) * share) * std::ssize(strengths);

  index_t longest = 0, most_texts = 0;  // of a prompt with its continuations
  for (const prompt_pair& p : prompts) {
    longest = std::max(longest, tokens_with_continuations(p));
    most_texts = std::max(most_texts, 1 + std::ssize(p.correct_rest) + std::ssize(p.wrong_rest));
  }
  step_bytes largest;
  for (std::span<const prompt_pair> left = prompts; not left.empty();) {
    const std::size_t size = std::min(left.size(), static_cast<std::size_t>(plan.chunk));
    const step_bytes here = bytes_of_step<T>(config, layout, left.first(size), strengths, hook_terms);
    if (here.total() > largest.total()) largest = here;
    left = left.subspan(size);
  }
  const index_t keys_of_past = past > 0 ? 3 * config.width * (config.layers - first_layer) : 0;
  const index_t baseline_row = config.width + keys_of_past;
  const index_t seen_at_once = at_once ? tokens : std::min(tokens, plan.chunk * longest);
  const index_t texts_at_once = std::min(std::ssize(texts), plan.chunk * most_texts);
  plan.memory = {
      {"weights", weights},
      {"activations", largest.activations},
      {"logits", largest.logits},
      {"untouched",
       (seen_at_once * baseline_row + texts_at_once * config.vocabulary + std::ssize(texts) * config.width) * number},
      {"parameters", largest.parameters + layout.size() * 3 * static_cast<index_t>(sizeof(double))}};

  plan.touched = touched_by(layout, prompts, config);
  return plan;
}

}  // namespace trimtab
