// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <charconv>
#include <string>
#include <type_traits>

/// Settings: the constants that a policy, a term or an optimizer was made with. It names them by a member
///
///     constexpr void each_setting(auto&& f) const { f("margin", margin); }
///
/// with a number, a flag or an enumerator each, so that files and checkpoints can hold them and tell two things of one
/// type apart.

namespace trimtab {

/// A setting in full, so that reading it gives the same bits: 0.1 as "0.1", a flag as "on" or "off", an enumerator as
/// its number.
template <typename T>
std::string setting_text(T value) {
  if constexpr (std::is_enum_v<T>) {
    return setting_text(static_cast<std::underlying_type_t<T>>(value));
  } else if constexpr (std::is_same_v<T, bool>) {
    return value ? "on" : "off";
  } else {
    char digits[32];
    return {digits, std::to_chars(digits, digits + sizeof digits, value).ptr};
  }
}

namespace detail {
struct any_setting {
  constexpr void operator()(const char*, auto) const {}
};
}  // namespace detail

/// Whether a type names its settings.
template <typename T>
concept has_settings = requires(const T of) {
  of.each_setting(detail::any_setting{});
};

}  // namespace trimtab
