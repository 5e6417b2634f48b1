// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/ioctl.h>
#include <unistd.h>
#include <cstdlib>
#include <string>
#include <string_view>

/// What a file descriptor can show: colours only if it is a terminal that has them and NO_COLOR is not set
/// (no-color.org), and lines no wider than its window.

namespace trimtab::report {

inline bool is_terminal(int descriptor) { return ::isatty(descriptor) == 1; }

inline bool wants_colour(int descriptor) {
  const auto variable = [](const char* name) {
    const char* const value = std::getenv(name);
    return std::string_view(value ? value : "");
  };
  return is_terminal(descriptor) and variable("NO_COLOR").empty() and variable("TERM") != "dumb";
}

/// Columns of the window, or `otherwise` if there is none.
inline int width_of(int descriptor, int otherwise = 100) {
  winsize window{};
  return ::ioctl(descriptor, TIOCGWINSZ, &window) == 0 and window.ws_col > 0 ? window.ws_col : otherwise;
}

/// Text in a style ("1" bold, "31" red, ...) by escape sequences; plain text without `colour`.
inline std::string styled(std::string_view text, std::string_view style, bool colour) {
  if (not colour) return std::string(text);
  return "\033[" + std::string(style) + "m" + std::string(text) + "\033[0m";
}

/// Styled text without its styles.
inline std::string plain(std::string text) {
  for (auto at = text.find("\033["); at != text.npos; at = text.find("\033[", at))
    text.erase(at, text.find('m', at) - at + 1);
  return text;
}

}  // namespace trimtab::report
