// SPDX-License-Identifier: Apache-2.0

#include "study.hpp"

#include <trimtab/report/text.hpp>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

/// Norm and direction: does a vector that was free to turn mostly scale?

namespace trimtab::cli {

namespace {

/// The maps are those that the experiment on sites writes.
std::vector<study_part> direction_parts(const study_subject&) { return {}; }

/// The share of a change's squared length that lies along h, for a new length `ratio` times the old one at an angle of
/// this cosine; NaN without any change.
double along(double ratio, double cosine) {
  const double forward = ratio * cosine - 1, square = ratio * ratio - 2 * ratio * cosine + 1;
  return square > 0 ? forward * forward / square : std::nan("");
}

double median(std::vector<double> values) {
  if (values.empty()) return std::nan("");
  std::ranges::sort(values);
  const auto middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

std::string number(double x) { return std::isnan(x) ? "" : cell(x); }

void show_directions(study_report& to) {
  to.heading("Norm and direction");
  const auto vectors = to.subject().file("sites/all/steer-vec-1-maps.json");
  const auto scalars = to.subject().file("sites/all/activ-scalar-1-maps.json");
  const auto ratio = maps_of(vectors, "norm_ratio", "‖h̃‖ / ‖h‖ of SteerVec",
                             "By how much the activation is longer at β = +1, mean over prompts; 1 is unchanged.", 1);
  const auto cosine = maps_of(vectors, "cosine", "cos(h̃, h) of SteerVec",
                              "How much of its direction the activation keeps at β = +1, mean over prompts.", 1);
  const auto alpha = maps_of(scalars, "alpha", "α of ActivScalar", "The scalar of each layer and token.");
  std::vector<std::vector<std::string>> rows;
  std::vector<double> ratios, cosines, shares;
  report::line_chart chart{.title = "Norm and direction of SteerVec",
                           .note =
                               "Each mark is a place that the vectors change, at β = +1, mean over prompts. At the "
                               "right edge a change only scales.",
                           .x_axis = "cos(h̃, h)",
                           .y_axis = "‖h̃‖ / ‖h‖"};
  chart.lines = {{"places", 0, false, true, {}}};
  for (std::size_t m = 0; m < ratio.maps.size(); ++m) {
    const auto& map = ratio.maps[m];
    const auto own = std::ranges::find(alpha.maps, map.title, &report::heat_map::title);
    for (std::size_t r = 0; r < map.rows.size(); ++r)
      for (std::size_t c = 0; c < map.columns.size(); ++c) {
        const double length = map.values[r][c], turn = cosine.maps[m].values[r][c], share = along(length, turn);
        rows.push_back({map.title, map.rows[r], std::to_string(map.place(c)), map.columns[c], number(length),
                        number(turn), number(share), own == alpha.maps.end() ? "" : number(own->values[r][c])});
        if (std::isnan(share)) continue;
        ratios.push_back(length), cosines.push_back(turn), shares.push_back(share);
        chart.lines.front().points.push_back(
            {turn, length, map.title + ", layer " + map.rows[r] + ", " + map.columns[c], {}, {}});
      }
  }
  if (shares.empty())
    to.paragraph("SteerVec changes no place.");
  else
    to.paragraph("SteerVec changes " + std::to_string(shares.size()) + " of " + std::to_string(rows.size()) +
                 " places. Their median norm ratio is " + report::readable(median(ratios)) + ", their median cosine " +
                 report::readable(median(cosines)) + ", and the median share of the change that lies along h is " +
                 report::readable(median(shares)) + "; a vector that only scaled would have 1.");
  to.charts({{"norm-and-direction", chart}});
  to.maps("norm-and-direction-maps", {ratio, cosine, alpha});
  to.data("norm-and-direction", {"site", "layer", "place", "token", "norm_ratio", "cosine", "along_h", "alpha"}, rows);
}

}  // namespace

const study_experiment norm_and_direction{"norm-and-direction", direction_parts, show_directions};

}  // namespace trimtab::cli
