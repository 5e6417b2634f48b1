// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/report/page/fit_report.hpp>
#include <trimtab/report/picture/heat_map.hpp>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

/// The maps of several fits beside each other.

namespace trimtab::report {

struct compared_maps {
  std::vector<map_group> shared = {};  ///< what several fits show, on one scale: a group for each site
  std::vector<map_group> alone = {};   ///< what a single fit shows
};

inline compared_maps side_by_side(const std::vector<fit_report>& fits) {
  std::vector<std::string> seen;
  compared_maps all;
  for (const fit_report& fit : fits)
    for (const map_group& group : fit.maps) {
      if (std::ranges::find(seen, group.title) != seen.end()) continue;
      seen.push_back(group.title);
      std::vector<named_group> same;
      for (const fit_report& other : fits)
        for (const map_group& one : other.maps)
          if (one.title == group.title) same.push_back({other.name, one});
      if (same.size() == 1) {
        all.alone.push_back(group);
        all.alone.back().title = fit.name + ": " + group.title;
        continue;
      }
      for (map_group& site : by_site(same, map_scales::shared, group.note)) {
        site.title = group.title + " at " + site.title;
        all.shared.push_back(std::move(site));
      }
    }
  return all;
}

}  // namespace trimtab::report
