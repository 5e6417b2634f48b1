// expected: trimtab needs floating-point sums in source order: compile without -ffast-math and -fassociative-math
// SPDX-License-Identifier: Apache-2.0
// The misuse is a compiler flag, which CMakeLists.txt sets.

#include <trimtab/row/math.hpp>

double grown(double x) { return trimtab::math::exp(x); }
