// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cerrno>
#include <string>

/// Makes the n-th call of one kind to the operating system fail, as on a full or broken disk or without memory.
/// faults.cpp takes these calls over: linked into a test, where this header arms it, and preloaded into a whole
/// program, where the environment does:
///
///     TRIMTAB_FAULT="write 3 28"        the third write fails with errno 28
///     TRIMTAB_FAULT_REACHED=file        is made when it does
///
/// A walk n = 1, 2, ... ends when the fault is no longer reached: then every call has failed once.

namespace trimtab::test {

/// A call that fails with this errno; with a negative one a read or write moves a single byte, as a
/// call may.
struct fault {
  const char* call;  ///< open, read, write, fsync, rename, close, stat, chmod or allocate
  int error;
  bool and_all_later = false;
};

/// What can go wrong with files.
inline constexpr fault file_faults[] = {
    {"open", EMFILE}, {"open", EINTR},  {"write", ENOSPC}, {"write", EINTR}, {"write", -1},    {"write", ENOSPC, true},
    {"fsync", EIO},   {"fsync", EINTR}, {"rename", EIO},   {"close", EIO},   {"close", EINTR}, {"read", EIO},
    {"read", EINTR},  {"read", -1},     {"stat", EIO},     {"chmod", EIO},   {"open", EACCES}, {"rename", EXDEV}};

/// Where memory can be taken over: not under a sanitizer, which has its own.
#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool allocations_can_fail = false;
#elif defined(__has_feature)
#  if __has_feature(address_sanitizer)
inline constexpr bool allocations_can_fail = false;
#  else
inline constexpr bool allocations_can_fail = true;
#  endif
#else
inline constexpr bool allocations_can_fail = true;
#endif

/// Arms the fault for the n-th call from now, in this program.
void arm(const fault& what, long n);
/// Ends it; whether it was reached.
bool disarm();

/// The value of TRIMTAB_FAULT for a program.
inline std::string text_of(const fault& what, long n) {
  return std::string(what.call) + " " + std::to_string(n) + " " + std::to_string(what.error) +
         (what.and_all_later ? " and later" : "");
}

}  // namespace trimtab::test
