// expected: trimtab reports bad input by exceptions: compile without -fno-exceptions
// SPDX-License-Identifier: Apache-2.0
// The misuse is a compiler flag, which CMakeLists.txt sets.

#include <trimtab/core/error.hpp>

void refuse() { throw trimtab::error(trimtab::error_kind::bad_argument, "no"); }
