// SPDX-License-Identifier: Apache-2.0
// One of two translation units that include every header: they link only if all functions are inline. See odr_two.cpp.

#include <trimtab/trimtab.hpp>

#include <string_view>

std::string_view version_seen_by_the_other();

int main() { return trimtab::version == version_seen_by_the_other() ? 0 : 1; }
