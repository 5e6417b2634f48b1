// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/report/picture/palette.hpp>

#include <string>
#include <utility>
#include <vector>

/// How charts look, on a page and in a file of their own: rules whose colours are variables.

namespace trimtab::report::detail {

/// The colours of a theme by the names of their variables.
inline std::vector<std::pair<std::string, colour>> named_colours(const theme& t) {
  std::vector<std::pair<std::string, colour>> all{
      {"page", t.page}, {"panel", t.panel}, {"text", t.text}, {"muted", t.muted}, {"line", t.line}};
  for (std::size_t k = 0; k < t.marks.size(); ++k) all.emplace_back("mark" + std::to_string(k), t.marks[k]);
  return all;
}

inline constexpr char chart_rules[] = R"css(
.chart text { font-size: 11px; fill: var(--muted); text-anchor: middle; }
.chart text.end { text-anchor: end; } .chart text.start { text-anchor: start; }
.chart text.label { text-anchor: start; fill: var(--text); }
.grid { stroke: var(--line); stroke-width: 1; } .zero { stroke: var(--muted); stroke-width: 1; }
.stem { stroke: var(--line); stroke-width: 1.5; }
.path { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
.l0 { stroke: var(--mark0); } .l1 { stroke: var(--mark1); stroke-dasharray: 7 3; }
.l2 { stroke: var(--mark2); stroke-dasharray: 2 2.5; } .l3 { stroke: var(--mark3); stroke-dasharray: 9 3 2 3; }
.l4 { stroke: var(--muted); stroke-width: 1; }
.mark { stroke: var(--page); stroke-width: .7; }
.m0 { fill: var(--mark0); } .m1 { fill: var(--mark1); } .m2 { fill: var(--mark2); } .m3 { fill: var(--mark3); }
.bar { stroke-width: 1.6; stroke-dasharray: none; opacity: .55; }
.cross { stroke-width: 1.8; stroke-dasharray: none; }
)css";

/// The rules with the colours of a theme in them, for programs that know no variables.
inline std::string chart_rules_in(const theme& t) {
  std::string rules = chart_rules;
  for (const auto& [name, value] : named_colours(t)) {
    const std::string variable = "var(--" + name + ")";
    for (auto at = rules.find(variable); at != rules.npos; at = rules.find(variable, at))
      rules.replace(at, variable.size(), hex(value));
  }
  return rules;
}

}  // namespace trimtab::report::detail
