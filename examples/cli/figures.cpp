// SPDX-License-Identifier: Apache-2.0

#include "figures.hpp"

#include "data.hpp"

#include <trimtab/report/table.hpp>
#include <trimtab/report/terminal/terminal.hpp>
#include <trimtab/text/utf8.hpp>

#include <range/v3/range/conversion.hpp>
#include <range/v3/view/concat.hpp>
#include <range/v3/view/filter.hpp>
#include <range/v3/view/map.hpp>
#include <range/v3/view/reverse.hpp>
#include <range/v3/view/single.hpp>

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

ordered_json to_json(const metrics& m) {
  auto flip_rate = ordered_json::object();
  auto logit_diff = flip_rate, correct = flip_rate, wrong = flip_rate;
  for (const double strength : order_of(m)) {
    const auto& at = m.at.at(strength);
    const auto key = strength_text(strength);
    if (strength != 0) flip_rate[key] = at.flip_rate;
    logit_diff[key] = at.logit_diff;
    correct[key] = at.probability_correct;
    wrong[key] = at.probability_wrong;
  }
  flip_rate["both"] = m.flip_rate_both;
  return {{"prompts", m.prompts},
          {"flip_rate", flip_rate},
          {"logit_diff", logit_diff},
          {"probability", {{"correct", correct}, {"wrong", wrong}}},
          {"kl_masked", m.kl_masked},
          {"kl_full", m.kl_full},
          {"top_other_same", m.top_other_same}};
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
  report::table table({name + ", " + std::to_string(m.prompts) + " prompts", "flip rate", "logit difference",
                       "p(correct)", "p(wrong)"});
  for (const double strength : order_of(m)) {
    const auto& at = m.at.at(strength);
    table.add({"strength " + (strength == 0 ? "0 (untouched)" : strength_text(strength)),
               strength == 0 ? "-" : number(at.flip_rate, 3), number(at.logit_diff, 3),
               number(at.probability_correct, 3), number(at.probability_wrong, 3)});
  }
  table.add({"every strength", number(m.flip_rate_both, 3)});
  return table.text(report::wants_colour(STDOUT_FILENO)) + "KL without the answers " + rounded(m.kl_masked) +
         ", over all tokens " + rounded(m.kl_full) + "; best other token the same " + number(m.top_other_same, 3) +
         "\n\n";
}

void add_counts(const parameter_counts& c, output& to) {
  to.json["parameters"] = c.parameters;
  to.json["nonzero_parameters"] = c.nonzero_parameters;
  to.json["nonzero_sites"] = c.nonzero_sites;
  to.json["l1"] = c.l1;
  to.text += "parameters: " + std::to_string(c.nonzero_parameters) + " of " + std::to_string(c.parameters) +
             " are not zero, at " + std::to_string(c.nonzero_sites) + " of " + std::to_string(c.sites) +
             " places; l1 norm " + rounded(c.l1) + "\n";
}

void add_metrics(const std::string& name, const metrics& m, output& to) {
  to.json[name] = to_json(m);
  to.text += to_text(name, m);
}

}  // namespace trimtab::cli
