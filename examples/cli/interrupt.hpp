// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <csignal>
#include <string>

/// Signals that end a long command early without losing what it has done.

namespace trimtab::cli {

/// While an object of this class lives, Ctrl-C (SIGINT), SIGTERM, or SIGHUP (the terminal closes) is noted, and the
/// command ends where it can; a second signal, of any of the three, ends it immediately. Both are said on standard error
/// at once. Signals that were ignored before, as under nohup or in a shell's background, stay ignored.
class interrupt_watch {
 public:
  /// `what` happens now: "the fit ends within this step".
  explicit interrupt_watch(const std::string& what);
  interrupt_watch(const interrupt_watch&) = delete;
  interrupt_watch& operator=(const interrupt_watch&) = delete;
  ~interrupt_watch();

  /// The signal that came, or 0.
  static int signal();
  /// "Ctrl-C"
  static std::string name_of(int signal);
  /// The exit status of a command that the signal ended: 0 for Ctrl-C, which the user chose.
  static int status_of(int signal) { return signal == SIGINT or signal == 0 ? 0 : 128 + signal; }

 private:
  struct handled {
    int signal;
    struct sigaction before = {};
  };
  std::array<handled, 3> watched_ = {{{SIGINT}, {SIGTERM}, {SIGHUP}}};
};

}  // namespace trimtab::cli
