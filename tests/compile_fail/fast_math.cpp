// expected: compile without -ffast-math and -fassociative-math
// SPDX-License-Identifier: Apache-2.0
// The misuse is a flag, which CMakeLists.txt gives it.

#include <trimtab/row/math.hpp>

double grown(double x) { return trimtab::math::exp(x); }
