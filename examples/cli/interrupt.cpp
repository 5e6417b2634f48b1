// SPDX-License-Identifier: Apache-2.0

#include "interrupt.hpp"

namespace trimtab::cli {

namespace {

volatile std::sig_atomic_t signal_that_came = 0;

bool is_ignored(int signal) {
  struct sigaction now = {};
  return sigaction(signal, nullptr, &now) == 0 and now.sa_handler == SIG_IGN;
}

}  // namespace

interrupt_watch::interrupt_watch() {
  struct sigaction watch = {};
  watch.sa_handler = [](int signal) {
    signal_that_came = signal;
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
