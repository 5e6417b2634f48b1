// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/view.hpp>
#include <trimtab/report/table.hpp>
#include <trimtab/report/terminal/terminal.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <string>
#include <utility>

/// A line on standard error that shows how much of a long task is done, at what rate, and the time left. It is drawn
/// only on a terminal, at most ten times a second, and removed at the end.

namespace trimtab::report {

/// "0:07", "12:30", "3:05:00"
inline std::string duration(double seconds) {
  const auto whole = static_cast<long long>(std::ceil(std::min(seconds, 1e9)));
  char text[64];
  if (whole >= 3600)
    std::snprintf(text, sizeof text, "%lld:%02lld:%02lld", whole / 3600, whole / 60 % 60, whole % 60);
  else
    std::snprintf(text, sizeof text, "%lld:%02lld", whole / 60, whole % 60);
  return text;
}

/// The line as text, cut to `width` columns: fit ███████░░░░░ 70/120  14/s  0:04 left  loss 0.3120
inline std::string progress_line(const std::string& label, index_t done, index_t total, double seconds,
                                 const std::string& note, int width) {
  constexpr int cells = 24;
  const auto filled =
      static_cast<int>(cells * std::clamp<double>(static_cast<double>(done) / static_cast<double>(total), 0, 1));
  std::string line = label + " ";
  for (int k = 0; k < cells; ++k) line += k < filled ? "\xE2\x96\x88" : "\xE2\x96\x91";
  line += " " + std::to_string(done) + "/" + std::to_string(total);
  if (done > 0 and seconds > 0) {
    const double rate = static_cast<double>(done) / seconds;
    line += rate >= 1 ? "  " + number(rate, rate < 10 ? 1 : 0) + "/s" : "  " + number(1 / rate, 1) + " s each";
    line += "  " + duration(static_cast<double>(total - done) / rate) + " left";
  }
  if (not note.empty()) line += "  " + note;

  // A line that wraps could not be erased.
  int column = 0;
  for (std::size_t i = 0; i < line.size(); ++i)
    if ((static_cast<unsigned char>(line[i]) & 0xC0) != 0x80 and ++column > width) return line.substr(0, i);
  return line;
}

class progress_bar {
 public:
  progress_bar(std::string label, index_t total, bool wanted = true)
      : label_(std::move(label)), total_(total), shown_(wanted and total > 0 and is_terminal(STDERR_FILENO)) {}
  progress_bar(const progress_bar&) = delete;
  progress_bar& operator=(const progress_bar&) = delete;
  ~progress_bar() {
    if (drawn_) std::fputs("\r\033[K", stderr);
  }

  void show(index_t done, const std::string& note = {}) {
    const auto now = clock::now();
    if (not shown_ or (drawn_ and now - last_ < std::chrono::milliseconds(100))) return;
    last_ = now;
    drawn_ = true;
    const double seconds = std::chrono::duration<double>(now - start_).count();
    // One column is left free: some terminals wrap when the last one is written.
    const auto line = progress_line(label_, done, total_, seconds, note, width_of(STDERR_FILENO) - 1);
    std::fprintf(stderr, "\r\033[K%s", line.c_str());
    std::fflush(stderr);
  }

 private:
  using clock = std::chrono::steady_clock;

  std::string label_;
  index_t total_;
  bool shown_;
  bool drawn_ = false;
  clock::time_point start_ = clock::now(), last_ = {};
};

}  // namespace trimtab::report
