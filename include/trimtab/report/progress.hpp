// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/view.hpp>

#include <chrono>
#include <cstdio>
#include <string>
#include <unistd.h>
#include <utility>

/// A line on standard error that shows how far long work is, at what rate, and how long it will still take. It is drawn
/// only on a terminal, at most ten times a second, and removed at the end.

namespace trimtab::report {

class progress_bar {
 public:
  progress_bar(std::string label, index_t total, bool wanted = true)
      : label_(std::move(label)), total_(total), shown_(wanted and total > 0 and isatty(STDERR_FILENO) == 1) {}
  progress_bar(progress_bar const&) = delete;
  progress_bar& operator=(progress_bar const&) = delete;
  ~progress_bar() {
    if (drawn_) std::fputs("\r\033[K", stderr);
  }

  void show(index_t done, std::string const& note = {}) {
    const auto now = clock::now();
    if (not shown_ or (drawn_ and now - last_ < std::chrono::milliseconds(100))) return;
    last_ = now;
    drawn_ = true;
    const double seconds = std::chrono::duration<double>(now - start_).count();
    const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
    const int filled = static_cast<int>(24 * done / total_);
    std::string bar;
    for (int k = 0; k < 24; ++k) bar += k < filled ? "\xE2\x96\x88" : "\xE2\x96\x91";
    std::fprintf(stderr, "\r\033[K%s %s %td/%td  %.0f/s  %.0f s left  %s", label_.c_str(), bar.c_str(), done, total_,
                 rate, rate > 0 ? static_cast<double>(total_ - done) / rate : 0.0, note.c_str());
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
