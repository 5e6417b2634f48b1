// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/core/layers.hpp>
#include <trimtab/core/prompt_pair.hpp>
#include <trimtab/core/random.hpp>
#include <trimtab/core/site.hpp>
#include <trimtab/model/architecture.hpp>
#include <trimtab/steer/parameter_layout.hpp>
#include <trimtab/steer/same_place.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

/// The layout of a composition's parameters, from its interventions as data.

namespace trimtab {

/// One intervention of a composition on a model.
struct chosen_intervention {
  site_description site;
  policy_description policy;
  layer_set layers;
  position_key positions;
  index_t part = -1;  ///< the only one that it acts in; -1: all
};

namespace detail {

/// An intervention's block before layers and positions are known.
inline parameter_block block_of(const model_config& config, const chosen_intervention& i) {
  parameter_block block;
  block.site = i.site.text;
  block.policy = i.policy.text;
  block.settings = i.policy.settings;
  block.shares_positions = i.policy.shares_positions;
  block.only_scales = i.policy.only_scales;
  block.is_affine = i.policy.is_affine;
  block.parts = site_parts(i.site.rows, config);
  block.part = i.part;
  block.width = site_width(i.site.rows, config);
  block.record_size = i.policy.record_size;
  block.slices = i.policy.slices;
  return block;
}

}  // namespace detail

/// The layout of a fit on these prompts. Throws `bad_argument` for a layer that the model lacks, `mismatch` for
/// absolute positions and prompts of different lengths, and `bad_data` for a role that no prompt has.
inline parameter_layout lay_out(const model_config& config, std::span<const chosen_intervention> chosen,
                                std::span<const prompt_pair> prompts) {
  parameter_layout all;
  for (const chosen_intervention& i : chosen) {
    parameter_block block = detail::block_of(config, i);
    if (block.part >= block.parts)
      throw error(error_kind::bad_argument, "there is no head " + std::to_string(block.part) + " at " + block.site +
                                                "; the model has " + std::to_string(block.parts));
    block.layers = i.layers.resolve(config.layers);
    block.positions = block.layers.empty() ? positions::shared() : i.positions.resolved(prompts);
    block.offset = all.size();
    for (index_t layer : block.layers)
      block.points.push_back(
          stream_point(block.site, layer, i.policy.only_adds, config.parallel_residual).value_or(-1));
    all.blocks.push_back(std::move(block));
  }
  return all;
}

/// Throws `mismatch` for a layout, or a number of parameters, that was made for another composition.
inline void require_same_composition(const model_config& config, std::span<const chosen_intervention> chosen,
                                     const parameter_layout& given, std::size_t numbers) {
  bool fits = given.blocks.size() == chosen.size() and numbers == static_cast<std::size_t>(given.size());
  for (std::size_t k = 0; fits and k < chosen.size(); ++k) {
    const parameter_block& theirs = given.blocks[k];
    const parameter_block own = detail::block_of(config, chosen[k]);
    fits = theirs.site == own.site and theirs.policy == own.policy and theirs.settings == own.settings and
           theirs.width == own.width and theirs.parts == own.parts and theirs.part == own.part and
           theirs.record_size == own.record_size and theirs.slices == own.slices and
           (theirs.layers.empty() or theirs.layers.back() < config.layers);
  }
  if (not fits)
    throw error(error_kind::mismatch,
                "the parameters were made for another composition or another model: sites, policies with their "
                "settings, widths and the number of parameters must be those of this one");
}

/// θ with each record filled by start(block index, record, width, random).
template <typename Start>
std::vector<double> start_records(const parameter_layout& layout, std::uint64_t seed, Start start) {
  std::vector<double> theta(static_cast<std::size_t>(layout.size()));
  random_generator random(seed);
  for (std::size_t k = 0; k < layout.blocks.size(); ++k) {
    const parameter_block& block = layout.blocks[k];
    for (index_t r = 0; r < block.records(); ++r)
      if (block.uses(r))
        start(k,
              std::span(theta).subspan(static_cast<std::size_t>(block.offset + r * block.record_size),
                                       static_cast<std::size_t>(block.record_size)),
              block.width, random);
  }
  return theta;
}

}  // namespace trimtab
