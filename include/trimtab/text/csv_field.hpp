// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

/// Comma-separated values (RFC 4180).

namespace trimtab::text {

/// A field of a line, in quotes where it needs them.
inline std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == text.npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + '"';
}

}  // namespace trimtab::text
