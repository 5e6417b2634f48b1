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
};

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

/// One number as it is, several by their Euclidean norm.
inline double size_of(std::span<const double> numbers) {
  if (numbers.size() == 1) return numbers.front();
  double square = 0;
  for (double x : numbers) square += x * x;
  return std::sqrt(square);
}

}  // namespace detail

/// The map of one parameter of an intervention; `places` names its positions (tokens of a prompt, roles), or is empty
/// for `names_of` the key.
inline heat_map map_of(const parameters& p, const parameter_block& block, const parameter_slice& slice,
                       std::vector<std::string> places = {}) {
  return detail::map_by(block, std::move(places), [&](index_t k, index_t position, index_t part) {
    return detail::size_of(
        p.record(block, k, position, part)
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
  return map;
}

}  // namespace trimtab::report
