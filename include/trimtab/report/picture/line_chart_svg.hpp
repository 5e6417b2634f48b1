// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/report/page/page_style.hpp>
#include <trimtab/report/picture/line_chart.hpp>
#include <trimtab/report/picture/palette.hpp>
#include <trimtab/report/text.hpp>

#include <cstddef>
#include <string>

/// A chart as an SVG file for papers: its title, its legend and the drawing, in light colours and without external
/// resources or variables, which converters such as rsvg-convert do not know.

namespace trimtab::report {

namespace detail {

/// The chart's rules with each `var(--NAME)` replaced by the light colour.
inline std::string light_chart_rules() {
  std::string rules = chart_rules;
  const auto put = [&](const std::string& name, const colour& value) {
    const std::string variable = "var(--" + name + ")";
    for (std::size_t at = rules.find(variable); at != rules.npos; at = rules.find(variable, at))
      rules.replace(at, variable.size(), hex(value));
  };
  put("page", light.page), put("text", light.text), put("muted", light.muted), put("line", light.line);
  for (std::size_t k = 0; k < light.marks.size(); ++k) put("mark" + std::to_string(k), light.marks[k]);
  return rules;
}

}  // namespace detail

/// The file as text.
inline std::string svg_of(const line_chart& chart) {
  using detail::fixed;
  constexpr double left = 14, row = 16;
  std::string head = element_of_text("text", chart.title, {{"x", fixed(left)}, {"y", "20"}, {"class", "label title"}});
  double y = 40;
  for (const chart_line& line : chart.lines) {
    const std::string style = std::to_string(line.style);
    if (line.joined)
      head += element("path", {{"d", "M" + fixed(left) + " " + fixed(y - 4) + "h22"}, {"class", "path l" + style}});
    if (line.marked) head += detail::mark_at(left + 11, y - 4, line.style);
    head += detail::text_at(left + 30, y, line.name, "label") + "\n";
    y += row;
  }
  std::string drawing = detail::drawing_of(chart);
  drawing.insert(std::string("<svg").size(), " x=\"" + fixed(left) + "\" y=\"" + fixed(y) + "\" width=\"" +
                                                 fixed(chart.width) + "\" height=\"" + fixed(chart.height) + "\"");
  const std::string width = fixed(chart.width + 2 * left), height = fixed(y + chart.height + left);
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" +
         element("svg",
                 {{"xmlns", "http://www.w3.org/2000/svg"},
                  {"width", width},
                  {"height", height},
                  {"viewBox", "0 0 " + width + " " + height},
                  {"role", "img"},
                  {"aria-label", chart.title},
                  {"font-family", "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"},
                  {"style", "background: " + hex(light.page)}},  // on dark pages too
                 "\n" + element_of_text("title", chart.title) + "\n" +
                     element("style", {}, detail::light_chart_rules() + "svg text.title { font-weight: bold; }\n") +
                     "\n" + head + drawing) +
         "\n";
}

}  // namespace trimtab::report
