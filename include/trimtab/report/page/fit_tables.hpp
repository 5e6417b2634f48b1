// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/report/page/fit_report.hpp>
#include <trimtab/report/table.hpp>
#include <trimtab/report/text.hpp>
#include <trimtab/text/joined.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

/// The tables of fits that are compared: what was asked of each, and how good each is.

namespace trimtab::report {

namespace detail {

/// What was asked of each fit, a column for each.
inline std::string asked_table(const std::vector<fit_report>& fits) {
  std::vector<std::string> names;
  for (const fit_report& fit : fits)
    for (const fact& f : fit.asked)
      if (std::ranges::find(names, f.name) == names.end()) names.push_back(f.name);
  std::string header, rows;
  for (const fit_report& fit : fits) header += element_of_text("th", fit.name, {{"scope", "col"}});
  for (const std::string& name : names) {
    std::string label = name;
    std::ranges::replace(label, '_', ' ');
    std::string cells = element_of_text("th", label, {{"scope", "row"}});
    std::vector<std::string> values;
    for (const fit_report& fit : fits) {
      const auto f = std::ranges::find(fit.asked, name, &fact::name);
      values.push_back(f == fit.asked.end() ? "–" : f->value);
    }
    if (std::ranges::count(values, values.front()) == std::ssize(values))
      cells += element_of_text("td", values.front(), {{"colspan", std::to_string(values.size())}});
    else
      for (const std::string& value : values) cells += element_of_text("td", value);
    rows += element("tr", {}, cells) + "\n";
  }
  return element("div", {{"class", "scroll"}, {"tabindex", "0"}, {"role", "region"}, {"aria-label", "what was asked"}},
                 element("table", {{"class", "figures asked"}},
                         (fits.size() > 1 ? element("thead", {}, element("tr", {}, "<td></td>" + header)) : "") +
                             element("tbody", {}, "\n" + rows)));
}

/// A row of the table of metrics; the first column of each group is marked.
inline std::string metrics_cells(const std::vector<std::string>& cells, const std::string& tag) {
  std::string out;
  for (std::size_t c = 0; c < cells.size(); ++c) {
    const bool first = c == 1 or c == 8 or c == 11;
    std::vector<attribute> attributes{{"class", first ? "first" : ""}};
    if (c == 0 or tag == "th") attributes.push_back({"scope", c == 0 and tag == "td" ? "row" : "col"});
    std::string text = with_minus(cells[c]);
    if (const auto at = text.find(" -1"); at != text.npos) text.replace(at, 2, " \xE2\x88\x92");
    out += element_of_text(c == 0 ? "th" : tag, text, attributes);
  }
  return out;
}

/// A fit and its figures of one set.
struct fit_figures {
  const fit_report* fit;
  const metrics* measured;
};

/// Fits by the prompts that they were measured on: those of another seed, perhaps, are others.
inline std::vector<std::vector<fit_figures>> by_prompts(const std::vector<fit_report>& fits, const std::string& set) {
  std::vector<std::vector<fit_figures>> groups;
  for (const fit_report& fit : fits) {
    const auto found = std::ranges::find(fit.sets, set, &measured_set::name);
    if (found == fit.sets.end()) continue;
    const metrics& measured = found->measured;
    const auto same = std::ranges::find_if(groups, [&](const std::vector<fit_figures>& group) {
      return group.front().measured->logit_diffs.at(0) == measured.logit_diffs.at(0);
    });
    (same == groups.end() ? groups.emplace_back() : *same).push_back({&fit, &measured});
  }
  return groups;
}

/// "a, b, c and 4 more"
inline std::string names_of(const std::vector<fit_figures>& group) {
  constexpr std::size_t most = 3;
  const std::span<const fit_figures> some(group.data(), std::min(most, group.size()));
  const std::string names = text::joined(some, ", ", [](const fit_figures& one) { return one.fit->name; });
  return group.size() > most ? names + " and " + std::to_string(group.size() - most) + " more" : names;
}

/// The figures of all fits, set by set, each below those of the untouched model on the same prompts.
inline std::string metrics_table(const std::vector<fit_report>& fits) {
  std::vector<std::string> sets;
  for (const fit_report& fit : fits)
    for (const measured_set& set : fit.sets)
      if (std::ranges::find(sets, set.name) == sets.end()) sets.push_back(set.name);
  std::string body;
  for (const std::string& name : sets) {
    const auto groups = by_prompts(fits, name);
    const auto prompts_of = [](const std::vector<fit_figures>& group) {
      return counted(static_cast<std::size_t>(group.front().measured->prompts), "prompt");
    };
    const std::string heading = groups.size() == 1 ? name + ", " + prompts_of(groups.front()) : name;
    body +=
        element("tr", {{"class", "set"}}, element_of_text("th", heading, {{"scope", "rowgroup"}, {"colspan", "13"}})) +
        "\n";
    for (const auto& group : groups) {
      std::string untouched = "untouched model";
      if (groups.size() > 1) untouched += " on the " + prompts_of(group) + " of " + names_of(group);
      body += element("tr", {{"class", "untouched"}},
                      metrics_cells(untouched_row(untouched, *group.front().measured), "td")) +
              "\n";
      for (const auto& [fit, measured] : group) {
        body += element("tr", {}, metrics_cells(metrics_row(fit->name, *measured, fit->counts), "td")) + "\n";
        body += element("tr", {{"class", "intervals"}}, metrics_cells(intervals_row(*measured), "td")) + "\n";
      }
    }
  }
  const auto over = [](const std::string& text, const std::string& span) {
    return element_of_text("th", text, {{"colspan", span}, {"scope", "colgroup"}, {"class", "first"}});
  };
  return element("div", {{"class", "scroll"}, {"tabindex", "0"}, {"role", "region"}, {"aria-label", "metrics"}},
                 element("table", {{"class", "figures"}},
                         element("thead", {},
                                 element("tr", {{"class", "over"}},
                                         "<td></td>" + over("Effectiveness", "7") + over("Faithfulness", "3") +
                                             over("Minimality", "2")) +
                                     element("tr", {}, metrics_cells(metrics_header(""), "th"))) +
                             element("tbody", {}, "\n" + body)));
}

}  // namespace detail

}  // namespace trimtab::report
