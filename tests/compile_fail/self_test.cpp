// expected: this sentence (and nothing else?) is what the tests of misuse look for
// SPDX-License-Identifier: Apache-2.0
// Tests these tests: the control compiles, and the misuse fails with the sentence.

#include <trimtab/core/error.hpp>

#ifdef TRIMTAB_MISUSE
static_assert(sizeof(trimtab::error) == 0, "this sentence (and nothing else?) is what the tests of misuse look for");
#endif
