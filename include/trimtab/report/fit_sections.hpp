// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/report/fit_charts.hpp>
#include <trimtab/report/fit_report.hpp>
#include <trimtab/report/fit_tables.hpp>
#include <trimtab/report/heat_map_html.hpp>
#include <trimtab/report/text.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

/// The body of a page: for each chapter its tables and charts, for each fit its heat maps, and the prompts at the end.

namespace trimtab::report {

namespace detail {

inline std::string prompts_of(measured_set const& set) {
  constexpr std::size_t most = 200;
  std::string items;
  for (std::size_t i = 0; i < std::min(most, set.prompts.size()); ++i) {
    shown_prompt const& p = set.prompts[i];
    std::string tokens;
    for (std::string const& token : p.tokens) tokens += element_of_text("span", token, {{"class", "token"}});
    items += element("li", {},
                     tokens + element("span", {{"class", "answers"}},
                                      "correct " + element_of_text("span", p.correct, {{"class", "token"}}) +
                                          " wrong " + element_of_text("span", p.wrong, {{"class", "token"}}))) +
             "\n";
  }
  const std::string count = std::to_string(set.prompts.size());
  return element(
      "details", {},
      element_of_text("summary", "Prompts of " + set.name + ", token by token: " +
                                     (set.prompts.size() > most ? std::to_string(most) + " of " : "") + count) +
          element("ol", {{"class", "prompts"}}, "\n" + items));
}

inline std::string size_sentence(fit_report const& fit) {
  parameter_counts const& c = fit.counts;
  return std::to_string(c.nonzero_parameters) + " of " + std::to_string(c.parameters) +
         " parameters are not zero, at " + std::to_string(c.nonzero_sites) + " of " + std::to_string(c.sites) +
         " places; their ℓ1 norm is " + readable(c.l1) + ".";
}

/// `number` is "1.2" for the second fit of the first chapter.
inline std::string section_of(fit_report const& fit, std::string const& number) {
  std::string out =
      element_of_text("h3", fit.name) + element_of_text("p", size_sentence(fit), {{"class", "note"}}) + "\n";
  for (map_group const& group : fit.maps) out += html_of(group);
  if (not fit.sets.empty()) {
    const auto swept = std::ranges::find(fit.sets, fit.swept, &measured_set::name);
    if (swept != fit.sets.end()) out += html_of(pair_chart(*swept));
  }
  return element("section", {{"data-fit", number}}, out) + "\n";
}

/// The prompts of fits, once where fits have the same.
inline std::string all_prompts(std::vector<fit_report> const& fits) {
  std::string out;
  std::vector<measured_set const*> seen;
  for (fit_report const& fit : fits)
    for (measured_set const& set : fit.sets) {
      if (std::ranges::any_of(seen, [&](auto const* s) { return s->name == set.name and s->prompts == set.prompts; }))
        continue;
      seen.push_back(&set);
      out += prompts_of(set);
    }
  return out;
}

inline std::string section_of(chapter const& c, std::string const& number) {
  std::string out = element_of_text("h3", "What was asked") + asked_table(c.fits);
  std::vector<fit_report const*> swept;
  bool measured = false;
  for (fit_report const& fit : c.fits) {
    if (not fit.sweep.at.empty()) swept.push_back(&fit);
    measured = measured or not fit.sets.empty();
  }
  if (measured) out += element_of_text("h3", "How good it is") + metrics_table(c.fits);
  if (not swept.empty())
    out += element("div", {{"class", "charts"}}, html_of(trade_off_chart(swept)) + html_of(flip_chart(swept)));
  std::string losses;
  for (fit_report const& fit : c.fits)
    if (fit.history.size() > 1) losses += html_of(loss_chart(fit));
  if (not losses.empty()) out += element("div", {{"class", "charts"}}, losses);
  for (std::size_t k = 0; k < c.fits.size(); ++k) out += section_of(c.fits[k], number + "." + std::to_string(k + 1));
  if (measured) out += element_of_text("h3", "Prompts") + all_prompts(c.fits);
  return out;
}

}  // namespace detail

}  // namespace trimtab::report
