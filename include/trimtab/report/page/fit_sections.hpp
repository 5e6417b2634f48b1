// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/report/page/fit_charts.hpp>
#include <trimtab/report/page/fit_report.hpp>
#include <trimtab/report/page/fit_tables.hpp>
#include <trimtab/report/page/heat_map_html.hpp>
#include <trimtab/report/page/side_by_side.hpp>
#include <trimtab/report/text.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

/// The body of a page: for each chapter its tables and charts, for each fit its heat maps, and the prompts at the end.

namespace trimtab::report {

namespace detail {

inline std::string prompts_of(const measured_set& set) {
  constexpr std::size_t most = 200;
  std::string items;
  for (std::size_t i = 0; i < std::min(most, set.prompts.size()); ++i) {
    const shown_prompt& p = set.prompts[i];
    std::string tokens;
    for (const std::string& token : p.tokens) tokens += element_of_text("span", token, {{"class", "token"}});
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

inline std::string size_sentence(const fit_report& fit) {
  const parameter_counts& c = fit.counts;
  return std::to_string(c.nonzero_parameters) + " of " + counted(static_cast<std::size_t>(c.parameters), "parameter") +
         (c.nonzero_parameters == 1 ? " is not zero, at " : " are not zero, at ") + std::to_string(c.nonzero_sites) +
         " of " + counted(static_cast<std::size_t>(c.sites), "place") + "; " +
         (c.nonzero_parameters == 1 ? "its" : "their") + " ℓ1 norm is " + readable(c.l1) + ".";
}

/// `number` is "1.2" for the second fit of the first chapter.
inline std::string section_of(const fit_report& fit, const std::string& number) {
  std::string out = element_of_text("h3", fit.name);
  if (fit.counts.parameters > 0) out += element_of_text("p", size_sentence(fit), {{"class", "note"}}) + "\n";
  for (const std::string& warning : fit.warnings)
    out += element_of_text("p", "Warning: " + warning + ".", {{"class", "warning"}}) + "\n";
  for (const map_group& group : fit.maps) out += html_of(group);
  if (not fit.sets.empty()) {
    const auto swept = std::ranges::find(fit.sets, fit.swept, &measured_set::name);
    if (swept != fit.sets.end()) out += html_of(pair_chart(*swept));
  }
  return element("section", {{"data-fit", number}, {"id", "fit-" + number}}, out) + "\n";
}

/// The prompts of fits, once where fits have the same.
inline std::string all_prompts(const std::vector<fit_report>& fits) {
  std::string out;
  std::vector<const measured_set*> seen;
  for (const fit_report& fit : fits)
    for (const measured_set& set : fit.sets) {
      if (std::ranges::any_of(seen, [&](const auto* s) { return s->name == set.name and s->prompts == set.prompts; }))
        continue;
      seen.push_back(&set);
      out += prompts_of(set);
    }
  return out;
}

inline std::string section_of(const chapter& c, const std::string& number) {
  std::string out = c.lead;
  if (not c.fits.empty()) out += element_of_text("h3", "Settings") + asked_table(c.fits);
  std::vector<const fit_report*> swept;
  bool measured = false;
  for (const fit_report& fit : c.fits) {
    if (not fit.sweep.at.empty()) swept.push_back(&fit);
    measured = measured or not fit.sets.empty();
  }
  if (measured) out += element_of_text("h3", "Metrics") + metrics_table(c.fits);
  if (not swept.empty())
    out += element("div", {{"class", "charts"}}, html_of(trade_off_chart(swept)) + html_of(flip_chart(swept)));
  std::string losses;
  for (const fit_report& fit : c.fits)
    if (fit.history.size() > 1) losses += html_of(loss_chart(fit));
  if (not losses.empty()) out += element("div", {{"class", "charts"}}, losses);
  std::string shared;
  for (const map_group& group : side_by_side(c.fits).shared) shared += html_of(group, cell_size::small);
  if (not shared.empty()) out += element_of_text("h3", "Side by side") + element("div", {{"data-fit", number}}, shared);
  for (std::size_t k = 0; k < c.fits.size(); ++k) out += section_of(c.fits[k], number + "." + std::to_string(k + 1));
  if (measured) out += element_of_text("h3", "Prompts") + all_prompts(c.fits);
  return out;
}

}  // namespace detail

}  // namespace trimtab::report
