// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <string>

/// Every colour of pages and pictures, for light and for dark surroundings. Blue and red, and the four colours of
/// lines, can be told apart with red-green colour blindness; text and marks keep the contrast that WCAG 2.1 asks for
/// (4.5 for text, 3 for marks), which a test computes.

namespace trimtab::report {

struct colour {
  int red = 0, green = 0, blue = 0;

  friend bool operator==(const colour&, const colour&) = default;
};

constexpr colour rgb(int hex) { return {hex >> 16 & 0xFF, hex >> 8 & 0xFF, hex & 0xFF}; }

inline std::string hex(colour c) {
  char text[8];
  std::snprintf(text, sizeof text, "#%02x%02x%02x", static_cast<unsigned>(c.red) & 0xFF,
                static_cast<unsigned>(c.green) & 0xFF, static_cast<unsigned>(c.blue) & 0xFF);
  return text;
}

/// How different two colours are in brightness, 1 to 21, as WCAG 2.1 defines it.
inline double contrast(colour a, colour b) {
  const auto linear = [](int channel) {
    const double x = channel / 255.0;
    return x <= 0.04045 ? x / 12.92 : std::pow((x + 0.055) / 1.055, 2.4);
  };
  const auto luminance = [&](colour c) {
    return 0.2126 * linear(c.red) + 0.7152 * linear(c.green) + 0.0722 * linear(c.blue);
  };
  const auto [dark, light] = std::minmax({luminance(a), luminance(b)});
  return (light + 0.05) / (dark + 0.05);
}

struct theme {
  colour page, panel, text, muted, line;
  std::array<colour, 5> below, above;  ///< from the centre of a diverging scale outwards
  std::array<colour, 4> marks;         ///< of the lines of a chart
};

inline constexpr theme light{
    .page = rgb(0xffffff),
    .panel = rgb(0xf6f7f9),
    .text = rgb(0x1a1d21),
    .muted = rgb(0x5b6470),
    .line = rgb(0xd9dde3),
    .below = {rgb(0xf4f8fb), rgb(0xcfe3f1), rgb(0x8fc1e0), rgb(0x3f8ec4), rgb(0x1b5a9c)},
    .above = {rgb(0xfdf5f1), rgb(0xfbd8c6), rgb(0xf2a283), rgb(0xd45f4a), rgb(0xa71d2e)},
    .marks = {rgb(0x0a66a8), rgb(0xc2470a), rgb(0x0b7f5e), rgb(0x9a3f86)},
};

inline constexpr theme dark{
    .page = rgb(0x14171b),
    .panel = rgb(0x1d2126),
    .text = rgb(0xe8eaed),
    .muted = rgb(0xa3abb5),
    .line = rgb(0x363c44),
    .below = {rgb(0x1d262f), rgb(0x1f3b55), rgb(0x275f90), rgb(0x4a97d2), rgb(0xa5d3f5)},
    .above = {rgb(0x2d2220), rgb(0x512a25), rgb(0x8f3d31), rgb(0xd9705a), rgb(0xf9c3ae)},
    .marks = {rgb(0x62b5ee), rgb(0xf59056), rgb(0x3fcf9f), rgb(0xe08fcd)},
};

/// Steps of a diverging scale on either side; step 0 is the centre.
inline constexpr int shades = 10;

/// The colour of a step from -shades to +shades.
inline colour shade(const theme& t, int step) {
  if (step == 0) return t.page;
  const auto& stops = step < 0 ? t.below : t.above;
  const double at = (std::abs(step) - 1) * (static_cast<double>(stops.size()) - 1) / (shades - 1);
  const auto first = std::min(static_cast<std::size_t>(at), stops.size() - 2);
  const double part = at - static_cast<double>(first);
  const auto mixed = [&](int colour::*channel) {
    const double value = (1 - part) * (stops[first].*channel) + part * (stops[first + 1].*channel);
    return static_cast<int>(std::lround(value));
  };
  return {mixed(&colour::red), mixed(&colour::green), mixed(&colour::blue)};
}

/// Black or white, whichever is more legible on the surface.
inline colour ink_on(colour surface) {
  const colour black = rgb(0x000000), white = rgb(0xffffff);
  return contrast(surface, black) >= contrast(surface, white) ? black : white;
}

/// The step of a number on a scale that ends `reach` from the centre; only the centre itself has step 0.
inline int step_of(double from_centre, double reach) {
  if (from_centre == 0 or not(reach > 0)) return 0;
  const int step = std::clamp(static_cast<int>(std::ceil(shades * std::abs(from_centre) / reach)), 1, shades);
  return from_centre < 0 ? -step : step;
}

}  // namespace trimtab::report
