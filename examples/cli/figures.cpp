// SPDX-License-Identifier: Apache-2.0

#include "figures.hpp"

#include "data.hpp"
#include "interrupt.hpp"
#include "ranks.hpp"

#include <trimtab/measure/intervals.hpp>
#include <trimtab/measure/untouched.hpp>
#include <trimtab/report/table.hpp>
#include <trimtab/report/terminal/progress.hpp>
#include <trimtab/report/terminal/terminal.hpp>
#include <trimtab/text/joined.hpp>
#include <trimtab/text/utf8.hpp>

#include <range/v3/range/conversion.hpp>
#include <range/v3/view/concat.hpp>
#include <range/v3/view/filter.hpp>
#include <range/v3/view/map.hpp>
#include <range/v3/view/reverse.hpp>
#include <range/v3/view/single.hpp>

#include <cmath>
#include <cstdio>

namespace trimtab::cli {

namespace {

/// The strengths in the order of a table: 0 (the untouched model), then from the largest to the smallest.
std::vector<double> order_of(const metrics& m) {
  namespace views = ranges::views;
  const auto steers = [](double strength) { return strength != 0; };
  return views::concat(views::single(0.0), m.at | views::keys | views::reverse | views::filter(steers)) |
         ranges::to<std::vector>();
}

}  // namespace

ordered_json to_json(const interval& i) { return {i.low, i.high}; }

ordered_json to_json(const metrics& m) {
  auto flip_rate = ordered_json::object();
  auto logit_diff = flip_rate, correct = flip_rate, wrong = flip_rate, kl_masked = flip_rate, kl_full = flip_rate;
  auto flip_rate_interval = flip_rate, logit_diff_error = flip_rate, correct_error = flip_rate, wrong_error = flip_rate;
  const auto error_of = [](const std::vector<double>& values) {
    const auto error = mean_of(values).standard_error;
    return std::isnan(error) ? ordered_json() : ordered_json(error);
  };
  for (const double strength : order_of(m)) {
    const auto& at = m.at.at(strength);
    const auto key = strength_text(strength);
    if (strength != 0) {
      flip_rate[key] = at.flip_rate;
      flip_rate_interval[key] = to_json(wilson(at.flip_rate, m.prompts));
      kl_masked[key] = at.kl_masked;
      kl_full[key] = at.kl_full;
    }
    logit_diff[key] = at.logit_diff;
    logit_diff_error[key] = error_of(each_prompt(m, strength, &strength_metrics::logit_diff));
    correct[key] = at.probability_correct;
    correct_error[key] = error_of(each_prompt(m, strength, &strength_metrics::probability_correct));
    wrong[key] = at.probability_wrong;
    wrong_error[key] = error_of(each_prompt(m, strength, &strength_metrics::probability_wrong));
  }
  flip_rate["both"] = m.flip_rate_both;
  flip_rate_interval["both"] = to_json(wilson(m.flip_rate_both, m.prompts));
  return {{"prompts", m.prompts},
          {"flip_rate", flip_rate},
          {"flip_rate_interval", flip_rate_interval},
          {"logit_diff", logit_diff},
          {"logit_diff_error", logit_diff_error},
          {"probability", {{"correct", correct}, {"wrong", wrong}}},
          {"probability_error", {{"correct", correct_error}, {"wrong", wrong_error}}},
          {"kl_masked", m.kl_masked},
          {"kl_masked_error", error_of(each_prompt(m, &strength_metrics::kl_masked))},
          {"kl_full", m.kl_full},
          {"kl_full_error", error_of(each_prompt(m, &strength_metrics::kl_full))},
          {"kl_by_strength", {{"masked", kl_masked}, {"full", kl_full}}},
          {"top_other_same", m.top_other_same},
          {"top_other_same_error", error_of(each_prompt(m, &strength_metrics::top_other_same))}};
}

std::string rounded(double value) {
  char digits[64];
  std::snprintf(digits, sizeof digits, "%.4g", value);
  return digits;
}

std::string columns(const std::vector<std::string>& cells) {
  std::string line;
  for (const auto& any : cells) {
    const auto cell = text::one_line(any);  // names and metadata come from files that may hold anything
    line += cell + std::string(cell.size() < 20 ? 20 - cell.size() : 1, ' ');
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return line + "\n";
}

std::string to_text(const std::string& name, const metrics& m) {
  using report::number;
  const auto bare = untouched_of(m);
  const auto rate = [&](double value) {
    return number(value, 3) + " [" + report::text_of(wilson(value, m.prompts)) + "]";
  };
  report::table table({"strength", "flip rate [95 %]", "logit diff", "p(correct)", "p(wrong)"});
  for (const double strength : order_of(m)) {
    const auto mean = [&](double strength_metrics::*figure, auto text) {
      return text(m.at.at(strength).*figure, 3) + " " +
             report::error_text(mean_of(each_prompt(m, strength, figure)), 3);
    };
    table.add({strength == 0 ? "0 (untouched)" : strength_text(strength),
               strength == 0 ? "-" : rate(m.at.at(strength).flip_rate), mean(&strength_metrics::logit_diff, number),
               mean(&strength_metrics::probability_correct, report::small_number),
               mean(&strength_metrics::probability_wrong, report::small_number)});
    if (strength != 0) continue;
    for (const double later : order_of(m))
      if (later != 0) table.add({"  before, " + strength_text(later), rate(bare.at.at(later).flip_rate)});
  }
  table.add({"every strength", rate(m.flip_rate_both)});
  table.add({"  before", rate(bare.flip_rate_both)});
  const auto error = [&](double strength_metrics::*figure, int digits) {
    return " " + report::error_text(mean_of(each_prompt(m, figure)), digits);
  };
  std::string against;
  for (const double strength : order_of(m)) {
    if (strength == 0) continue;
    const auto pairs = newly_flipped(m, strength);
    against += "at " + strength_text(strength) + " newly flipped " + std::to_string(pairs.gained) + ", lost " +
               std::to_string(pairs.lost) + " of " + std::to_string(pairs.prompts) + ": difference " +
               number(pairs.difference(), 3) + " [" + report::text_of(pairs.within()) + "]\n";
  }
  const auto at_each = [&](double strength_metrics::*figure) {
    std::vector<std::string> list;
    for (const double strength : order_of(m))
      if (strength != 0) list.push_back(rounded(m.at.at(strength).*figure) + " at " + strength_text(strength));
    return list.size() < 2 ? std::string() : ", " + text::joined(list, ", ");
  };
  const auto title = name + ", " + counted(static_cast<std::size_t>(m.prompts), "prompt");
  return report::styled(title, "1", report::wants_colour(STDOUT_FILENO)) + "\n" +
         table.text(report::wants_colour(STDOUT_FILENO)) + against + "KL without the answers " + rounded(m.kl_masked) +
         error(&strength_metrics::kl_masked, 4) + at_each(&strength_metrics::kl_masked) + "\nKL over all tokens " +
         rounded(m.kl_full) + error(&strength_metrics::kl_full, 4) + at_each(&strength_metrics::kl_full) +
         "\nbest other token the same " + number(m.top_other_same, 3) + error(&strength_metrics::top_other_same, 3) +
         "\n\n";
}

ordered_json terms_of(const loss_result& found) {
  ordered_json terms = {{"loss", found.loss},
                        {"effectiveness", found.effectiveness},
                        {"faithfulness", found.faithfulness},
                        {"minimality", found.minimality}};
  if (found.retention) terms["retention"] = *found.retention;
  if (found.norm_preservation) terms["norm_preservation"] = *found.norm_preservation;
  return terms;
}

ordered_json retention_json(const any_composition& composition, const parameters& values,
                            const std::vector<prompt_pair>& retained, const objective_options& objective,
                            const any_communicator& ranks, index_t memory) {
  return {{"prompts", retained.size()},
          {"kl_full", composition.loss(values, retained, objective, false, ranks, memory).retention.value_or(0)}};
}

void add_retention(const any_composition& composition, const parameters& values,
                   const std::vector<prompt_pair>& retained, const objective_options& objective, output& to,
                   const any_communicator& ranks, index_t memory) {
  const auto found = retention_json(composition, values, retained, objective, ranks, memory);
  to.json["retain"] = found;
  to.text += "retained, " + counted(retained.size(), "prompt") + ": KL over all tokens " +
             rounded(found["kl_full"].get<double>()) + "\n";
}

void add_counts(const parameter_counts& c, output& to) {
  to.json["parameters"] = c.parameters;
  to.json["nonzero_parameters"] = c.nonzero_parameters;
  to.json["nonzero_sites"] = c.nonzero_sites;
  to.json["l1"] = c.l1;
  to.text += "parameters: " + std::to_string(c.nonzero_parameters) + " of " + std::to_string(c.parameters) +
             (c.nonzero_parameters == 1 ? " is" : " are") + " not zero, at " + std::to_string(c.nonzero_sites) +
             " of " + counted(static_cast<std::size_t>(c.sites), "place") + "; l1 norm " + rounded(c.l1) + "\n";
}

ordered_json untouched_json(const metrics& m) {
  auto bare = to_json(untouched_of(m));
  bare["newly_flipped"] = ordered_json::object();
  for (const double strength : order_of(m)) {
    if (strength == 0) continue;
    const auto pairs = newly_flipped(m, strength);
    bare["newly_flipped"][strength_text(strength)] = {{"gained", pairs.gained},
                                                      {"lost", pairs.lost},
                                                      {"difference", pairs.difference()},
                                                      {"interval", to_json(pairs.within())}};
  }
  return bare;
}

void add_metrics(const std::string& name, const metrics& m, output& to) {
  to.json[name] = to_json(m);
  if (not to.json.contains("untouched")) to.json["untouched"] = ordered_json::object();
  to.json["untouched"][name] = untouched_json(m);
  to.text += to_text(name, m);
}

polished polish_until_ended(const any_composition& composition, const parameters& values,
                            std::span<const prompt_pair> prompts, const objective_options& objective, index_t most,
                            const common_options& common) {
  constexpr index_t smoothings = 6;  // of the hinge, each with as many steps as the options allow
  report::progress_bar progress("polish", most > 0 ? most : smoothings * polish_options{}.steps, not common.quiet);
  return composition.polish(values, prompts, objective, {.proceed = [&](index_t steps) {
                              progress.show(steps);
                              return (most == 0 or steps < most) and not any_rank(interrupt_watch::signal() != 0);
                            }});
}

ordered_json to_json(const polished& found) {
  return {{"steps", found.steps}, {"before", found.before.largest}, {"after", found.after.largest}};
}

}  // namespace trimtab::cli
