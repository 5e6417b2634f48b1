// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "options.hpp"

#include <string>
#include <vector>

/// Nothing that a command writes may replace what it reads, or something else that it writes.

namespace trimtab::cli {

struct named_file {
  std::string name;  ///< what a complaint calls it, such as the option
  path file;
};

/// What a command line reads and writes, gathered while it is read.
struct files_in_use {
  std::vector<named_file> inputs = {}, outputs = {};
  path model = {};  ///< its folder
};

/// Throws `usage_error` where two names stand for one file: by the same path however spelt, by a symbolic link, also to
/// what is not there yet, or by a hard link. A checkpoint may be the one that is resumed.
void require_own_files(const files_in_use& used);

}  // namespace trimtab::cli
