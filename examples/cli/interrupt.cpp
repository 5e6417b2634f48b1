// SPDX-License-Identifier: Apache-2.0

#include "interrupt.hpp"

#include <trimtab/report/terminal/terminal.hpp>

#include <cerrno>

#include <unistd.h>

namespace trimtab::cli {

namespace {

volatile std::sig_atomic_t signal_that_came = 0;

/// What a handler says, made before any signal comes: a handler may not allocate.
std::string acknowledgement;

bool is_ignored(int signal) {
  struct sigaction now = {};
  return sigaction(signal, nullptr, &now) == 0 and now.sa_handler == SIG_IGN;
}

}  // namespace

interrupt_watch::interrupt_watch(const std::string& what) {
  const std::string clear_line = report::is_terminal(STDERR_FILENO) ? "\r\033[K" : "";  // of a progress bar
  acknowledgement = clear_line + "trimtab: " + what + "; a second signal ends it at once\n";
  struct sigaction watch = {};
  watch.sa_handler = [](int signal) {
    signal_that_came = signal;
    const auto before = errno;
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, acknowledgement.data(), acknowledgement.size());
    errno = before;
    for (const int next : {SIGINT, SIGTERM, SIGHUP})
      if (not is_ignored(next)) std::signal(next, SIG_DFL);
  };
  watch.sa_flags = SA_RESTART;
  for (auto& [signal, before] : watched_) {
    sigaction(signal, nullptr, &before);
    if (not is_ignored(signal)) sigaction(signal, &watch, nullptr);
  }
}

interrupt_watch::~interrupt_watch() {
  for (const auto& [signal, before] : watched_) sigaction(signal, &before, nullptr);
}

int interrupt_watch::signal() { return signal_that_came; }

std::string interrupt_watch::name_of(int signal) {
  return signal == SIGINT ? "Ctrl-C" : signal == SIGTERM ? "SIGTERM" : "SIGHUP";
}

}  // namespace trimtab::cli
