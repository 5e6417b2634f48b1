// SPDX-License-Identifier: Apache-2.0

#include "memory.hpp"

#include "ranks.hpp"

#include <trimtab/core/error.hpp>

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <utility>

namespace trimtab::cli {

namespace {

constexpr index_t unlimited = std::numeric_limits<index_t>::max();

/// The number in a file of one line; nothing where there is none, as in "max".
std::optional<index_t> number_in(const std::string& file) {
  std::ifstream in(file);
  index_t number = 0;
  return in >> number ? std::optional(number) : std::nullopt;
}

/// "MemAvailable:   123 kB" of a file of the kernel's, in bytes.
std::optional<index_t> kilobytes_of(const std::string& file, const std::string& name) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string first;
    index_t number = 0;
    if (words >> first >> number and first == name + ":") return number * 1024;
  }
  return std::nullopt;
}

/// The folders of this process's control groups, innermost first: of version 2, and of version 1's memory controller.
std::vector<std::string> control_groups() {
  std::vector<std::string> folders;
  std::ifstream in("/proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {  // "0::/path", or "4:memory:/path"
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (second == line.npos) continue;
    const auto controller = line.substr(first + 1, second - first - 1);
    if (not controller.empty() and controller != "memory") continue;
    const std::string root = controller.empty() ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    for (std::string path = line.substr(second + 1);; path.erase(path.rfind('/'))) {
      folders.push_back(root + path);
      if (path.find('/') == path.npos) break;
    }
  }
  return folders;
}

/// "name 123" of a file of a control group.
index_t number_named(const std::string& file, const std::string& name) {
  std::ifstream in(file);
  std::string first;
  for (index_t number = 0; in >> first >> number;)
    if (first == name) return number;
  return 0;
}

/// What the control groups leave. Pages of files that nobody maps, such as those of weights that were just read, go where
/// room is needed.
index_t left_by_groups() {
  index_t least = unlimited;
  for (const auto& folder : control_groups())
    for (const auto& [limit, used] :
         {std::pair("/memory.max", "/memory.current"), std::pair("/memory.limit_in_bytes", "/memory.usage_in_bytes")})
      if (const auto most = number_in(folder + limit), now = number_in(folder + used); most and now)
        least = std::min(least, std::clamp<index_t>(
                                    *most - *now + number_named(folder + "/memory.stat", "inactive_file"), 0, *most));
  return least;
}

}  // namespace

index_t memory_of_program() {
  constexpr index_t to_come = 6'000'000;  // code is read in page by page as it runs; seen: 3 to 6 MB
  return kilobytes_of("/proc/self/status", "VmRSS").value_or(0) + to_come;
}

index_t memory_left() {
  index_t left = std::min(kilobytes_of("/proc/meminfo", "MemAvailable").value_or(unlimited), left_by_groups());
  rlimit space{};
  if (::getrlimit(RLIMIT_AS, &space) == 0 and space.rlim_cur != RLIM_INFINITY)
    left = std::min(left, std::max<index_t>(0, static_cast<index_t>(space.rlim_cur) -
                                                   kilobytes_of("/proc/self/status", "VmSize").value_or(0)));
  return left;
}

index_t memory_bound(const std::optional<index_t>& asked, index_t known) {
  if (asked) return *asked;
  const index_t left = memory_left();
  return left == unlimited ? unlimited : std::max(memory_of_program(), known) + left / 5 * 4 / ranks_on_this_machine();
}

index_t left_for_work(const std::optional<index_t>& asked, const common_options& common) {
  if (common.backend == machine::cuda) return asked.value_or(0);
  const index_t most = memory_bound(asked), taken = memory_of_program();
  if (taken >= most)
    throw error(error_kind::memory, "the program takes " + bytes_text(static_cast<double>(taken)) +
                                        " with the model and the prompts, and may take " +
                                        bytes_text(static_cast<double>(most)) + "; allow more with --memory");
  return most - taken;
}

}  // namespace trimtab::cli
