// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/steer/fitted.hpp>

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <utility>
#include <vector>

/// Where in the model the answer is decided: one number for each layer and place of a site, layers upward and tokens
/// along, on a diverging scale that is centred at zero. A parameter of one number per place is shown as it is, one
/// with a number for each channel by its Euclidean norm. A place that the proximal step set to exactly zero is shown
/// empty, so that "small" and "none" look different.

namespace trimtab::report {

struct heat_map {
  std::string title = {};
  std::vector<std::string> rows = {};            ///< the lowest layer first
  std::vector<std::string> columns = {};         ///< the tokens, or other names of the places
  std::vector<std::vector<double>> values = {};  ///< [row][column]; NaN where there is nothing to show
  std::vector<index_t> places = {};  ///< by column, its place in the position key; empty where they are in order
  double centre = 0;                 ///< the value where nothing is changed
  std::string row_kind = "layer";    ///< what a row is
  std::vector<std::vector<std::string>> words = {};  ///< [row][column] shown in place of numbers; empty: numbers are
  double reach = 0;  ///< how far from the centre its colours end; 0: where those of its group do

  index_t place(std::size_t column) const { return places.empty() ? static_cast<index_t>(column) : places[column]; }
  /// f(number) for each of them, row by row.
  void each_number(auto f) const {
    for (const auto& row : values)
      for (double x : row) f(x);
  }
};

/// Maps that share one scale, to be compared.
struct map_group {
  std::string title = {};
  std::string note = {};      ///< a sentence: what the numbers are
  std::string quantity = {};  ///< what one number is called, "alpha"
  std::vector<heat_map> maps = {};

  /// The same for all maps, one map after another.
  void each_number(auto f) const {
    for (const heat_map& map : maps) map.each_number(f);
  }

  double centre() const { return maps.empty() ? 0 : maps.front().centre; }

  bool has_negative() const {
    bool found = false;
    each_number([&](double x) { found = found or x < 0; });
    return found;
  }

  /// The largest distance of a number from the centre.
  double reach() const {
    double furthest = 0;
    for (const heat_map& map : maps)
      map.each_number([&](double x) {
        if (not std::isnan(x)) furthest = std::max(furthest, std::abs(x - map.centre));
      });
    return furthest;
  }
  /// How far from the centre the colours of one of its maps end.
  double reach_of(const heat_map& map) const { return map.reach > 0 ? map.reach : reach(); }
  bool has_one_scale() const {
    return std::ranges::all_of(maps, [&](const heat_map& map) { return reach_of(map) == reach_of(maps.front()); });
  }
};

/// A map cut into pieces of at most `most` columns.
inline std::vector<heat_map> pieces_of(const heat_map& map, std::size_t most) {
  if (map.columns.size() <= most) return {map};
  std::vector<heat_map> pieces;
  for (std::size_t first = 0; first < map.columns.size(); first += most) {
    const auto begin = static_cast<std::ptrdiff_t>(first),
               end = static_cast<std::ptrdiff_t>(std::min(map.columns.size(), first + most));
    const auto cut = [&](auto& list) { list = {list.begin() + begin, list.begin() + end}; };
    heat_map& piece = pieces.emplace_back(map);
    piece.places.clear();
    for (auto c = begin; c < end; ++c) piece.places.push_back(map.place(static_cast<std::size_t>(c)));
    cut(piece.columns);
    for (auto& row : piece.values) cut(row);
    for (auto& row : piece.words) cut(row);
  }
  return pieces;
}

/// Groups with a name each, of which the maps of one site are to stand beside each other.
struct named_group {
  std::string name = {};
  map_group group = {};
};

/// Whether groups share a scale; where they measure different things, each has its own.
enum class map_scales { shared, own };

/// A group for each site, with the maps that the given groups have of it.
inline std::vector<map_group> by_site(const std::vector<named_group>& groups, map_scales scales,
                                      const std::string& note = {}) {
  double largest = 0;
  for (const named_group& one : groups) largest = std::max(largest, one.group.reach());
  std::vector<map_group> sites;
  for (const auto& [name, group] : groups)
    for (const heat_map& map : group.maps) {
      auto site = std::ranges::find(sites, map.title, &map_group::title);
      if (site == sites.end())
        site = sites.insert(
            site,
            {.title = map.title, .note = note, .quantity = scales == map_scales::shared ? group.quantity : "score"});
      heat_map& shown = site->maps.emplace_back(map);
      shown.title += ", " + name;
      shown.reach = scales == map_scales::shared ? largest : group.reach();
    }
  return sites;
}

/// Names of the places of a position key without a prompt.
inline std::vector<std::string> names_of(const position_key& key) {
  std::vector<std::string> names;
  for (index_t i = 0; i < key.count(); ++i) {
    const std::string number = std::to_string(i);
    switch (key.by()) {
      case position_key::kind::absolute: names.push_back(number); break;
      case position_key::kind::from_end: names.push_back(i == 0 ? "end" : "end-" + number); break;
      case position_key::kind::role: names.push_back(key.roles()[static_cast<std::size_t>(i)]); break;
      case position_key::kind::shared: names.push_back("all tokens"); break;
    }
  }
  return names;
}

/// One number as it is, several by their Euclidean norm.
inline double size_of(std::span<const double> numbers) {
  if (numbers.size() == 1) return numbers.front();
  double square = 0;
  for (double x : numbers) square += x * x;
  return std::sqrt(square);
}

namespace detail {

/// A map with `value(layer, position, part)` at each place.
template <typename F>
heat_map map_by(const parameter_block& block, std::vector<std::string> places, F value) {
  heat_map map{block.site, {}, std::move(places), {}, {}, 0};
  const index_t count = block.positions.count();
  if (static_cast<index_t>(map.columns.size()) != count) map.columns = names_of(block.positions);
  for (std::size_t k = 0; k < block.layers.size(); ++k)
    for (index_t part = 0; part < block.parts; ++part) {
      map.rows.push_back(std::to_string(block.layers[k]) + (block.parts > 1 ? "." + std::to_string(part) : ""));
      std::vector<double>& row = map.values.emplace_back();
      for (index_t i = 0; i < count; ++i) row.push_back(value(static_cast<index_t>(k), i, part));
    }
  return map;
}

}  // namespace detail

/// The map of one parameter of an intervention; `places` names its positions (tokens of a prompt, roles), or is empty
/// for `names_of` the key.
inline heat_map map_of(const parameters& p, const parameter_block& block, const parameter_slice& slice,
                       std::vector<std::string> places = {}) {
  return detail::map_by(block, std::move(places), [&](index_t k, index_t position, index_t part) {
    return size_of(p.record(block, k, position, part)
                       .subspan(static_cast<std::size_t>(slice.offset), static_cast<std::size_t>(slice.extent)));
  });
}

/// The map of an intervention with all that minimality weighs of its parameters taken together.
inline heat_map map_of(const parameters& p, const parameter_block& block, std::vector<std::string> places = {}) {
  if (block.weighs_each()) return map_of(p, block, {"", 0, block.record_size}, std::move(places));
  return detail::map_by(block, std::move(places), [&](index_t k, index_t position, index_t part) {
    return norm_of_record(block, p.record(block, k, position, part), 0);
  });
}

/// The map in reading order: places that are counted from the end are reversed.
inline heat_map in_reading_order(heat_map map, const position_key& key) {
  if (key.by() != position_key::kind::from_end) return map;
  for (std::size_t c = map.columns.size(); c-- > 0;) map.places.push_back(static_cast<index_t>(c));
  std::ranges::reverse(map.columns);
  for (auto& row : map.values) std::ranges::reverse(row);
  for (auto& row : map.words) std::ranges::reverse(row);
  return map;
}

}  // namespace trimtab::report
