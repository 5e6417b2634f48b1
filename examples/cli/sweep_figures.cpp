// SPDX-License-Identifier: Apache-2.0

#include "figures.hpp"
#include "interrupt.hpp"
#include "places.hpp"
#include "sweep_points.hpp"

#include <trimtab/measure/pareto.hpp>
#include <trimtab/report/table.hpp>
#include <trimtab/report/terminal/terminal.hpp>
#include <trimtab/report/text.hpp>

#include <algorithm>
#include <functional>
#include <limits>
#include <utility>

/// What a sweep says of its points.

namespace trimtab::cli {

namespace {

class sweep_figures {
 public:
  sweep_figures(sweep_points& points, const sweep_command& command, report::sweep_report& page, output& to)
      : points_(points), command_(command), page_(page), found_(to) {}

  void describe() {
    std::vector<trade_off> trades;
    std::vector<std::size_t> measured;  // the points' numbers
    index_t all_places = 0;
    double worst = 0;
    for (std::size_t k = 0; k < points_.size(); ++k) {
      if (not points_[k].figures or points_[k].figures->contains("failed")) continue;
      measured.push_back(k);
      trades.push_back(trade_off_of(*points_[k].figures));
      all_places = std::max(all_places, (*points_[k].figures)["sites"].get<index_t>());
      worst = std::max(worst, trades.back().kl);
    }
    const auto front = front_of(trades);
    // Of some points the front is only that of these, and its knee would be an accident.
    const bool is_whole = std::ranges::all_of(points_, [](const sweep_point& p) { return p.figures.has_value(); });
    auto knee = is_whole ? knee_of(trades, front) : std::nullopt;
    if (knee and trades[*knee].flip_rate == 0) knee.reset();  // where nothing is steered there is no trade-off
    if (command_.path_values > 0 or points_.composed().front().in_shares)
      found_.json["lambda_max"] = points_.lambda_max_of(points_.front());
    found_.json["points"] = ordered_json::array();
    for (const sweep_point& p : points_) {
      found_.json["points"].push_back(p.figures ? *p.figures : points_.varied_of(p));
      found_.json["points"].back()["on_front"] = false;
    }
    found_.json["front"] = ordered_json::array();
    for (const std::size_t f : front) {
      found_.json["front"].push_back(measured[f]);
      found_.json["points"][measured[f]]["on_front"] = true;
    }
    found_.json["knee"] = knee ? ordered_json(measured[*knee]) : ordered_json();
    found_.json["hypervolume"] = hypervolume(trades, worst, all_places);
    found_.json["hypervolume_reference"] = {{"flip_rate", 0}, {"kl_masked", worst}, {"places", all_places}};
    if (knee) measure_knee(measured[*knee]);
    if (command_.path_values > 0) describe_path();
    print(measured, trades, front, knee);
  }

 private:
  /// The set that points are compared on: test prompts where there are any.
  static const ordered_json& compared(const ordered_json& figures) {
    return figures.contains("test") ? figures["test"] : figures["train"];
  }
  static trade_off trade_off_of(const ordered_json& figures) {
    trade_off t{.flip_rate = std::numeric_limits<double>::max(),
                .kl = compared(figures)["kl_masked"],
                .places = figures["nonzero_sites"]};
    for (const auto& [strength, rate] : compared(figures)["flip_rate"].items())
      if (strength != "both") t.flip_rate = std::min(t.flip_rate, rate.get<double>());
    return t;
  }

  /// The knee was chosen on these prompts, so its figures there are too good; they are measured again on others.
  void measure_knee(std::size_t k) {
    const sweep_point& p = points_[k];
    std::vector<prompt_pair> fresh;
    if (not command_.fit.data.task.empty()) {
      const auto sets = read_data(points_.model(), command_.fit.data, p.at.seed + 1,
                                  keys_of(points_.composed()[p.composition].asked));
      fresh = sets[1].pairs;
    } else if (not command_.holdout.empty()) {
      fresh = read_pairs(points_.model(), command_.holdout, resolved_keys(p));
    }
    if (fresh.empty()) return;
    const auto m =
        points_.composition_of(p).measure(points_.values_of(k), fresh, {.strengths = command_.fit.objective.strengths});
    found_.json["knee_fresh"] = to_json(m);
    fresh_text_ = to_text("the knee on fresh prompts", m);
  }

  std::vector<position_key> resolved_keys(const sweep_point& p) const {
    auto keys = keys_of(points_.composed()[p.composition].asked);
    for (auto& key : keys)
      if (key.by() == position_key::kind::absolute) key = key.resolved(p.data->sets.front().pairs);
    return keys;
  }

  void describe_path() {
    std::vector<path_point> path;
    for (std::size_t k = 0; k < points_.size() and points_[k].chain == 0 and points_[k].figures; ++k) {
      if (points_[k].figures->contains("failed")) break;
      path.push_back({.lambda = points_[k].at.lambda_m, .values = points_.values_of(k)});
    }
    if (path.empty()) return;
    const auto entries = entries_of(path);
    const auto& layout = path.front().values.layout;
    found_.json["entry"] = places_of(layout, entries, points_.model().config().layers);
    for (const path_point& at : path) page_.lambdas.push_back(at.lambda);
    std::vector<std::pair<double, report::path_line>> lines;
    std::size_t record = 0;
    for (const parameter_block& block : layout.blocks) {
      const auto names = points_.model().names_of(block.positions, points_.front().data->sets.front().pairs);
      for (index_t r = 0; r < block.records(); ++r, ++record) {
        if (entries[record] == 0) continue;
        const index_t layer = block.layers[static_cast<std::size_t>(r / block.records_per_layer())];
        const auto position = static_cast<std::size_t>(r % block.records_per_layer() / block.parts);
        report::path_line line{block.site + " " + std::to_string(layer) + ", " + names[position], {}};
        const auto first = static_cast<std::size_t>(block.offset + r * block.record_size);
        for (const path_point& at : path) line.sizes.push_back(norm_of_record(block, at.values.theta, first));
        lines.emplace_back(entries[record], std::move(line));
      }
    }
    std::ranges::stable_sort(lines, std::greater<>{}, [](const auto& line) { return line.first; });
    for (auto& [entry, line] : lines) page_.places.push_back(std::move(line));
  }

  /// The untouched model on the prompts of the first point; a folder of an older trimtab does not know it.
  void add_untouched(const std::vector<std::size_t>& measured, std::size_t varied, report::table& table) const {
    if (measured.empty() or not points_[measured.front()].figures->contains("untouched")) return;
    const auto& bare = (*points_[measured.front()].figures)["untouched"];
    auto figures = bare;
    figures["nonzero_sites"] = 0;
    const auto t = trade_off_of(figures);
    std::vector<std::string> cells(varied + 1);
    cells.front() = "untouched";
    cells.push_back(report::number(t.flip_rate, 3) + " [" +
                    report::text_of(wilson(t.flip_rate, compared(bare)["prompts"].get<index_t>())) + "]");
    cells.push_back(report::number(t.kl, 4));
    cells.push_back("0");
    table.add(std::move(cells));
  }

  void print(const std::vector<std::size_t>& measured, const std::vector<trade_off>& trades,
             const std::vector<std::size_t>& front, std::optional<std::size_t> knee) {
    using report::number;
    std::vector<std::string> header{"point"};
    const auto names = points_.varied_of(points_.front());
    for (const auto& [name, value] : names.items()) header.push_back(name);
    header.insert(header.end(), {"smallest flip rate [95 %]", "KL masked", "places", ""});
    report::table table(header);
    add_untouched(measured, names.size(), table);
    for (std::size_t i = 0; i < measured.size(); ++i) {
      const sweep_point& p = points_[measured[i]];
      std::vector<std::string> cells{std::to_string(measured[i])};
      const auto varied = points_.varied_of(p);
      for (const auto& [name, value] : varied.items())
        cells.push_back(value.is_string()         ? value.get<std::string>()
                        : value.is_number_float() ? rounded(value.get<double>())
                                                  : value.dump());
      const auto n = compared(*p.figures)["prompts"].get<index_t>();
      cells.push_back(number(trades[i].flip_rate, 3) + " [" + report::text_of(wilson(trades[i].flip_rate, n)) + "]");
      cells.push_back(number(trades[i].kl, 4));
      cells.push_back(std::to_string(trades[i].places));
      const bool on_front = std::ranges::find(front, i) != front.end();
      cells.push_back(knee == i ? "knee" : on_front ? "front" : "");
      table.add(cells);
      page_.points.push_back({"point " + cells[0],
                              {cells.begin() + 1, cells.end() - 4},
                              trades[i],
                              wilson(trades[i].flip_rate, n),
                              on_front,
                              knee == i,
                              {}});
    }
    page_.varied = {header.begin() + 1, header.end() - 4};
    page_.hypervolume = found_.json["hypervolume"].get<double>();
    found_.text += table.text(report::wants_colour(STDOUT_FILENO));
    if (measured.size() > 1) {
      const auto& reference = found_.json["hypervolume_reference"];
      found_.text += "hypervolume " + rounded(page_.hypervolume) +
                     " (flip rate × KL × places) against flip rate 0, KL " +
                     rounded(reference["kl_masked"].get<double>()) + ", the largest here, and " +
                     reference["places"].dump() + " places\n";
    }
    found_.text += "\n" + fresh_text_;
  }

  sweep_points& points_;
  const sweep_command& command_;
  report::sweep_report& page_;
  output& found_;
  std::string fresh_text_ = {};
};

}  // namespace

void add_figures(sweep_points& points, const sweep_command& command, report::sweep_report& page, output& to) {
  sweep_figures(points, command, page, to).describe();
}

}  // namespace trimtab::cli
