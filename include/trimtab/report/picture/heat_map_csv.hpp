// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/report/page/fit_report.hpp>
#include <trimtab/report/picture/heat_map.hpp>
#include <trimtab/report/text.hpp>
#include <trimtab/text/csv_field.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

/// The numbers of heat maps as a table of comma-separated values (RFC 4180), one line per cell, numbers in full; a cell
/// that was not measured has an empty value.
///
///     fit,quantity,site,layer,place,token,value

namespace trimtab::report {

namespace detail {

/// A group's quantity, with its title where another of the fit has the same quantity.
inline std::string quantity_in(const fit_report& fit, const map_group& group) {
  const bool is_alone = std::ranges::count(fit.maps, group.quantity, &map_group::quantity) == 1;
  return is_alone ? group.quantity : group.quantity + ", " + group.title;
}

}  // namespace detail

/// The maps of some fits.
inline std::string csv_of(const std::vector<fit_report>& fits) {
  using text::csv_field;
  std::string out = "fit,quantity,site,layer,place,token,value\n";
  for (const fit_report& fit : fits)
    for (const map_group& group : fit.maps)
      for (const heat_map& map : group.maps) {
        const std::string which =
            csv_field(fit.name) + "," + csv_field(detail::quantity_in(fit, group)) + "," + csv_field(map.title) + ",";
        for (std::size_t r = 0; r < map.rows.size(); ++r)
          for (std::size_t c = 0; c < map.columns.size(); ++c) {
            const double x = map.values[r][c];
            out += which + map.rows[r] + "," + std::to_string(map.place(c)) + "," + csv_field(map.columns[c]) + "," +
                   (std::isnan(x) ? std::string() : exact(x)) + "\n";
          }
      }
  return out;
}

}  // namespace trimtab::report
