// SPDX-License-Identifier: Apache-2.0
// The other translation unit; see odr_one.cpp.

#include <trimtab/trimtab.hpp>

#include <string_view>

std::string_view version_seen_by_the_other();
std::string_view version_seen_by_the_other() { return trimtab::version; }
