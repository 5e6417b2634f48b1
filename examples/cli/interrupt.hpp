// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <csignal>
#include <string>

/// How long work is interrupted: `fit` and `sweep` end after the current step and write what they have.

namespace trimtab::cli {

inline volatile std::sig_atomic_t interrupted = 0;  ///< the signal that interrupted the work

/// While an object of this class lives, Ctrl-C (SIGINT), SIGTERM, or SIGHUP (the terminal closes) ends the work after
/// the current step; a second signal, of any of the three, ends it immediately. Signals that were ignored before, as under
/// nohup or in a shell's background, stay ignored.
class interrupt_watch {
 public:
  interrupt_watch() {
    struct sigaction watch = {};
    watch.sa_handler = [](int signal) {
      interrupted = signal;
      for (const int next : watched_signals)
        if (not is_ignored(next)) std::signal(next, SIG_DFL);
    };
    watch.sa_flags = SA_RESTART;
    for (auto& [signal, before] : watched_) {
      sigaction(signal, nullptr, &before);
      if (not is_ignored(signal)) sigaction(signal, &watch, nullptr);
    }
  }
  interrupt_watch(const interrupt_watch&) = delete;
  interrupt_watch& operator=(const interrupt_watch&) = delete;
  ~interrupt_watch() {
    for (const auto& [signal, before] : watched_) sigaction(signal, &before, nullptr);
  }

  static std::string name_of(int signal) {
    return signal == SIGINT ? "Ctrl-C" : signal == SIGTERM ? "SIGTERM" : "SIGHUP";
  }

 private:
  static constexpr std::array watched_signals = {SIGINT, SIGTERM, SIGHUP};

  static bool is_ignored(int signal) {
    struct sigaction now = {};
    return sigaction(signal, nullptr, &now) == 0 and now.sa_handler == SIG_IGN;
  }

  struct handled {
    int signal;
    struct sigaction before = {};
  };
  std::array<handled, watched_signals.size()> watched_ = {{{SIGINT}, {SIGTERM}, {SIGHUP}}};
};

}  // namespace trimtab::cli
