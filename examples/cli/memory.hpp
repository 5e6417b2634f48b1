// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "options.hpp"

#include <trimtab/core/view.hpp>

#include <optional>

/// The memory that this process takes and may take, in bytes.

namespace trimtab::cli {

/// What it takes now, its resident set, and what its code and the small pieces of its heap will add to that while it works.
index_t memory_of_program();

/// What is left: the least of the machine's available memory, the rest of the control group's limit, and the rest of
/// the limit on the address space.
index_t memory_left();

/// The most that the process may take in all: what was asked for, or what it takes now and 80 % of what is
/// left, which the ranks on this machine share. It takes at least `known` bytes: of weights that ranks share, those that it
/// has not touched yet are not in its resident set.
index_t memory_bound(const std::optional<index_t>& asked, index_t known = 0);

/// What the bound leaves for work on the CPU, 0 for no bound: on a device, whose memory is another, unless one was asked
/// for. Throws `memory` where the process takes all of it already.
index_t left_for_work(const std::optional<index_t>& asked, const common_options& common);

}  // namespace trimtab::cli
