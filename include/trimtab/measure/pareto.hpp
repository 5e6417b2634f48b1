// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/view.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <utility>
#include <vector>

/// What several interventions trade against each other: how often they flip the answer, how much else they change, and
/// how many places they need. The front are those that no other betters; its knee is the point
/// farthest from the chord between its ends.

namespace trimtab {

/// One intervention, measured on the same prompts as the others.
struct trade_off {
  double flip_rate = 0;  ///< the smallest over its strengths; larger is better
  double kl = 0;         ///< masked; smaller is better
  index_t places = 0;    ///< not zero; fewer are better

  friend bool operator==(const trade_off&, const trade_off&) = default;
};

/// Whether `a` is at least as good as `b` in all three figures and better in one.
inline bool dominates(const trade_off& a, const trade_off& b) {
  return a.flip_rate >= b.flip_rate and a.kl <= b.kl and a.places <= b.places and not(a == b);
}

/// The indices of the points that no other dominates, ascending.
inline std::vector<std::size_t> front_of(std::span<const trade_off> points) {
  std::vector<std::size_t> front;
  for (std::size_t i = 0; i < points.size(); ++i)
    if (std::ranges::none_of(points, [&](const trade_off& other) { return dominates(other, points[i]); }))
      front.push_back(i);
  return front;
}

/// The point of a front that is farthest from the chord between its ends, the one with the highest flip rate and the
/// one with the fewest places; figures are scaled to [0, 1] over the front. If one point is both ends it is the knee.
/// Nothing for an empty front.
inline std::optional<std::size_t> knee_of(std::span<const trade_off> points, std::span<const std::size_t> front) {
  if (front.empty()) return std::nullopt;
  using vector = std::array<double, 3>;
  const auto figures = [&](std::size_t i) {
    return vector{points[i].flip_rate, points[i].kl, static_cast<double>(points[i].places)};
  };
  vector least = figures(front[0]), most = least;
  for (std::size_t i : front)
    for (std::size_t k = 0; k < 3; ++k) {
      least[k] = std::min(least[k], figures(i)[k]);
      most[k] = std::max(most[k], figures(i)[k]);
    }
  const auto scaled = [&](std::size_t i) {
    vector x = figures(i);
    for (std::size_t k = 0; k < 3; ++k) x[k] = most[k] > least[k] ? (x[k] - least[k]) / (most[k] - least[k]) : 0;
    return x;
  };
  const auto dot = [](const vector& a, const vector& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; };
  const auto minus = [](const vector& a, const vector& b) { return vector{a[0] - b[0], a[1] - b[1], a[2] - b[2]}; };

  // Of points that tie at an end, none dominates the other: the better one in the third figure is worse in the second.
  const auto flips_most = [&](std::size_t a, std::size_t b) {
    return std::pair(-points[a].flip_rate, points[a].kl) < std::pair(-points[b].flip_rate, points[b].kl);
  };
  const auto has_fewest = [&](std::size_t a, std::size_t b) {
    return std::pair(points[a].places, -points[a].flip_rate) < std::pair(points[b].places, -points[b].flip_rate);
  };
  const std::size_t first = *std::ranges::min_element(front, flips_most);
  const std::size_t last = *std::ranges::min_element(front, has_fewest);
  const vector from = scaled(first), chord = minus(scaled(last), from);
  const double length2 = dot(chord, chord);
  if (length2 == 0) return first;
  const auto distance2 = [&](std::size_t i) {
    const vector x = minus(scaled(i), from);
    return dot(x, x) - dot(x, chord) * dot(x, chord) / length2;
  };
  return *std::ranges::max_element(front, {}, distance2);
}

/// The volume between the front and its worst corner: no flips, the KL of the worst point, all places. In units of
/// flip rate × nats × places.
inline double hypervolume(std::span<const trade_off> points, double worst_kl, index_t all_places) {
  std::vector<trade_off> sorted(points.begin(), points.end());
  std::ranges::sort(sorted, {}, &trade_off::places);
  double volume = 0;
  for (std::size_t n = 1; n <= sorted.size(); ++n) {
    // Between this point's number of places and the next one's, the first n points cover one area.
    const index_t here = std::min(sorted[n - 1].places, all_places);
    const index_t next = n < sorted.size() ? std::min(sorted[n].places, all_places) : all_places;
    if (next == here) continue;
    std::vector<trade_off> covering(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(n));
    std::ranges::sort(covering, {}, &trade_off::kl);
    double area = 0, flips = 0;
    for (const trade_off& p : covering) {
      if (p.flip_rate <= flips or p.kl >= worst_kl) continue;
      area += (p.flip_rate - flips) * (worst_kl - p.kl);
      flips = p.flip_rate;
    }
    volume += area * static_cast<double>(next - here);
  }
  return volume;
}

}  // namespace trimtab
