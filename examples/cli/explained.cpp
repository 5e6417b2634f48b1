// SPDX-License-Identifier: Apache-2.0

#include "explained.hpp"

#include "figures.hpp"

#include <trimtab/core/error.hpp>
#include <trimtab/report/token_names.hpp>
#include <trimtab/text/joined.hpp>

#include <algorithm>
#include <cmath>
#include <utility>

namespace trimtab::cli {

namespace {

/// A list for each layer of the model, of a list for each of these positions, of `value(place)`: null in layers that the
/// map does not have, a list of heads where a block has them.
template <typename Value>
ordered_json layers_of(const parameter_block& block, index_t layers, const std::vector<int>& positions, Value value) {
  auto all = ordered_json::array();
  for (index_t l = 0; l < layers; ++l) {
    const auto offset = block.layer_offset(l);
    const auto one = [&](int position, index_t part) {
      return offset < 0 or position < 0
                 ? ordered_json()
                 : ordered_json(value(static_cast<std::size_t>(offset + position * block.parts + part)));
    };
    auto& row = all.emplace_back(ordered_json::array());
    for (const int position : positions) {
      if (block.parts == 1) {
        row.push_back(one(position, 0));
        continue;
      }
      auto heads = ordered_json::array();
      for (index_t part = 0; part < block.parts; ++part) heads.push_back(one(position, part));
      row.push_back(std::move(heads));
    }
  }
  return all;
}

template <typename Value>
ordered_json places_of(const parameter_layout& places, index_t layers, const std::vector<int>& positions, Value value) {
  auto all = ordered_json::object();
  for (const auto& block : places.blocks) all[block.site] = layers_of(block, layers, positions, value);
  return all;
}

/// All positions of a key, in its order.
std::vector<int> all_positions(const position_key& key) {
  std::vector<int> positions;
  for (int i = 0; i < static_cast<int>(key.count()); ++i) positions.push_back(i);
  return positions;
}

/// The positions that a prompt has, in reading order where each is one token.
std::vector<int> positions_in(const position_key& key, const prompt_pair& prompt) {
  using kind = position_key::kind;
  if (key.by() == kind::role or key.by() == kind::shared) return all_positions(key);
  auto positions = explain::positions_of(key, prompt);
  std::erase(positions, -1);
  return positions;
}

ordered_json lens_of(const explain::place_map& map, index_t layers) {
  const auto& block = map.places.blocks.front();
  auto all = ordered_json::array();
  for (index_t l = 0; l < layers; ++l) {
    auto& row = all.emplace_back(ordered_json::array());
    const auto k = block.layer_number(l);
    for (std::size_t i = 0; k >= 0 and i < map.lens[static_cast<std::size_t>(k)].size(); ++i) {
      const auto& r = map.lens[static_cast<std::size_t>(k)][i];
      row.push_back({{"D", r.logit_diff},
                     {"p_correct", r.probability_correct},
                     {"p_wrong", r.probability_wrong},
                     {"rank_correct", r.rank_correct},
                     {"rank_wrong", r.rank_wrong},
                     {"top_id", r.top_id}});
    }
  }
  return all;
}

/// By position of a fit, its number among those of the scores: roles by their names, which either may order otherwise.
std::vector<index_t> same_positions(const position_key& theirs, const position_key& own, const std::string& name) {
  const auto sorted = [](std::vector<std::string> roles) {
    std::ranges::sort(roles);
    return roles;
  };
  const auto text_of = [](const position_key& key) {
    return key.text() + " positions" + (key.roles().empty() ? "" : " (" + text::joined(key.roles(), ", ") + ")");
  };
  if (theirs.by() != own.by() or sorted(theirs.roles()) != sorted(own.roles()))
    throw error(error_kind::mismatch, name + " has " + text_of(theirs) + ", but the scores have " + text_of(own) +
                                          "; give the same --positions and --roles");
  std::vector<index_t> same;
  for (index_t i = 0; i < std::min(own.count(), theirs.count()); ++i)
    same.push_back(own.roles().empty() ? i
                                       : std::ranges::find(own.roles(), theirs.roles()[static_cast<std::size_t>(i)]) -
                                             own.roles().begin());
  return same;
}

/// The size of an intervention's parameters at each place of a map, 0 where it has none.
std::vector<double> sizes_at(const explain::place_map& map, const parameters& fit, const std::string& name) {
  std::vector<double> sizes(map.scores.size());
  for (const auto& own : map.places.blocks)
    for (const auto& theirs : fit.layout.blocks) {
      if (theirs.site != own.site) continue;
      const auto place_of = same_positions(theirs.positions, own.positions, name);
      for (std::size_t k = 0; k < theirs.layers.size(); ++k)
        for (std::size_t i = 0; i < place_of.size(); ++i)
          for (index_t part = 0; own.layer_offset(theirs.layers[k]) >= 0 and part < theirs.parts; ++part) {
            const auto place = static_cast<std::size_t>(own.layer_offset(theirs.layers[k]) + place_of[i] * own.parts +
                                                        (own.parts > 1 ? part : 0));
            for (const double x : fit.record(theirs, static_cast<index_t>(k), static_cast<index_t>(i), part))
              sizes[place] = std::hypot(sizes[place], x);
          }
    }
  return sizes;
}

ordered_json numbers(const std::vector<double>& values) {
  auto all = ordered_json::array();
  for (const double x : values) all.push_back(number_or_null(x));
  return all;
}

}  // namespace

ordered_json number_or_null(double x) { return std::isnan(x) ? ordered_json() : ordered_json(x); }

void add_interval(const std::string& key, const with_interval& x, ordered_json& to) {
  to[key] = number_or_null(x.value);
  to[key + "_interval"] = {number_or_null(x.low), number_or_null(x.high)};
}

std::string text_of(const with_interval& x) {
  return report::number(x.value) + " [" + report::number(x.low) + ", " + report::number(x.high) + "]";
}

ordered_json json_of(const explain::place_map& map, std::span<const prompt_pair> prompts, index_t layers,
                     bool per_prompt) {
  const auto& key = map.places.blocks.front().positions;
  ordered_json json = {{"method", map.method},
                       {"metric", map.metric},
                       {"prompts", prompts.size()},
                       {"clean", map.clean},
                       {"corrupt", number_or_null(map.corrupt)}};
  json["scores"] =
      places_of(map.places, layers, all_positions(key), [&](std::size_t i) { return number_or_null(map.scores[i]); });
  json["counts"] = places_of(map.places, layers, all_positions(key), [&](std::size_t i) { return map.counts[i]; });
  if (per_prompt) {
    json["per_prompt"] = ordered_json::array();
    for (std::size_t n = 0; n < prompts.size(); ++n)
      json["per_prompt"].push_back(places_of(map.places, layers, positions_in(key, prompts[n]),
                                             [&](std::size_t i) { return number_or_null(map.per_prompt[n][i]); }));
  }
  if (not map.addends.empty()) {
    json["addends"] = ordered_json::object();
    for (const auto* name : {"embedding", "position_embedding", "constant"})
      json["addends"][name] = map.addends.at(name);
  }
  if (not map.lens.empty()) json["lens"] = lens_of(map, layers);
  return json;
}

ordered_json json_of(const explain::ranking_curve& curve) {
  ordered_json json = {{"kept", curve.by_size.kept},
                       {"faithfulness", numbers(curve.by_size.faithfulness)},
                       {"faithfulness_by_score", numbers(curve.by_score.faithfulness)}};
  add_interval("cpr", curve.cpr, json);
  add_interval("cmd", curve.cmd, json);
  json["random"] = {
      {"mean", numbers(curve.random_mean)}, {"low", numbers(curve.random_low)}, {"high", numbers(curve.random_high)}};
  return json;
}

void add_agreement(const ranking_agreement& found, ordered_json& to) {
  add_interval("spearman", found.spearman, to);
  add_interval("kendall", found.kendall, to);
  add_interval("overlap", found.overlap, to);
  to["k"] = found.k;
}

bool shares_site(const explain::place_map& map, const parameters& fit) {
  return std::ranges::any_of(map.places.blocks, [&](const parameter_block& own) {
    return std::ranges::find(fit.layout.blocks, own.site, &parameter_block::site) != fit.layout.blocks.end();
  });
}

ranking_agreement agreement_with_fit(const explain::place_map& map, const parameters& fit, const std::string& name) {
  if (not shares_site(map, fit))
    throw error(error_kind::mismatch,
                "'" + name + "' intervenes at none of the sites that are scored; give its --sites");
  const auto sizes = sizes_at(map, fit, "'" + name + "'");
  const auto kept = static_cast<std::size_t>(std::ranges::count_if(sizes, [](double x) { return x != 0; }));
  return compare_rankings(map.per_prompt, sizes, kept < sizes.size() ? kept : std::min<std::size_t>(10, kept));
}

report::map_group maps_of(const explain::place_map& map, const std::vector<std::string>& names,
                          const any_model& model) {
  const auto quantity = map.method == "patching"     ? "share of the gap"
                        : map.metric == "logit-diff" ? "logit difference"
                                                     : map.metric;
  report::map_group group{map.method, "The score of each place.", quantity, {}};
  for (const auto& block : map.places.blocks) {
    auto one = report::map_of(parameters{map.places, map.scores}, block, names);
    for (std::size_t k = 0; k < map.lens.size(); ++k) {
      auto& words = one.words.emplace_back();
      for (std::size_t i = 0; i < map.lens[k].size(); ++i)
        words.push_back(std::isnan(one.values[k][i]) ? "" : report::token_text(model, map.lens[k][i].top_id));
    }
    group.maps.push_back(report::in_reading_order(std::move(one), block.positions));
  }
  if (not map.lens.empty())
    group.note =
        "What the model would answer if a layer were the last one: the likeliest token, and the colour says D.";
  return group;
}

}  // namespace trimtab::cli
