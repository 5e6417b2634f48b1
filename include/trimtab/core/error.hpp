// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdio>
#include <iterator>
#include <new>
#include <stdexcept>
#include <string>

#if !defined(__cpp_exceptions)
#  error "trimtab reports bad input by exceptions: compile without -fno-exceptions"
#endif

/// The library's only exception. Bad input of any kind throws it with one sentence that names the file, key or value,
/// what was expected, what was found and what to do. Programming errors are `assert`s, not exceptions.

namespace trimtab {

enum class error_kind {
  bad_file,      ///< a file that is not what its name promises: truncated, malformed, of another format
  bad_config,    ///< a model description with a missing, wrong or unsupported entry
  bad_text,      ///< text that cannot be tokenized: invalid UTF-8, empty, longer than the context
  bad_data,      ///< a prompt pair that cannot be used: several tokens in an answer, equal answers
  bad_argument,  ///< a value that a caller chose: NaN, negative, out of range, unknown name
  mismatch,      ///< valid things that do not belong together, such as an intervention and another model
  io,            ///< the operating system refused: not found, not readable, disk full
  device,        ///< an accelerator is missing or out of memory
  memory,        ///< the machine has less memory than was asked for
};

class error : public std::runtime_error {
 public:
  error(error_kind kind, const std::string& sentence) : std::runtime_error(sentence), kind_(kind) {}

  error_kind kind() const noexcept { return kind_; }

 private:
  error_kind kind_;
};

/// A size in decimal units: "1.5 GB".
inline std::string bytes_text(double bytes) {
  const char* const units[] = {"bytes", "KB", "MB", "GB", "TB", "PB", "EB"};
  std::size_t unit = 0;
  for (; bytes >= 1000 and unit + 1 < std::size(units); ++unit) bytes /= 1000;
  char digits[32];
  std::snprintf(digits, sizeof digits, unit == 0 ? "%.0f " : "%.1f ", bytes);
  return digits + std::string(units[unit]);
}

namespace detail {

[[noreturn]] inline void refuse_memory(const std::string& purpose) {
  throw error(error_kind::memory, "not enough memory to " + purpose +
                                      "; use fewer or shorter prompts at a time, or a machine with more memory");
}

}  // namespace detail

/// Throws `memory`: an allocation of `bytes` failed.
[[noreturn]] inline void throw_no_memory(double bytes) { detail::refuse_memory("allocate " + bytes_text(bytes)); }

/// Returns f(); if it runs out of memory, throws `memory`: "not enough memory to read the model; ...".
template <typename F>
decltype(auto) with_memory_for(const char* what, F&& f) {
  try {
    return f();
  } catch (const std::bad_alloc&) {
    detail::refuse_memory(what);
  } catch (const std::length_error&) {
    detail::refuse_memory(what);
  }
}

}  // namespace trimtab
