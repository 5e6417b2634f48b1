// SPDX-License-Identifier: Apache-2.0

#include "asked.hpp"
#include "commands.hpp"
#include "data.hpp"
#include "figures.hpp"
#include "interrupt.hpp"
#include "memory.hpp"
#include "objective_of_file.hpp"
#include "plan.hpp"
#include "provenance.hpp"
#include "talk.hpp"

#include <trimtab/io/files/input_file.hpp>
#include <trimtab/io/intervention_file.hpp>
#include <trimtab/measure/intervals.hpp>
#include <trimtab/report/table.hpp>
#include <trimtab/report/terminal/progress.hpp>
#include <trimtab/report/terminal/terminal.hpp>
#include <trimtab/report/text.hpp>
#include <trimtab/text/joined.hpp>
#include <trimtab/text/utf8.hpp>
#include <trimtab/train/checkpoint.hpp>

#include <optional>
#include <span>

/// `trimtab certify`: whether an intervention is a minimum of its objective, and which of its places are needed.

namespace trimtab::cli {

namespace {

ordered_json json_of(const explain::kept_place& place, bool has_heads) {
  ordered_json json = {{"site", place.site}, {"layer", place.layer}, {"position", place.position}};
  if (has_heads) json["head"] = place.part;
  return json;
}

bool has_heads(const explain::kept_place& place) {
  return site::table[*site::find(place.site)].rows == site_rows::head;
}

ordered_json difference(const std::vector<double>& without, const std::vector<double>& whole) {
  const auto change = paired_difference(without, whole);
  const auto within = around(change);
  if (std::isnan(change.standard_error)) return {{"mean", change.mean}, {"interval", nullptr}};
  return {{"mean", change.mean}, {"interval", {within.low, within.high}}};
}

/// The figures without a place, and how they differ from those of the whole fit.
ordered_json json_of(const explain::left_out& one, const explain::certificate& found, const parameters& values) {
  const auto& place = found.places[one.place];
  auto json = json_of(place, has_heads(place));
  const auto numbers = std::span(values.theta).subspan(place.first, place.count);
  json["value"] =
      numbers.size() == 1 ? ordered_json(numbers.front()) : ordered_json(std::vector(numbers.begin(), numbers.end()));
  const auto figures = to_json(one.without);
  for (const auto* key :
       {"flip_rate", "flip_rate_interval", "logit_diff", "logit_diff_error", "kl_masked", "kl_masked_error"})
    json[key] = figures[key];
  auto flips = ordered_json::object(), diffs = flips;
  for (const double beta : found.whole.strengths) {
    flips[strength_text(beta)] = difference(each_prompt(one.without, beta, &strength_metrics::flip_rate),
                                            each_prompt(found.whole, beta, &strength_metrics::flip_rate));
    diffs[strength_text(beta)] = difference(each_prompt(one.without, beta, &strength_metrics::logit_diff),
                                            each_prompt(found.whole, beta, &strength_metrics::logit_diff));
  }
  json["change"] = {{"flip_rate", flips},
                    {"logit_diff", diffs},
                    {"kl_masked", difference(each_prompt(one.without, &strength_metrics::kl_masked),
                                             each_prompt(found.whole, &strength_metrics::kl_masked))}};
  json["necessary"] = one.necessary;
  return json;
}

/// Of the tokens that share a record: " position 3", " last token", " 2 before the last", " role io", and none for all.
std::string tokens_of(const position_key& key, index_t record) {
  switch (key.by()) {
    case position_key::kind::absolute: return " position " + std::to_string(record);
    case position_key::kind::from_end:
      return record == 0 ? " last token" : " " + std::to_string(record) + " before the last";
    case position_key::kind::role: return " role " + key.roles()[static_cast<std::size_t>(record)];
    case position_key::kind::shared: break;
  }
  return "";
}

std::string text_of(const explain::kept_place& place, const parameter_layout& layout) {
  const auto block = std::ranges::find_if(layout.blocks, [&](const auto& one) {
    return one.site == place.site and one.offset <= static_cast<index_t>(place.first) and
           static_cast<index_t>(place.first) < one.offset + one.size();
  });
  return place.site + " layer " + std::to_string(place.layer) + tokens_of(block->positions, place.position) +
         (has_heads(place) ? " head " + std::to_string(place.part) : "");
}

/// What is proved and what is not.
std::string text_of(const explain::certificate& found, const stationarity& s, const parameter_layout& layout) {
  using report::number;
  std::string text = std::string("Is it a stationary point of its objective, as a minimum is? ") +
                     (s.is_stationary() ? "Yes" : "No") + ": the largest violation of the conditions is " +
                     rounded(s.largest) + " of λ = " + rounded(s.lambda) + ", the mean " + rounded(s.mean) + "; " +
                     number(100 * s.satisfied, 1) + " % of them hold within 1 %, and " + std::to_string(s.at_kink) +
                     " terms are at the hinge's kink, where its slope may be anything from 0 to 1.\n\n";
  std::vector<std::string> header{"without"};
  for (const double beta : found.whole.strengths) header.push_back("flip " + strength_text(beta) + " [95 %]");
  header.insert(header.end(), {"KL masked", "needed beside the others"});
  report::table table(header);
  const auto add = [&](const std::string& name, const metrics& m, const std::string& verdict) {
    std::vector<std::string> cells{name};
    for (const double beta : m.strengths)
      cells.push_back(beta == 0 ? "-"
                                : number(m.at.at(beta).flip_rate, 3) + " [" +
                                      report::text_of(wilson(m.at.at(beta).flip_rate, m.prompts)) + "]");
    cells.push_back(rounded(m.kl_masked));
    cells.push_back(verdict);
    table.add(cells);
  };
  add("nothing", found.whole, "");
  for (const auto& one : found.leave_one_out)
    add(text_of(found.places[one.place], layout), one.without, one.necessary ? "yes" : "no");
  text += table.text(report::wants_colour(STDOUT_FILENO)) + "A place is needed if a flip rate falls below " +
          number(100 * found.target, 1) + " % of what it is with all of them.\n\n";
  const auto& subsets = found.subsets;
  const auto size = subsets.smallest.front().size();
  const auto target = number(100 * found.target, 1) + " % of these flip rates";
  text += subsets.exact ? "Of all " + std::to_string(subsets.considered) +
                              " subsets of the kept places, the smallest "
                              "that reach " +
                              target + " have " + report::counted(size, "place") + ":\n"
                        : "Taking away one place after another, " + report::counted(size, "place") +
                              (size == 1 ? " still reaches " : " still reach ") + target +
                              ". That is an upper bound; smaller sets were not ruled out:\n";
  for (const auto& set : subsets.smallest)
    text += "  " +
            (set.empty() ? std::string("none")
                         : text::joined(set, "; ", [&](std::size_t k) { return text_of(found.places[k], layout); })) +
            "\n";
  return text +
         "\nAll this holds on these prompts, and for the values and places that the fit kept: other values at "
         "fewer places may do as well.\n";
}

}  // namespace

output certify(const certify_command& command, const common_options& common) {
  const auto model = load_model(command.model, common);
  require_writable(command.out);
  auto [file, composition, values] = read_steering(*model, command.intervention, common);
  if (not command.data.test.empty()) warn("certify measures the train prompts; --test is not used");
  const auto objective = objective_of(file, command.intervention, command.objective, unsaid::is_an_error);
  const auto sets = read_data(*model, command.data, seed_of(command.data, file, command.intervention), file.keys());
  const auto& prompts = sets.front().pairs;
  if (not command.polish and is_of_other_prompts(file.made, prompts))
    warn("'" + command.intervention.string() +
         "' was fitted on other prompts than these, so it need not be a minimum here");
  // The objective is that of the fit, with the prompts that it retained; places are measured on those to steer.
  const auto stays =
      retained_in_fit(file, command.intervention, command.data.retain, command.objective, unsaid::is_an_error);
  const auto fitted_on = with_retained(prompts, read_retained(*model, stays, file.keys(), prompts));
  if (common.precision != arithmetic::in_double)
    note(common, "in float, violations are known to about 1e-4; --precision double is exact");
  const index_t memory = left_for_work(command.memory, common);
  require_gradient_pass(model->config(), values.layout, fitted_on, objective, common, memory);
  std::optional<polished> better;
  if (command.polish) {
    const interrupt_watch watch("polishing ends within this step");
    better = polish_until_ended(*composition, values, fitted_on, objective, command.polish_steps, common);
    values = better->values;
    auto made = file.made;
    made["polish_steps"] = std::to_string(better->steps);
    made["train_prompts"] = trimtab::detail::text_of(std::span<const prompt_pair>(prompts));
    if (not stays.empty()) made["retain"] = stays.string();
    if (command.objective.lambda_m) made.erase("lambda_m_share");
    made.erase("arguments");  // no command goes on from a file, so none repeats this
    say(objective, not stays.empty(), made);
    if (not command.out.empty()) io::write_intervention(command.out, composition->make_file(values, std::move(made)));
    if (const int signal = interrupt_watch::signal(); signal != 0) {
      tell("ended by " + interrupt_watch::name_of(signal) + " after " +
           counted(static_cast<std::size_t>(better->steps), "step") + " of polishing" +
           (command.out.empty() ? "" : ", which are in '" + command.out.string() + "'"));
      return {.json = {{"polish", to_json(*better)}, {"interrupted", true}},
              .status = interrupt_watch::status_of(signal)};
    }
  }
  const auto s = composition->stationary(values, fitted_on, objective);
  std::optional<report::progress_bar> bar;
  index_t total = 0;
  const auto found = composition->certify(values, prompts,
                                          {.target = command.target,
                                           .exhaustive_up_to = command.subsets,
                                           .strengths = objective.strengths,
                                           .progress =
                                               [&](index_t done, index_t all) {
                                                 if (all != total)
                                                   bar.emplace("certify", total = all, not common.quiet);
                                                 bar->show(done);
                                               },
                                           .memory = memory});
  bar.reset();

  output result;
  result.json["stationarity"] = {{"lambda", s.lambda},
                                 {"largest", s.largest},
                                 {"mean", s.mean},
                                 {"satisfied", s.satisfied},
                                 {"at_kink", s.at_kink}};
  if (better) result.json["polish"] = to_json(*better);
  result.json["whole"] = to_json(found.whole);
  result.json["leave_one_out"] = ordered_json::array();
  for (const auto& one : found.leave_one_out) result.json["leave_one_out"].push_back(json_of(one, found, values));
  const auto places = [&](const explain::place_set& set) {
    auto list = ordered_json::array();
    for (const std::size_t k : set) list.push_back(json_of(found.places[k], has_heads(found.places[k])));
    return list;
  };
  auto smallest = ordered_json::array();
  for (const auto& set : found.subsets.smallest) smallest.push_back(places(set));
  result.json["subsets"] = {{"considered", found.subsets.considered},
                            {"target", found.target},
                            {"smallest", smallest},
                            {"exact", found.subsets.exact}};
  result.json["claim"] =
      "holds on these prompts, for the values and places that the fit kept; other values at fewer places may do as "
      "well";
  result.text = text_of(found, s, values.layout);
  return result;
}

}  // namespace trimtab::cli
