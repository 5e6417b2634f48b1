// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/report/picture/chart_rules.hpp>
#include <trimtab/report/picture/palette.hpp>

#include <string>

/// How a report looks: one style sheet, its colours taken from the palette, for screens of any width and for paper.

namespace trimtab::report {

namespace detail {

inline std::string variables_of(const theme& t) {
  std::string out;
  for (const auto& [name, value] : named_colours(t)) out += (out.empty() ? "--" : ";--") + name + ":" + hex(value);
  for (int step = 1; step <= shades; ++step)
    for (int sign : {-1, 1}) {
      const std::string name = (sign < 0 ? "n" : "p") + std::to_string(step);
      const colour surface = shade(t, sign * step);
      out += ";--" + name + ":" + hex(surface) + ";--on-" + name + ":" + hex(ink_on(surface));
    }
  return out;
}

/// The steps of the scale as classes.
inline std::string shade_rules() {
  std::string out;
  for (int step = 1; step <= shades; ++step)
    for (std::string sign : {"n", "p"}) {
      const std::string name = sign + std::to_string(step);
      out += "." + name + "{background:var(--" + name + ");color:var(--on-" + name + ")}";
    }
  return out + "\n";
}

inline constexpr char layout_rules[] = R"css(
*, *::before, *::after { box-sizing: border-box; }
html { font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif;
       font-variant-numeric: tabular-nums; background: var(--page); color: var(--text);
  -webkit-text-size-adjust: 100%; }
body { max-width: 78rem; margin: 0 auto; padding: clamp(1.25rem, 4vw, 3.5rem) clamp(1rem, 4vw, 2.5rem) 5rem; }
h1 { font-size: clamp(1.6rem, 1.2rem + 2vw, 2.4rem); line-height: 1.15; letter-spacing: -.02em; margin: 0 0 .6rem;
  font-weight: 700; }
h2 { font-size: 1.6rem; line-height: 1.2; letter-spacing: -.01em; margin: 4.5rem 0 1rem; padding-top: 1.5rem;
  border-top: 2px solid var(--text); }
h3 { font-size: 1.2rem; line-height: 1.3; margin: 3rem 0 .75rem; }
h4 { font-size: 1rem; margin: 2rem 0 .1rem; }
p { margin: .4rem 0; max-width: 46rem; }
p, h1, h2, h3, figcaption, .key span { overflow-wrap: anywhere; }
.warning { border-left: .3rem solid var(--text); padding-left: .7rem; }
.lead, .note, .readout, .legend, .key, summary, .made { color: var(--muted); }
.lead { font-size: 1.05rem; }
.note, .legend, .key, summary, .made { font-size: .85rem; }
a { color: var(--mark0); text-underline-offset: .15em; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; list-style: none; padding: 0; margin: 1rem 0 0;
  font-size: .92rem; }
:focus-visible { outline: 2px solid var(--mark0); outline-offset: 2px; }
.scroll { overflow-x: auto; max-width: 100%; position: relative; }

table { border-collapse: collapse; }
table.figures { font-size: .85rem; line-height: 1.35; }
table.figures th, table.figures td { padding: .32rem .55rem; text-align: right; white-space: nowrap;
  font-weight: 400; }
table.figures th:first-child, table.figures td:first-child { text-align: left; padding-left: 0; position: sticky;
  left: 0; background: var(--page); z-index: 1; }
@media (max-width: 40rem) {  /* what stays in place leaves room for what scrolls */
  table.figures th:first-child, table.figures td:first-child { white-space: normal; max-width: 45vw; }
  table.figures tbody th:first-child { min-width: 7rem; }
}
table.figures td:last-child, table.figures thead th:last-child { padding-right: 0; }
table.figures thead th { color: var(--muted); vertical-align: bottom; border-bottom: 1px solid var(--line); }
table.figures tbody tr + tr > * { border-top: 1px solid var(--line); }
table.figures tr.set th { font-weight: 600; padding-top: 1.1rem; }
table.figures thead tr.over th { border-bottom: 0; font-weight: 600; color: var(--text); text-align: left;
  padding-bottom: 0; }
table.figures tr.untouched > * { color: var(--muted); font-style: italic; }
table.figures tr.intervals > * { color: var(--muted); font-weight: 400; border-top: 0; }
table.figures .first { border-left: 1px solid var(--line); }
table.asked td { text-align: left; white-space: normal; overflow-wrap: anywhere; min-width: 9rem; max-width: 26rem; }
table.asked th { color: var(--muted); vertical-align: top; }
table.asked thead th { color: var(--text); font-weight: 600; text-align: left; }

.row { display: flex; flex-wrap: wrap; gap: .25rem 2.5rem; align-items: flex-end; margin-top: .6rem; }
figure { margin: 0; max-width: 100%; min-width: 0; }
figcaption { font-weight: 600; font-size: .9rem; margin-bottom: .35rem; }
table.heat { border-spacing: 2px; border-collapse: separate; font-size: .68rem; line-height: 1; }
table.heat td { min-width: 2.15rem; height: 1.7rem; padding: 0 .1rem; text-align: center; border-radius: 3px; }
table.small td { min-width: 1.15rem; height: 1.15rem; }
table.heat th { font-weight: 400; color: var(--muted); font-size: .75rem; padding: 0 .45rem 0 0; text-align: right;
  position: sticky; left: 0; background: var(--page); z-index: 1; }
table.heat tfoot th { padding: .35rem 0 0; vertical-align: top; position: static; text-align: center;
  color: var(--text); }
table.heat tfoot th span { writing-mode: vertical-rl; transform: rotate(180deg); display: inline-block;
  max-height: 11rem; overflow: hidden; white-space: nowrap; line-height: 1.2; }
table.heat tfoot td { min-width: 0; color: var(--muted); vertical-align: top; padding-top: .35rem;
  font-size: .75rem; }
table.heat td:has(.word) { text-align: left; } .word { display: block; max-width: 5.5rem; overflow: hidden;
  white-space: nowrap; text-overflow: ellipsis; line-height: 1.3; padding: 0 .2rem; }
.pieces { display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; align-items: flex-end; }
.z, .none { background: transparent; box-shadow: inset 0 0 0 1px var(--line); }
.none { background: repeating-linear-gradient(135deg, transparent 0 3px, var(--line) 3px 4px); }
table.heat td:focus-visible { outline: 2px solid var(--text); outline-offset: 0; }
.readout { min-height: 1.3rem; font-size: .8rem; line-height: 1.3; margin: .2rem 0 0; }
.legend { display: flex; flex-wrap: wrap; gap: .3rem .7rem; align-items: center; margin-top: .3rem; }
.ramp { display: inline-flex; gap: 1px; }
.ramp i { width: 1rem; height: .8rem; border-radius: 2px; }

.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 21rem), 1fr)); gap: 2rem 2.5rem;
  align-items: start; margin: 2rem 0; }
.wide { grid-column: 1 / -1; margin: 2rem 0; }
.chart svg { display: block; width: 100%; height: auto; overflow: visible; }
.wide .scroll svg { min-width: 60rem; }
.key { display: flex; flex-wrap: wrap; gap: .1rem 1.1rem; margin: .4rem 0; }
.key span { display: inline-flex; gap: .4rem; align-items: center; }
.key svg { width: 1.6rem; height: .95rem; }

.unseen { position: absolute; width: 1px; height: 1px; margin: 0; padding: 0; border: 0; overflow: hidden;
  clip-path: inset(50%); white-space: nowrap; }
details { margin: .8rem 0; } summary { cursor: pointer; padding: .2rem 0; }
.texts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 15rem), 1fr)); gap: .5rem 2rem;
  margin: 1.5rem 0; padding-top: 1rem; border-top: 1px solid var(--line); }
.said { white-space: pre-wrap; overflow-wrap: anywhere; } .said span { color: var(--muted); }
mark { border-radius: 3px; padding: 0 .1rem; }
ol.prompts { font-size: .85rem; padding-left: 2.4rem; } ol.prompts li { margin: .55rem 0; }
  ol.prompts li::marker { color: var(--muted); }
.token { background: var(--panel); border-radius: 3px; padding: .08rem .15rem; margin: 0 1px 2px 0;
  display: inline-block; line-height: 1.3; overflow-wrap: anywhere; }
.answers { display: inline-block; margin-left: .5rem; color: var(--muted); }
footer { margin-top: 4rem; padding-top: 1rem; border-top: 1px solid var(--line); }

@media print {
  html { font-size: 11px; } body { max-width: none; padding: 0; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  figure, .maps, tr { break-inside: avoid; } h2, h3, h4 { break-after: avoid; } nav, .readout { display: none; }
  .scroll { overflow: visible; }
}
)css";

}  // namespace detail

inline std::string page_style() {
  return ":root{color-scheme:light dark;" + detail::variables_of(light) +
         "}\n@media screen and (prefers-color-scheme:dark){:root{" + detail::variables_of(dark) + "}}\n" +
         detail::shade_rules() + detail::layout_rules + detail::chart_rules;
}

}  // namespace trimtab::report
