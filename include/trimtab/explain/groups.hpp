// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/communicator.hpp>
#include <trimtab/core/error.hpp>
#include <trimtab/core/prompt_pair.hpp>
#include <trimtab/core/view.hpp>

#include <span>
#include <string>

/// Prompts in groups whose runs fit a bound on memory. No score depends on the groups.

namespace trimtab::explain {

inline constexpr index_t usual_memory = index_t{1} << 30;  ///< of a map unless it is told otherwise, in bytes

}  // namespace trimtab::explain

namespace trimtab::explain::detail {

/// Calls f(index of the first, prompts) for consecutive groups of prompts, each as large as the bound allows:
/// bytes(tokens, prompts) is what a group takes. A bound of 0 is 1 GiB, or what the largest prompt takes. Throws
/// `memory` for a prompt that takes more than the bound.
template <typename Bytes, typename F>
void each_group(std::span<const prompt_pair> prompts, index_t bound, Bytes bytes, F f) {
  const index_t most = bound > 0 ? bound : usual_memory;
  for (std::size_t first = 0; first < prompts.size();) {
    std::size_t count = 1;
    index_t tokens = std::ssize(prompts[first].ids);
    if (const index_t needed = bytes(tokens, 1); bound > 0 and needed > bound)
      throw error(error_kind::memory,
                  "these places of a prompt of " + std::to_string(tokens) + " tokens take " +
                      bytes_text(static_cast<double>(needed)) + " of memory, more than the " +
                      bytes_text(static_cast<double>(bound)) +
                      " that are left for them; allow more, or ask for fewer sites or layers at a time");
    for (; first + count < prompts.size(); ++count) {
      const index_t more = tokens + std::ssize(prompts[first + count].ids);
      if (bytes(more, static_cast<index_t>(count) + 1) > most) break;
      tokens = more;
    }
    f(first, prompts.subspan(first, count));
    first += count;
  }
}

/// The same with the prompts of the calling rank; the index is among all.
template <typename Bytes, typename F>
void each_group(const any_communicator& ranks, std::span<const prompt_pair> prompts, index_t bound, Bytes bytes, F f) {
  const item_range own = own_share(ranks, std::ssize(prompts));
  const auto begin = static_cast<std::size_t>(own.first);
  each_group(prompts.subspan(begin, static_cast<std::size_t>(own.count())), bound, bytes,
             [&](std::size_t first, std::span<const prompt_pair> some) { f(begin + first, some); });
}

}  // namespace trimtab::explain::detail
