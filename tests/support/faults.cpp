// SPDX-License-Identifier: Apache-2.0

#include "faults.hpp"

#include <atomic>
#include <cstdarg>
#include <cstdlib>
#include <cstring>

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/// Each `extern "C"` function below has the name of one of the C library's, which it hides. It makes the system call
/// itself, because it cannot call the function that it hides. It may run before any constructor.

namespace trimtab::test {

namespace {

enum kind { none, open, read, write, fsync, rename, close, stat, chmod, allocate };
constexpr const char* names[] = {"", "open", "read", "write", "fsync", "rename", "close", "stat", "chmod", "allocate"};

constinit std::atomic<int> armed = none;
constinit std::atomic<long> left = 0;  ///< calls until the fault
constinit std::atomic<int> with_error = 0;
constinit std::atomic<bool> later_too = false, reached = false;
constinit const char* reached_file = nullptr;

/// Whether this call must fail; if so, errno is set.
bool is_faulty(kind what) {
  if (armed.load() != what) return false;
  const long before = left.fetch_sub(1);
  if (before > 1 or (before < 1 and not later_too.load())) return false;
  if (not reached.exchange(true) and reached_file != nullptr)
    ::syscall(SYS_close, ::syscall(SYS_openat, AT_FDCWD, reached_file, O_WRONLY | O_CREAT, 0600));
  errno = with_error.load();
  return true;
}

void arm(const char* call, long n, int error, bool and_all_later) {
  left = n;
  with_error = error;
  later_too = and_all_later;
  reached = false;
  int which = none;
  for (int k = open; k <= allocate; ++k)
    if (std::strcmp(names[k], call) == 0) which = k;
  armed = which;
}

/// TRIMTAB_FAULT="call n error [and later]"
void arm_by_environment() {
  const char* const asked = std::getenv("TRIMTAB_FAULT");
  if (asked == nullptr) return;
  reached_file = std::getenv("TRIMTAB_FAULT_REACHED");
  char call[16] = {};
  const char* const space = std::strchr(asked, ' ');
  if (space == nullptr or space - asked >= static_cast<std::ptrdiff_t>(sizeof call)) return;
  std::memcpy(call, asked, static_cast<std::size_t>(space - asked));
  char* end = nullptr;
  const long n = std::strtol(space, &end, 10);
  const int error = static_cast<int>(std::strtol(end, &end, 10));
  arm(call, n, error, *end != '\0');
}

}  // namespace

void arm(const fault& what, long n) { arm(what.call, n, what.error, what.and_all_later); }

bool disarm() {
  armed = none;
  return reached;
}

}  // namespace trimtab::test

namespace faults = trimtab::test;

extern "C" {

/// Starts to count calls at `main`: the program cannot handle a failure before it, in the initialisers of libraries.
int __libc_start_main(int (*main)(int, char**, char**), int argc, char** argv, void (*init)(), void (*fini)(),
                      void (*rtld_fini)(), void* stack_end) {
  static int (*program)(int, char**, char**) = main;
  const auto armed_main = [](int count, char** arguments, char** environment) {
    faults::arm_by_environment();
    return program(count, arguments, environment);
  };
  const auto start = reinterpret_cast<decltype(&__libc_start_main)>(::dlsym(RTLD_NEXT, "__libc_start_main"));
  return start(armed_main, argc, argv, init, fini, rtld_fini, stack_end);
}

int open(const char* path, int flags, ...) {
  std::va_list more;
  va_start(more, flags);
  const int mode = (flags & O_CREAT) != 0 ? va_arg(more, int) : 0;
  va_end(more);
  if (faults::is_faulty(faults::open)) return -1;
  return static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}

ssize_t write(int file, const void* bytes, size_t size) {
  // Writing to standard error never fails: the program's error goes there.
  if (file != STDERR_FILENO and faults::is_faulty(faults::write)) {
    if (errno > 0) return -1;
    size = size > 1 ? 1 : size;
  }
  return ::syscall(SYS_write, file, bytes, size);
}

int fsync(int file) {
  if (faults::is_faulty(faults::fsync)) return -1;
  return static_cast<int>(::syscall(SYS_fsync, file));
}

int rename(const char* from, const char* to) noexcept {
  if (faults::is_faulty(faults::rename)) return -1;
  return static_cast<int>(::syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}

// Linux closes the file even if `close` reports an error.
int close(int file) {
  const int done = static_cast<int>(::syscall(SYS_close, file));
  return faults::is_faulty(faults::close) ? -1 : done;
}

ssize_t pread(int file, void* bytes, size_t size, off_t offset) {
  if (faults::is_faulty(faults::read)) {
    if (errno > 0) return -1;
    size = size > 1 ? 1 : size;
  }
  return ::syscall(SYS_pread64, file, bytes, size, offset);
}

int stat(const char* path, struct stat* found) noexcept {
  if (faults::is_faulty(faults::stat)) return -1;
  return static_cast<int>(::syscall(SYS_newfstatat, AT_FDCWD, path, found, 0));
}

int fstat(int file, struct stat* found) noexcept {
  if (faults::is_faulty(faults::stat)) return -1;
  return static_cast<int>(::syscall(SYS_newfstatat, file, "", found, AT_EMPTY_PATH));
}

int fchmod(int file, mode_t mode) noexcept {
  if (faults::is_faulty(faults::chmod)) return -1;
  return static_cast<int>(::syscall(SYS_fchmod, file, mode));
}

#if not defined(__SANITIZE_ADDRESS__)
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);

void* malloc(size_t size) noexcept { return faults::is_faulty(faults::allocate) ? nullptr : __libc_malloc(size); }
void* calloc(size_t count, size_t size) noexcept {
  return faults::is_faulty(faults::allocate) ? nullptr : __libc_calloc(count, size);
}
void* realloc(void* old, size_t size) noexcept {
  return faults::is_faulty(faults::allocate) ? nullptr : __libc_realloc(old, size);
}
void* aligned_alloc(size_t alignment, size_t size) noexcept {
  return faults::is_faulty(faults::allocate) ? nullptr : __libc_memalign(alignment, size);
}
int posix_memalign(void** to, size_t alignment, size_t size) noexcept {
  if (faults::is_faulty(faults::allocate)) return ENOMEM;
  *to = __libc_memalign(alignment, size);
  return *to == nullptr ? ENOMEM : 0;
}
#endif
}
