// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>

/// How many threads this process may use: OMP_NUM_THREADS if it is set, else the processors in its affinity mask, but
/// no more than the CPU quota of its control group.

namespace trimtab::eigen {

namespace detail {

/// The number that OMP_NUM_THREADS begins with ("4" or "4,2"), or 0 where it holds none.
inline int threads_asked_for() {
  const char* const value = std::getenv("OMP_NUM_THREADS");
  if (value == nullptr) return 0;
  std::string_view text = value;
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  int threads = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), threads);
  const bool ends = end == text.data() + text.size() or *end == ',' or *end == ' ';
  return problem == std::errc() and ends and threads > 0 ? std::min(threads, 4096) : 0;
}

/// Processors in the affinity mask, or in the machine where the mask cannot be read.
inline int processors() {
  cpu_set_t mask;
  if (sched_getaffinity(0, sizeof mask, &mask) == 0) return std::max(1, CPU_COUNT(&mask));
  return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

/// The whole processors, at least 1, in a "quota period" of control groups version 2 (both in microseconds); 0 for
/// "max" or other text. Rounded down, because throttled threads make the others wait.
inline int processors_paid_for(std::string_view quota_and_period) {
  double numbers[2] = {};
  for (double& number : numbers) {
    quota_and_period.remove_prefix(std::min(quota_and_period.find_first_not_of(" \n"), quota_and_period.size()));
    const auto [end, problem] =
        std::from_chars(quota_and_period.data(), quota_and_period.data() + quota_and_period.size(), number);
    if (problem != std::errc() or not(number > 0)) return 0;
    quota_and_period.remove_prefix(static_cast<std::size_t>(end - quota_and_period.data()));
  }
  return std::clamp(static_cast<int>(std::min(numbers[0] / numbers[1], 4096.0)), 1, 4096);
}

inline std::string first_line_of(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

/// The smallest quota of the group and its parents; 0 without one.
inline int quota_of_control_group(const std::filesystem::path& root = "/sys/fs/cgroup",
                                  const std::filesystem::path& membership = "/proc/self/cgroup") {
  int least = 0;
  const auto consider = [&](int processors) {
    if (processors > 0) least = least == 0 ? processors : std::min(least, processors);
  };
  std::ifstream groups(membership);
  for (std::string line; std::getline(groups, line);) {
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1), group = line.substr(second + 1);
    const bool version_2 = controllers.empty();
    if (not version_2 and ("," + controllers + ",").find(",cpu,") == std::string::npos) continue;
    const std::filesystem::path top = version_2 ? root : root / controllers;
    // In a container the path may be the host's: folders that do not exist are skipped, up to a visible group.
    auto below = std::filesystem::path(group).relative_path();
    for (;; below = below.parent_path()) {
      const auto folder = top / below;
      if (version_2)
        consider(processors_paid_for(first_line_of(folder / "cpu.max")));
      else
        consider(processors_paid_for(first_line_of(folder / "cpu.cfs_quota_us") + " " +
                                     first_line_of(folder / "cpu.cfs_period_us")));
      if (below.empty()) break;
    }
  }
  return least;
}

}  // namespace detail

inline int available_threads() {
  if (const int asked = detail::threads_asked_for(); asked > 0) return asked;
  const int processors = detail::processors(), paid_for = detail::quota_of_control_group();
  return paid_for > 0 ? std::min(processors, paid_for) : processors;
}

}  // namespace trimtab::eigen
