// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/report/picture/palette.hpp>
#include <trimtab/report/text.hpp>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

/// A picture in SVG as a file for papers: vectors only, light colours, no external resources.

namespace trimtab::report::detail {

/// SVG markup under construction, in pixels.
class svg_canvas {
 public:
  static std::string pixels(double x) { return exact(std::round(x * 10) / 10); }

  void rectangle(double x, double y, double width, double height, const std::string& fill, const std::string& title) {
    reach(x + width, y + height);
    out_ += element("rect",
                    {{"x", pixels(x)},
                     {"y", pixels(y)},
                     {"width", pixels(width)},
                     {"height", pixels(height)},
                     {"fill", fill},
                     {"stroke", hex(light.line)},
                     {"stroke-width", "0.5"}},
                    title.empty() ? std::string() : element_of_text("title", title)) +
            "\n";
  }
  void stroke(double x1, double y1, double x2, double y2) {
    out_ += element("line", {{"x1", pixels(x1)},
                             {"y1", pixels(y1)},
                             {"x2", pixels(x2)},
                             {"y2", pixels(y2)},
                             {"stroke", hex(light.line)},
                             {"stroke-width", "0.7"}}) +
            "\n";
  }
  /// `anchor` is start, middle or end; upright text is read from below.
  void text(double x, double y, const std::string& content, const std::string& anchor, double size = 10,
            bool upright = false, bool bold = false, colour ink = light.text) {
    const double length = 0.6 * size * static_cast<double>(characters(content));
    reach(upright ? x : anchor == "start" ? x + length : x, upright ? y + length : y + 3);
    std::vector<attribute> attributes{
        {"x", pixels(x)}, {"y", pixels(y)}, {"text-anchor", anchor}, {"font-size", pixels(size)}};
    if (upright) attributes.push_back({"transform", "rotate(-90 " + pixels(x) + " " + pixels(y) + ")"});
    if (bold) attributes.push_back({"font-weight", "bold"});
    if (ink != light.text) attributes.push_back({"fill", hex(ink)});
    out_ += element_of_text("text", content, attributes) + "\n";
  }

  /// A picture in a frame of its own.
  void picture(double x, double y, double width, double height, const std::string& markup) {
    reach(x + width, y + height);
    out_ += element("svg",
                    {{"x", pixels(x)},
                     {"y", pixels(y)},
                     {"width", pixels(width)},
                     {"height", pixels(height)},
                     {"viewBox", "0 0 " + pixels(width) + " " + pixels(height)},
                     {"class", "chart"}},
                    markup) +
            "\n";
  }

  double bottom() const { return bottom_; }

  /// The file; `rules` say how classes of pictures look.
  std::string file(const std::string& title, const std::string& rules = {}) const {
    const std::string width = pixels(right_ + 12), height = pixels(bottom_ + 12);
    return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" +
           element("svg",
                   {{"xmlns", "http://www.w3.org/2000/svg"},
                    {"width", width},
                    {"height", height},
                    {"viewBox", "0 0 " + width + " " + height},
                    {"role", "img"},
                    {"aria-label", title},
                    {"font-family", "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"},
                    {"fill", hex(light.text)},
                    {"style", "background: " + hex(light.page)}},  // on dark pages too
                   "\n" + element_of_text("title", title) + "\n" +
                       (rules.empty() ? "" : element("style", {}, rules) + "\n") + out_) +
           "\n";
  }

 private:
  void reach(double x, double y) { right_ = std::max(right_, x), bottom_ = std::max(bottom_, y); }

  std::string out_ = {};
  double right_ = 0, bottom_ = 0;
};

}  // namespace trimtab::report::detail
