// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

/// The library's version, by semantic versioning. The build reads it from this line, so it stands nowhere else.

namespace trimtab {

inline constexpr std::string_view version = "0.2.0";

}  // namespace trimtab
