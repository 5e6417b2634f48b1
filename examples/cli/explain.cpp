// SPDX-License-Identifier: Apache-2.0

#include "commands.hpp"
#include "data.hpp"
#include "figures.hpp"
#include "report.hpp"
#include "talk.hpp"

#include <trimtab/report/page/html.hpp>
#include <trimtab/report/picture/heat_map.hpp>
#include <trimtab/report/terminal/terminal.hpp>
#include <trimtab/report/terminal/terminal_map.hpp>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// `trimtab explain`: where in the model an answer is decided, by several methods.

namespace trimtab::cli {

namespace {

bool needs_corrupt(const std::string& method) {
  return method == "attribution-patching" or method == "integrated" or method == "patching";
}

explain::options options_for(const explain_command& command, std::span<const prompt_pair> prompts) {
  auto chosen = command.chosen;
  chosen.seed = command.data.seed.value_or(1);
  if (command.method == "gradient") chosen.attribute = explain::attribution_kind::gradient;
  if (command.method == "integrated") chosen.attribute = explain::attribution_kind::integrated;
  if (command.method == "direct") chosen.sites = {"attn_out", "mlp_out"};
  if (command.method == "logit-lens") chosen.sites = {"resid_post"};
  if (command.curve and command.method != "logit-lens") chosen.sites = {"attn_out", "mlp_out"};
  if (command.sites)
    chosen.sites = *command.sites;
  else if (chosen.per_head)
    chosen.sites.push_back("attn_z");
  if (command.positions == "from_end") chosen.positions = positions::from_end();
  if (command.positions == "shared") chosen.positions = positions::shared();
  if (command.positions == "role") {
    std::set<std::string> roles(command.roles.begin(), command.roles.end());
    for (const auto& p : prompts)
      for (const auto& [role, span] : p.roles)
        if (command.roles.empty()) roles.insert(role);
    if (roles.empty())
      throw error(error_kind::bad_data, "the prompts have no roles; give them \"roles\", or use other --positions");
    chosen.positions = positions::role({roles.begin(), roles.end()});
  }
  return chosen;
}

ordered_json number(double x) { return std::isnan(x) ? ordered_json() : ordered_json(x); }

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

/// The size of an intervention's parameters at each place of a map, 0 where it has none.
std::vector<double> sizes_at(const explain::place_map& map, const parameters& fit, const std::string& name) {
  std::vector<double> sizes(map.scores.size());
  bool shares_sites = false;
  for (const auto& own : map.places.blocks)
    for (const auto& theirs : fit.layout.blocks) {
      if (theirs.site != own.site) continue;
      shares_sites = true;
      if (theirs.positions.by() != own.positions.by() or theirs.positions.roles() != own.positions.roles())
        throw error(error_kind::mismatch, name + " has " + theirs.positions.text() +
                                              " positions, but the scores have " + own.positions.text() +
                                              "; give the same --positions and --roles");
      for (std::size_t k = 0; k < theirs.layers.size(); ++k)
        for (index_t i = 0; i < std::min(own.positions.count(), theirs.positions.count()); ++i)
          for (index_t part = 0; own.layer_offset(theirs.layers[k]) >= 0 and part < theirs.parts; ++part) {
            const auto place = static_cast<std::size_t>(own.layer_offset(theirs.layers[k]) + i * own.parts +
                                                        (own.parts > 1 ? part : 0));
            for (const double x : fit.record(theirs, static_cast<index_t>(k), i, part))
              sizes[place] = std::hypot(sizes[place], x);
          }
    }
  if (not shares_sites)
    throw error(error_kind::mismatch, name + " intervenes at none of the sites that are scored; give its --sites");
  return sizes;
}

/// The agreement with a fit, its overlap being that of the places that the fit has kept, or of ten if it has kept all.
ordered_json agreement_with(const explain::place_map& map, const parameters& fit, const std::string& name,
                            std::vector<report::fact>& figures) {
  const auto sizes = sizes_at(map, fit, "'" + name + "'");
  const auto kept = static_cast<std::size_t>(std::ranges::count_if(sizes, [](double x) { return x != 0; }));
  const auto agreed =
      compare_rankings(map.per_prompt, sizes, kept < sizes.size() ? kept : std::min<std::size_t>(10, kept));
  figures.push_back({"with " + name, "Spearman " + rounded(agreed.spearman.value) + ", Kendall " +
                                         rounded(agreed.kendall.value) + ", " + rounded(agreed.overlap.value) +
                                         " of the first " + std::to_string(agreed.k)});
  ordered_json one = {{"with", name}};
  const auto add = [&](const std::string& key, const with_interval& x) {
    one[key] = x.value;
    one[key + "_interval"] = {x.low, x.high};
  };
  add("spearman", agreed.spearman);
  add("kendall", agreed.kendall);
  add("overlap", agreed.overlap);
  one["k"] = agreed.k;
  return one;
}

std::string text_of(const with_interval& x) {
  return rounded(x.value) + ", 95 % interval " + rounded(x.low) + " to " + rounded(x.high);
}

ordered_json numbers(const std::vector<double>& values) {
  auto all = ordered_json::array();
  for (const double x : values) all.push_back(number(x));
  return all;
}

ordered_json to_json(const explain::ranking_curve& curve) {
  return {{"kept", curve.by_size.kept},
          {"faithfulness", numbers(curve.by_size.faithfulness)},
          {"faithfulness_by_score", numbers(curve.by_score.faithfulness)},
          {"cpr", number(curve.cpr.value)},
          {"cpr_interval", {number(curve.cpr.low), number(curve.cpr.high)}},
          {"cmd", number(curve.cmd.value)},
          {"cmd_interval", {number(curve.cmd.low), number(curve.cmd.high)}},
          {"random",
           {{"mean", numbers(curve.random_mean)},
            {"low", numbers(curve.random_low)},
            {"high", numbers(curve.random_high)}}}};
}

constexpr std::string_view about_places =
    "Places of a model, each a site, a layer and a position, by how far they decide the answer. The logit difference "
    "is "
    "that between the correct and the wrong answer.";

std::string quantity_of(const explain::place_map& map) {
  if (map.method == "patching") return "share of the gap";
  return map.metric == "logit-diff" ? "logit difference" : map.metric;
}

}  // namespace

output explain(const explain_command& command, const common_options& common) {
  require_writable(command.report);
  require_heatmap(command.heatmap);
  const auto model = load_model(command.model, common);
  const auto prompts = read_explained(*model, command.data, needs_corrupt(command.method));
  const auto chosen = options_for(command, prompts);
  const stopwatch time;
  const auto map = model->explain(command.method, prompts, chosen);
  note(common, "scored " + std::to_string(map.places.size()) + " places on " + std::to_string(prompts.size()) +
                   " prompts in " + time.text());
  for (const auto& warning : map.warnings) warn(warning);

  const auto& key = map.places.blocks.front().positions;
  const auto layers = model->config().layers;
  output found;
  found.json = {{"method", map.method},
                {"metric", map.metric},
                {"prompts", prompts.size()},
                {"clean", map.clean},
                {"corrupt", number(map.corrupt)}};
  found.json["scores"] =
      places_of(map.places, layers, all_positions(key), [&](std::size_t i) { return number(map.scores[i]); });
  found.json["counts"] =
      places_of(map.places, layers, all_positions(key), [&](std::size_t i) { return map.counts[i]; });
  if (command.per_prompt) {
    found.json["per_prompt"] = ordered_json::array();
    for (std::size_t n = 0; n < prompts.size(); ++n)
      found.json["per_prompt"].push_back(places_of(map.places, layers, positions_in(key, prompts[n]),
                                                   [&](std::size_t i) { return number(map.per_prompt[n][i]); }));
  }
  if (not map.addends.empty()) {
    found.json["addends"] = ordered_json::object();
    for (const auto* name : {"embedding", "position_embedding", "constant"})
      found.json["addends"][name] = map.addends.at(name);
  }
  if (not map.lens.empty()) found.json["lens"] = lens_of(map, layers);

  std::vector<report::fact> figures = {
      {"model", command.model.string()},
      {"data", command.data.task.empty() ? command.data.train.string() : command.data.task},
      {"prompts", std::to_string(prompts.size())},
      {"method", map.method},
      {map.metric + ", clean", rounded(map.clean)}};
  if (not std::isnan(map.corrupt)) figures.push_back({map.metric + ", corrupt", rounded(map.corrupt)});
  for (const auto& [name, share] : map.addends) figures.push_back({name, rounded(share)});

  if (not command.against.empty()) found.json["agreement"] = ordered_json::array();
  for (const auto& file : command.against)
    found.json["agreement"].push_back(
        agreement_with(map, read_steering(*model, file, common).values, file.string(), figures));
  if (command.curve) {
    const auto curve = model->curve_of(map, prompts, chosen);
    found.json["curve"] = to_json(curve);
    figures.push_back({"CPR", text_of(curve.cpr)});
    figures.push_back({"CMD", text_of(curve.cmd)});
  }
  for (const auto& [name, value] : figures) found.text += columns({name, value});
  found.json["warnings"] = map.warnings;

  report::map_group group{map.method, "The score of each place.", quantity_of(map), {}};
  const auto names = model->names_of(key, prompts);
  for (const auto& block : map.places.blocks)
    group.maps.push_back(
        report::in_reading_order(report::map_of(parameters{map.places, map.scores}, block, names), key));
  if (not common.quiet)
    for (const auto& one : group.maps)
      found.text += "\n" + report::text_of(one, report::wants_colour(STDOUT_FILENO), report::width_of(STDOUT_FILENO));
  const report::fit_report shown{.name = map.method, .asked = figures, .maps = {group}};
  const auto title = map.method + " on " + name_of(command.model);
  if (not command.report.empty()) report::write_html(command.report, title, {{title, {shown}}}, about_places);
  write_reports({shown}, title, {}, command.heatmap);
  return found;
}

}  // namespace trimtab::cli
