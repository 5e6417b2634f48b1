// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

/// Makes the n-th call of one kind to the operating system fail, as on a full or broken disk or without memory.
/// faults.cpp replaces these calls. In a test that is linked with it, arm() sets the fault; a whole program preloads
/// it, and the environment sets the fault:
///
///     TRIMTAB_FAULT="write 3 28"        the third write fails with errno 28
///     TRIMTAB_FAULT_REACHED=file        this file is made when it fails
///
/// A test tries n = 1, 2, ... until the fault is no longer reached; then every call has failed once.

namespace trimtab::test {

/// A call that fails with this errno. With a negative one, a read or write transfers a single byte and succeeds, which
/// is allowed.
struct fault {
  const char* call;  ///< open, read, write, fsync, rename, close, stat, chmod or allocate
  int error;
  bool and_all_later = false;
};

/// The faults that calls on files can have.
inline constexpr fault file_faults[] = {
    {"open", EMFILE}, {"open", EINTR},  {"write", ENOSPC}, {"write", EINTR}, {"write", -1},    {"write", ENOSPC, true},
    {"fsync", EIO},   {"fsync", EINTR}, {"rename", EIO},   {"close", EIO},   {"close", EINTR}, {"read", EIO},
    {"read", EINTR},  {"read", -1},     {"stat", EIO},     {"chmod", EIO},   {"open", EACCES}, {"rename", EXDEV}};

/// Whether allocations can be made to fail: not under a sanitizer, which replaces the allocator itself.
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
/// Removes the fault, and returns whether it was reached.
bool disarm();

/// The value of TRIMTAB_FAULT for this fault.
inline std::string text_of(const fault& what, long n) {
  return std::string(what.call) + " " + std::to_string(n) + " " + std::to_string(what.error) +
         (what.and_all_later ? " and later" : "");
}

}  // namespace trimtab::test
