// SPDX-License-Identifier: Apache-2.0

#include "path_entries.hpp"

#include <trimtab/io/sweep_folder.hpp>
#include <trimtab/train/path.hpp>

namespace trimtab::cli {

parameters entries_on_path(const any_model& model, const path& folder, const common_options& common) {
  const auto refuse = [&](const std::string& why) {
    throw error(error_kind::mismatch, "'" + folder.string() + "' " + why);
  };
  const io::sweep_folder sweep(folder);
  const auto values = sweep.path_values();
  if (values == 0) refuse("holds no path; places enter along one, which `trimtab sweep --path N --out DIR` makes");
  if (sweep.figures(values)) refuse("holds several paths, and an order is that of one; sweep without --vary");
  std::vector<path_point> points;
  for (std::size_t k = 0; k < values; ++k) {
    const auto figures = sweep.figures(k);
    if (not figures)
      refuse("lacks point " + std::to_string(k) + " of the " + std::to_string(values) +
             " of its path; the command that made it goes on from there");
    const auto file = sweep.file("point", k, ".json");
    const io::json_object found(io::parse_json(*figures, file.string()), file.string(), error_kind::bad_file);
    points.push_back({.lambda = found.number("lambda_m"),
                      .values = read_steering(model, sweep.file("point", k, ".safetensors"), common).values});
  }
  parameters entered = points.front().values;
  std::ranges::fill(entered.theta, 0);
  const auto entries = entries_of(points);
  std::size_t record = 0;
  each_record(entered.layout,
              [&](const parameter_block&, std::size_t first) { entered.theta[first] = entries[record++]; });
  return entered;
}

}  // namespace trimtab::cli
