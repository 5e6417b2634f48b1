// expected: trimtab recognises results that are infinite or NaN: compile without -ffinite-math-only
// SPDX-License-Identifier: Apache-2.0
// The misuse is a compiler flag, which CMakeLists.txt sets.

#include <trimtab/row/math.hpp>

double grown(double x) { return trimtab::math::exp(x); }
