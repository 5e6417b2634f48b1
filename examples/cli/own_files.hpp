// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "options.hpp"

#include <string>
#include <vector>

/// A command must not write over a file that it reads, nor write two outputs to one file.

namespace trimtab::cli {

struct named_file {
  std::string name;  ///< its name in an error, such as the option
  path file;
};

/// The files that a command reads and writes, gathered while the command line is parsed.
struct files_in_use {
  std::vector<named_file> inputs = {}, outputs = {};
  path model = {};  ///< its folder
};

/// Throws `usage_error` if an output and another file are the same file: by the same path, however it is spelt, by a
/// symbolic link, even to a file that does not exist yet, or by a hard link. --checkpoint and --resume may be the same.
void require_own_files(const files_in_use& used);

}  // namespace trimtab::cli
