// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "describe.hpp"

namespace trimtab::cli {

/// Which options go together: throws `usage_error`, or `bad_argument` for a value, where they do not, and completes what
/// follows from them. `line.name` is the command's.
void require_consistent(command_line& line, description& d);

}  // namespace trimtab::cli
