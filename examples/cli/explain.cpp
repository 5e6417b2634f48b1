// SPDX-License-Identifier: Apache-2.0

#include "commands.hpp"
#include "data.hpp"
#include "explained.hpp"
#include "figures.hpp"
#include "memory.hpp"
#include "path_entries.hpp"
#include "ranks.hpp"
#include "report.hpp"
#include "talk.hpp"

#include <trimtab/core/error.hpp>
#include <trimtab/explain/agreement.hpp>
#include <trimtab/report/page/html.hpp>
#include <trimtab/report/picture/heat_map_csv.hpp>
#include <trimtab/report/picture/heat_map_svg.hpp>
#include <trimtab/report/table.hpp>
#include <trimtab/report/terminal/terminal.hpp>
#include <trimtab/report/terminal/terminal_map.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

/// `trimtab explain`: where in the model an answer is decided, by several methods.

namespace trimtab::cli {

namespace {

bool needs_corrupt(const std::string& method) {
  return method == "attribution-patching" or method == "integrated" or method == "patching";
}

/// Of sites that were asked of several methods, those that this one scores; all if it scores none, so that it says so.
std::vector<std::string> sites_for(const std::string& method, const std::vector<std::string>& asked) {
  const bool reads_stream = method == "logit-lens";
  if (not reads_stream and method != "direct") return asked;
  auto scored = asked;
  std::erase_if(scored, [&](const std::string& site) {
    return reads_stream ? site != "resid_post" : site != "attn_out" and site != "mlp_out" and site != "attn_z";
  });
  return scored.empty() ? asked : scored;
}

explain::options options_for(const explain_command& command, const common_options& common, const std::string& method,
                             std::span<const prompt_pair> prompts) {
  const bool alone = command.methods.size() == 1;
  auto chosen = command.chosen;
  const index_t left = left_for_work(command.memory, common);
  if (command.memory or (left > 0 and left < explain::usual_memory)) chosen.memory = left;
  chosen.ranks = all_ranks();
  chosen.seed = command.data.seed.value_or(1);
  if (method == "gradient") chosen.attribute = explain::attribution_kind::gradient;
  if (method == "integrated") chosen.attribute = explain::attribution_kind::integrated;
  if (method == "direct" or (command.curve and method != "logit-lens")) chosen.sites = {"attn_out", "mlp_out"};
  if (method == "logit-lens") {
    chosen.sites = {"resid_post"};
    chosen.per_head = chosen.per_head and alone;
  }
  if (command.sites)
    chosen.sites = alone ? *command.sites : sites_for(method, *command.sites);
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

/// Methods on the same prompts, one after another.
class explanation {
 public:
  explanation(const explain_command& command, const common_options& common, const any_model& model)
      : command_(command),
        common_(common),
        model_(model),
        prompts_(read_explained(model, command.data, std::ranges::any_of(command.methods, needs_corrupt))) {
    for (const auto& name : command.against)
      fits_.push_back(std::filesystem::is_directory(name) ? entries_on_path(model, name, common)
                                                          : read_steering(model, name, common).values);
    if (command.holdout.empty()) return;
    const bool has_corrupt = std::ranges::any_of(prompts_, [](const auto& p) { return not p.corrupt_ids.empty(); });
    held_out_ = read_explained(model, {.train = command.holdout, .only = command.data.only}, has_corrupt);
  }

  output run() {
    score_all();
    for (const auto& warning : left_out_) warn(warning);
    for (const auto& one : methods_) shown_.methods.push_back(one.shown);
    if (methods_.size() > 1) compare();
    output found = alone() ? one_method() : several_methods();
    if (all_ranks().size() > 1) found.json["ranks"] = prompts_of_ranks(prompts_.size());
    if (not common_.quiet)
      for (const auto& one : methods_) {
        auto group = one.shown.maps.front();
        for (auto& map : group.maps)
          if (not alone()) map.title += ", " + one.map.method;
        found.text += report::text_of(group, report::wants_colour(STDOUT_FILENO), report::width_of(STDOUT_FILENO));
      }
    write();
    return found;
  }

 private:
  bool alone() const { return command_.methods.size() == 1; }

  /// Of all methods, those that can.
  void score_all() {
    std::optional<error> problem;
    for (const auto& method : command_.methods) {
      try {
        methods_.push_back(score(method));
      } catch (const error& cannot) {
        if (not command_.all_methods or cannot.kind() != error_kind::bad_argument) throw;
        if (not problem) problem.emplace(cannot);
        left_out_.push_back(method + " is left out: " + cannot.what());
      }
    }
    if (methods_.empty()) throw error(*problem);
  }

  explained score(const std::string& method) {
    const stopwatch time;
    explained one{.chosen = options_for(command_, common_, method, prompts_)};
    one.map = model_.explain(method, prompts_, one.chosen);
    note(common_, method + " scored " + counted(static_cast<std::size_t>(one.map.places.size()), "place") + " on " +
                      counted(prompts_.size(), "prompt") + " in " + time.text());
    for (const auto& warning : one.map.warnings) warn(warning);
    one.json = json_of(one.map, prompts_, model_.config().layers, command_.per_prompt);

    auto& facts = one.shown.asked;
    facts = {{"model", command_.model.string()},
             {"data", command_.data.task.empty() ? command_.data.train.string() : command_.data.task},
             {"prompts", std::to_string(prompts_.size())},
             {"method", method},
             {one.map.metric + ", clean", rounded(one.map.clean)}};
    if (not std::isnan(one.map.corrupt)) facts.push_back({one.map.metric + ", corrupt", rounded(one.map.corrupt)});
    for (const auto& [name, share] : one.map.addends) facts.push_back({name, rounded(share)});
    if (not command_.against.empty()) compare_with_fits(one);
    if (command_.curve and (method != "logit-lens" or alone())) draw_curve(one);
    one.json["warnings"] = one.map.warnings;
    one.shown.name = method;
    one.shown.maps = {maps_of(one.map, model_.names_of(one.map.places.blocks.front().positions, prompts_), model_)};
    return one;
  }

  void compare_with_fits(explained& one) {
    one.json["agreement"] = ordered_json::array();
    for (std::size_t k = 0; k < fits_.size(); ++k) {
      const auto& file = command_.against[k];
      const auto& fit = fits_[k];
      if (not alone() and not shares_site(one.map, fit)) continue;  // another method may
      const auto agreed = agreement_with_fit(one.map, fit, file.string());
      auto& json = one.json["agreement"].emplace_back(ordered_json{{"with", file.string()}});
      add_agreement(agreed, json);
      one.with_fits.emplace_back(file.string(), agreed);
      one.shown.asked.push_back({"with " + file.string(), "Spearman " + text_of(agreed.spearman) + ", Kendall " +
                                                              text_of(agreed.kendall) + ", " + text_of(agreed.overlap) +
                                                              " of the first " + std::to_string(agreed.k)});
    }
  }

  void draw_curve(explained& one) {
    // Random orders depend on the places alone.
    const auto same = std::ranges::find_if(
        methods_, [&](const explained& other) { return other.curve and other.map.places == one.map.places; });
    constexpr int random_orders = 100;
    try {
      one.curve = model_.curve_of(one.map, prompts_, held_out_, one.chosen, same == methods_.end() ? random_orders : 0);
    } catch (const error& problem) {
      if (held_out_.empty() or problem.kind() == error_kind::bad_argument) throw;
      throw error(problem.kind(), "'" + command_.holdout.string() + "': " + problem.what());
    }
    if (same != methods_.end()) {
      one.curve->random_mean = same->curve->random_mean;
      one.curve->random_low = same->curve->random_low;
      one.curve->random_high = same->curve->random_high;
    }
    one.json["curve"] = json_of(*one.curve);
    if (not held_out_.empty()) one.shown.asked.push_back({"held out", command_.holdout.string()});
    one.shown.asked.push_back({"CPR", text_of(one.curve->cpr)});
    one.shown.asked.push_back({"CMD", text_of(one.curve->cmd)});
    shown_.curves.push_back({one.map.method, one.curve->by_size, one.curve->cpr, one.curve->cmd});
    if (shown_.random_mean.empty()) {
      shown_.random_mean = one.curve->random_mean;
      shown_.random_low = one.curve->random_low;
      shown_.random_high = one.curve->random_high;
    }
  }

  /// Every pair of methods.
  void compare() {
    for (std::size_t i = 0; i < methods_.size(); ++i)
      for (std::size_t j = i + 1; j < methods_.size(); ++j) {
        const auto &a = methods_[i], &b = methods_[j];
        if (const auto agreed = explain::agreement_of(a.map, b.map))
          shown_.agreement.push_back({a.map.method, b.map.method, agreed->places, agreed->rankings});
        if (not a.curve or not b.curve) continue;
        const auto difference = explain::difference_of(*a.curve, *b.curve, a.chosen.seed);
        shown_.differences.push_back({a.map.method, b.map.method, difference.cpr, difference.cmd});
      }
  }

  output one_method() {
    output found;
    found.json = methods_.front().json;
    for (const auto& [name, value] : methods_.front().shown.asked) found.text += columns({name, value});
    return found;
  }

  output several_methods() {
    output found;
    auto& json = found.json;
    json["prompts"] = prompts_.size();
    json["methods"] = ordered_json::array();
    for (const auto& one : methods_) json["methods"].push_back(one.json);
    const bool colour = report::wants_colour(STDOUT_FILENO);
    report::table methods({"method", "clean", "corrupt", "CPR [95 %]", "CMD [95 %]"});
    for (const auto& one : methods_)
      methods.add({one.map.method, rounded(one.map.clean), std::isnan(one.map.corrupt) ? "-" : rounded(one.map.corrupt),
                   one.curve ? text_of(one.curve->cpr) : "-", one.curve ? text_of(one.curve->cmd) : "-"});
    found.text = methods.text(colour);

    json["agreement"] = ordered_json::array();
    report::table agreement({"rankings", "places", "Spearman [95 %]"});
    for (const auto& pair : shown_.agreement) {
      auto& one =
          json["agreement"].emplace_back(ordered_json{{"between", {pair.first, pair.second}}, {"places", pair.places}});
      add_agreement(pair.rankings, one);
      agreement.add({pair.first + ", " + pair.second, std::to_string(pair.places), text_of(pair.rankings.spearman)});
    }
    if (not shown_.agreement.empty()) found.text += "\n" + agreement.text(colour);
    report::table with_fits({"ranking", "fit", "Spearman [95 %]", "Kendall [95 %]", "of the first", "[95 %]"});
    for (const auto& one : methods_)
      for (const auto& [file, agreed] : one.with_fits)
        with_fits.add({one.map.method, file, text_of(agreed.spearman), text_of(agreed.kendall),
                       std::to_string(agreed.k), text_of(agreed.overlap)});
    if (not fits_.empty()) found.text += "\n" + with_fits.text(colour);
    if (not shown_.differences.empty()) {
      json["differences"] = ordered_json::array();
      report::table differences({"curves", "CPR [95 %]", "CMD [95 %]"});
      for (const auto& pair : shown_.differences) {
        auto& one = json["differences"].emplace_back(ordered_json{{"between", {pair.first, pair.second}}});
        add_interval("cpr", pair.cpr, one);
        add_interval("cmd", pair.cmd, one);
        differences.add({pair.first + " − " + pair.second, text_of(pair.cpr), text_of(pair.cmd)});
      }
      found.text += "\n" + differences.text(colour);
    }
    json["warnings"] = left_out_;
    return found;
  }

  void write() const {
    constexpr std::string_view about =
        "Places of a model, each a site, a layer and a position, by how far they decide the answer. The logit "
        "difference is that between the correct and the wrong answer.";
    auto on_page = shown_;
    on_page.methods.front().asked.insert(on_page.methods.front().asked.begin(), {"command", common_.typed});
    const auto& fits = shown_.methods;
    const auto title =
        (alone() ? fits.front().name : std::to_string(fits.size()) + " methods") + " on " + name_of(command_.model);
    if (not command_.report.empty())
      report::write_html(command_.report, title,
                         {alone() ? report::chapter{title, on_page.methods, curves_of(shown_)}
                                  : report::chapter{title, {}, html_of(on_page, "1")}},
                         about);
    std::vector<report::line_chart> charts;
    if (not shown_.curves.empty()) charts.push_back(faithfulness_chart(shown_));
    write_picture(command_.heatmap, {[&](double width) {
                                       return report::svg_of(title, alone() ? fits.front().maps : maps_of(shown_),
                                                             width, charts);
                                     },
                                     [&] { return report::csv_of(fits); }, [&] { return json_of(fits); }});
  }

  const explain_command& command_;
  const common_options& common_;
  const any_model& model_;
  std::vector<prompt_pair> prompts_, held_out_ = {};
  std::vector<parameters> fits_ = {};  ///< that --against names
  std::vector<explained> methods_ = {};
  std::vector<std::string> left_out_ = {};
  report::explain_report shown_ = {};
};

}  // namespace

output explain(const explain_command& command, const common_options& common) {
  require_writable(command.report);
  require_heatmap(command.heatmap);
  const auto model = load_model(command.model, common);
  if (not command.heads.empty()) return attention(command, common, *model);
  return explanation(command, common, *model).run();
}

}  // namespace trimtab::cli
