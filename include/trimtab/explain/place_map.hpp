// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/communicator.hpp>
#include <trimtab/core/error.hpp>
#include <trimtab/core/layers.hpp>
#include <trimtab/core/position.hpp>
#include <trimtab/core/prompt_pair.hpp>
#include <trimtab/core/site.hpp>
#include <trimtab/model/architecture.hpp>
#include <trimtab/steer/parameters.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// What every method of this room takes and returns. A *place* is a site, a layer and a position (and at `attn_z`, on
/// request, a head); a map has one score for each. Maps are laid out as parameters are, so that heat maps, files and
/// comparisons take both.

namespace trimtab::explain {

/// What a run is measured by: z[correct] − z[wrong], the probability of the correct token, or KL(clean ‖ run) over the
/// whole vocabulary, all at the last token.
enum class metric_kind { logit_diff, probability, kl };

enum class attribution_kind { gradient, patching, integrated };

/// Denoising puts clean activations into the corrupt run, noising corrupt ones into the clean run.
enum class patch_direction { denoising, noising };

enum class ablation_kind { zero, mean, resample };

/// Where between the corrupt (0) and the clean (1) embeddings the k-th of m runs is, k = 1, ..., m: at (k − ½)/m, (k −
/// 1)/m or k/m.
enum class path_rule { midpoint, left, right };

struct options {
  std::vector<std::string> sites = {"attn_out", "mlp_out", "resid_post"};
  layer_set layers = layers::all();
  position_key positions = positions::absolute();  ///< prompts may have any lengths, whatever the key
  bool per_head = false;                           ///< a place for each head at `attn_z`
  metric_kind metric = metric_kind::logit_diff;
  attribution_kind attribute = attribution_kind::patching;
  patch_direction direction = patch_direction::denoising;  ///< of patching and attribution patching
  index_t steps = 10;                                      ///< of integrated gradients
  path_rule rule = path_rule::midpoint;                    ///< likewise
  ablation_kind ablate = ablation_kind::zero;
  std::uint64_t seed = 1;  ///< of resampling
  /// A bound, in bytes, on what a map needs besides the model and its scores. It changes no score. 0: 1 GiB, or more
  /// where a single prompt needs more.
  index_t memory = 0;
  any_communicator ranks = {};  ///< they share the prompts; all of them get the map
};

inline constexpr double no_score = std::numeric_limits<double>::quiet_NaN();

/// What the logit lens shows at one place. Over several prompts, numbers are means and the token is the most frequent
/// one.
struct lens_reading {
  double logit_diff = 0;
  double probability_correct = 0, probability_wrong = 0;
  double rank_correct = 0, rank_wrong = 0;  ///< 1 for the likeliest token
  int top_id = 0;                           ///< the likeliest token
};

struct place_map {
  std::string method = {}, metric = {};
  parameter_layout places = {};      ///< a block for each site, one number for each place
  std::vector<double> scores = {};   ///< [places] means over the prompts that have the place; NaN where none has it
  std::vector<index_t> counts = {};  ///< [places] how many prompts have the place
  std::vector<std::vector<double>> per_prompt = {};  ///< [prompts][places]; NaN where the prompt lacks the place
  double clean = no_score;                           ///< the metric of the clean runs, a mean over prompts
  double corrupt = no_score;                         ///< likewise; NaN for a method that needs no corrupt prompts
  std::map<std::string, double> addends = {};        ///< of direct attribution: what the metric has besides places
  std::vector<std::vector<lens_reading>> lens = {};  ///< of the logit lens: [layers of the map][positions]
  std::vector<std::string> warnings = {};

  /// The score of one place; `layer` is the model's.
  double score(const parameter_block& block, index_t layer, index_t position, index_t part = 0) const {
    return scores[static_cast<std::size_t>(block.layer_offset(layer) + position * block.parts + part)];
  }
  const parameter_block& block(std::string_view site) const {
    return *std::ranges::find(places.blocks, site, &parameter_block::site);
  }
};

/// The key with the number of positions of these prompts; unlike parameters, places may be absolute for prompts of
/// different lengths. Throws `bad_data` for a role that no prompt has.
inline position_key resolved_places(const position_key& key, std::span<const prompt_pair> prompts) {
  if (key.by() != position_key::kind::absolute or key.count() > 0) return key.resolved(prompts);
  index_t longest = 0;
  for (const prompt_pair& p : prompts) longest = std::max(longest, std::ssize(p.ids));
  return positions::absolute(longest);
}

/// [tokens] each token's position under a resolved key, or -1 for none.
inline std::vector<int> positions_of(const position_key& key, const prompt_pair& prompt) {
  if (key.by() != position_key::kind::absolute) return key.records(prompt);
  std::vector<int> positions(prompt.ids.size(), -1);
  for (std::size_t i = 0; i < positions.size() and static_cast<index_t>(i) < key.count(); ++i)
    positions[i] = static_cast<int>(i);
  return positions;
}

namespace detail {

/// The layout of a map. Throws `bad_argument` for a site or layer that the model lacks, a site named twice, no sites or
/// layers, or heads without `attn_z`; `bad_data` for a role that no prompt has.
inline parameter_layout lay_out_places(const model_config& config, const options& chosen,
                                       std::span<const prompt_pair> prompts) {
  const auto refuse = [](const std::string& what) { throw error(error_kind::bad_argument, what); };
  const position_key key = resolved_places(chosen.positions, prompts);
  const std::vector<index_t> layers = chosen.layers.resolve(config.layers);
  if (chosen.sites.empty() or layers.empty()) refuse("a map of places needs at least one site and one layer");
  if (chosen.per_head and std::ranges::find(chosen.sites, site::attn_z::text) == chosen.sites.end())
    refuse("only attn_z has heads; add it to the sites, or ask for no heads");
  parameter_layout all;
  for (const std::string& name : chosen.sites) {
    const auto number = site::find(name);
    if (not number or (config.parallel_residual and not site::table[*number].in_parallel_blocks))
      refuse("the model has no site '" + name + "'; its sites are " + site::names(config.parallel_residual));
    if (std::ranges::count(chosen.sites, name) > 1) refuse("the site '" + name + "' is named twice");
    const site_rows rows = site::table[*number].rows;
    all.blocks.push_back({.site = name,
                          .layers = layers,
                          .positions = key,
                          .parts = chosen.per_head ? site_parts(rows, config) : 1,
                          .width = site_width(rows, config),
                          .record_size = 1,
                          .slices = {{"score", 0, 1}},
                          .offset = all.size()});
  }
  return all;
}

/// Which block of a layout a site is, by its index in site::all.
class placed_sites {
 public:
  explicit placed_sites(const parameter_layout& places) : layers_(places.blocks.front().layers) {
    for (std::size_t k = 0; k < places.blocks.size(); ++k) block_[*site::find(places.blocks[k].site)] = k;
  }

  /// Its sites and layers as a pass asks for hooks (model/hooks.hpp).
  template <hook_site>
  static constexpr bool has = true;
  template <hook_site Site>
  bool active(index_t layer) const {
    return block<Site>() != none and std::ranges::binary_search(layers_, layer);
  }
  /// The block of a site that the layout holds.
  template <hook_site Site>
  std::size_t block() const {
    return block_[site_index<Site>];
  }
  index_t lowest_layer() const { return layers_.front(); }

 private:
  static constexpr std::size_t none = std::numeric_limits<std::size_t>::max();
  static constexpr std::array<std::size_t, site::count> nothing = [] {
    std::array<std::size_t, site::count> all{};
    all.fill(none);
    return all;
  }();

  std::array<std::size_t, site::count> block_ = nothing;
  std::vector<index_t> layers_;
};

/// A map without scores yet: 0 for each place that a prompt has.
inline place_map empty_map(std::string method, const model_config& config, const options& chosen,
                           std::span<const prompt_pair> prompts) {
  place_map map;
  map.method = std::move(method);
  map.metric = std::array{"logit-diff", "probability", "kl"}[static_cast<std::size_t>(chosen.metric)];
  map.places = lay_out_places(config, chosen, prompts);
  const auto size = static_cast<std::size_t>(map.places.size());
  map.per_prompt.assign(prompts.size(), std::vector<double>(size, no_score));
  for (std::size_t n = 0; n < prompts.size(); ++n) {
    const std::vector<int> positions = positions_of(map.places.blocks.front().positions, prompts[n]);
    for (const parameter_block& block : map.places.blocks)
      for (index_t l : block.layers)
        for (int position : positions)
          for (index_t part = 0; position >= 0 and part < block.parts; ++part)
            map.per_prompt[n][static_cast<std::size_t>(block.layer_offset(l) + position * block.parts + part)] = 0;
  }
  return map;
}

/// Completes `per_prompt`, of which each rank has the rows of its own prompts.
inline void take_rows_of_ranks(place_map& map, const any_communicator& ranks) {
  if (ranks.size() == 1) return;
  const auto size = static_cast<std::ptrdiff_t>(map.places.size());
  const item_range own = own_share(ranks, std::ssize(map.per_prompt));
  std::vector<double> rows;
  for (index_t n = own.first; n < own.last; ++n)
    std::ranges::copy(map.per_prompt[static_cast<std::size_t>(n)], std::back_inserter(rows));
  rows = gathered(ranks, std::move(rows));
  auto next = rows.begin();
  for (std::vector<double>& row : map.per_prompt) {
    std::copy_n(next, size, row.begin());
    next += size;
  }
}

/// Sets scores and counts from what all ranks have in `per_prompt`.
inline void take_means(place_map& map, const any_communicator& ranks) {
  take_rows_of_ranks(map, ranks);
  const auto size = static_cast<std::size_t>(map.places.size());
  map.scores.assign(size, 0);
  map.counts.assign(size, 0);
  for (const std::vector<double>& scores : map.per_prompt)
    for (std::size_t i = 0; i < size; ++i)
      if (not std::isnan(scores[i])) map.scores[i] += scores[i], ++map.counts[i];
  for (std::size_t i = 0; i < size; ++i)
    map.scores[i] = map.counts[i] > 0 ? map.scores[i] / static_cast<double>(map.counts[i]) : no_score;
}

/// Whether a site of a layer has rows for the scored tokens only, where no others are scored.
inline bool scored_only(const model_config& config, std::string_view site, index_t layer) {
  return layer == config.layers - 1 and site != site::resid_pre::text;
}

/// Rows for each token at a site.
inline index_t rows_per_token(const model_config& config, std::string_view site) {
  return site_parts(site::table[*site::find(site)].rows, config);
}

inline double mean_of(std::span<const double> numbers) {
  double sum = 0;
  for (double x : numbers) sum += x;
  return sum / static_cast<double>(numbers.size());
}

}  // namespace detail
}  // namespace trimtab::explain
