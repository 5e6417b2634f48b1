// SPDX-License-Identifier: Apache-2.0

#include "study.hpp"

#include <trimtab/io/files/atomic_file.hpp>
#include <trimtab/report/page/heat_map_html.hpp>
#include <trimtab/report/picture/chart_svg.hpp>
#include <trimtab/report/picture/heat_map_csv.hpp>
#include <trimtab/report/picture/heat_map_svg.hpp>
#include <trimtab/report/text_table.hpp>
#include <trimtab/text/csv_field.hpp>
#include <trimtab/text/joined.hpp>

#include <algorithm>
#include <charconv>
#include <limits>

/// Tables, pictures and verdicts of a study.

namespace trimtab::cli {

namespace {

/// A number in full as people read it, any other text as it is.
std::string shown(const std::string& cell) {
  double x = 0;
  const auto [end, failed] = std::from_chars(cell.data(), cell.data() + cell.size(), x);
  const bool is_number = failed == std::errc() and end == cell.data() + cell.size();
  return is_number and cell.find_first_of(".e") != cell.npos ? report::readable(x) : cell;
}

std::string csv_of(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows) {
  std::string csv;
  const auto line = [&](const std::vector<std::string>& cells) {
    for (std::size_t c = 0; c < cells.size(); ++c)
      csv += (c == 0 ? "" : ",") + text::csv_field(cells[c] == "null" ? "" : cells[c]);
    csv += "\n";
  };
  line(header);
  for (const auto& row : rows) line(row);
  return csv;
}

}  // namespace

std::string cell(double x) { return report::exact(x); }

io::json study_report::output_of(const std::string& part) const {
  return io::read_json_file(subject_.file(part + ".json"))["output"];
}

void study_report::write(const std::string& name, const std::string& content) {
  const auto file = subject_.folder / name;
  io::write_file_atomically(file, content);
  files_.push_back(file);
}

void study_report::heading(const std::string& text) { html_ += report::element_of_text("h3", text) + "\n"; }
void study_report::paragraph(const std::string& text) { html_ += report::element_of_text("p", text) + "\n"; }

void study_report::data(const std::string& name, const std::vector<std::string>& header,
                        const std::vector<std::vector<std::string>>& rows) {
  write("tables/" + name + ".csv", csv_of(header, rows));
}

void study_report::table(const std::string& name, const std::vector<std::string>& header,
                         const std::vector<std::vector<std::string>>& rows, const std::string& note) {
  data(name, header, rows);
  write("tables/" + name + ".json", ordered_json{{"header", header}, {"rows", rows}}.dump(1) + "\n");
  report::text_table page{header, rows};
  for (auto& name_of_column : page.header) std::ranges::replace(name_of_column, '_', ' ');
  for (auto& row : page.rows)
    for (auto& one : row) one = shown(one == "null" ? "" : one);
  if (not note.empty()) html_ += report::element_of_text("p", note, {{"class", "note"}});
  html_ += report::html_of(page) + "\n";
}

void study_report::charts(const std::vector<std::pair<std::string, report::line_chart>>& charts) {
  std::string figures;
  for (const auto& [name, chart] : charts) {
    write("figures/" + name + ".svg", report::svg_of(chart));
    figures += report::html_of(chart);
  }
  html_ += report::element("div", {{"class", "charts"}}, figures);
}

void study_report::maps(const std::string& name, const std::vector<report::map_group>& groups) {
  write("figures/" + name + ".svg", report::svg_of(groups.front().title, groups));
  for (const auto& group : groups) html_ += report::html_of(group);
}

void study_report::hypothesis(const std::string& name, const finding& found) {
  hypotheses_.push_back({name, subject_.model_name, subject_.task_name, found});
}

void study_report::commands(const std::vector<std::string>& lines) {
  if (lines.empty()) return;
  html_ += report::element("details", {},
                           report::element_of_text("summary", "the commands of this part") +
                               report::element_of_text("pre", text::joined(lines, "\n"), {{"class", "scroll"}}));
}

report::map_group maps_of(const path& file, const std::string& quantity, const std::string& title,
                          const std::string& note, double centre) {
  report::map_group group{title, note, quantity, {}};
  std::string first;  // of several groups with one quantity, such as the gates on several prompts, the first
  for (const auto& map : io::read_json_file(file)) {
    if (map["quantity"] != quantity) continue;
    if (first.empty()) first = map["title"];
    if (map["title"] != first) continue;
    report::heat_map& to = group.maps.emplace_back();
    to.title = map["site"];
    to.rows = map["layers"];
    to.columns = map["tokens"];
    to.places = map["places"].get<std::vector<index_t>>();
    to.centre = centre;
    for (const auto& row : map["values"]) {
      auto& values = to.values.emplace_back();
      for (const auto& x : row)
        values.push_back(x.is_null() ? std::numeric_limits<double>::quiet_NaN() : x.get<double>());
    }
  }
  return group;
}

std::vector<double> follows_both(const io::json& set) {
  std::vector<double> follows;
  for (const auto& one : set["per_prompt"])
    follows.push_back(one["flipped"]["+1"].get<bool>() and one["flipped"]["-1"].get<bool>() ? 1 : 0);
  return follows;
}

std::vector<double> kl_of_each(const io::json& set) {
  std::vector<double> kl;
  for (const auto& one : set["per_prompt"])
    kl.push_back((one["kl_masked"]["+1"].get<double>() + one["kl_masked"]["-1"].get<double>()) / 2);
  return kl;
}

}  // namespace trimtab::cli
