// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <charconv>
#include <cstddef>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

/// Settings: the constants of a policy, a term or an optimizer, which files and checkpoints store to tell two objects
/// of one type apart. A type names its settings in a member
///
///     constexpr void each_setting(auto&& f) const { f("margin", margin); }
///
/// each a number, a flag, an enumerator or a string. Without it, the members of a plain struct are settings 0, 1, ...

namespace trimtab {

/// A setting as text that reads back to the same bits: 0.1 as "0.1", a flag as "on" or "off", an enumerator as its
/// number.
inline std::string setting_text(std::string value) { return value; }
template <typename T>
  requires(std::is_arithmetic_v<T> or std::is_enum_v<T>)
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

struct named_setting {
  std::string name;
  std::string value;

  friend bool operator==(const named_setting&, const named_setting&) = default;
};

namespace detail {

struct any_setting {
  constexpr void operator()(const auto&, const auto&) const {}
};
struct any_member {
  template <typename T>
    requires(std::is_arithmetic_v<T> or std::is_enum_v<T>)
  constexpr operator T() const;
};

template <typename T, std::size_t... I>
constexpr bool has_members(std::index_sequence<I...>) {
  return requires { T{(static_cast<void>(I), any_member{})...}; };
}

/// How many numeric members a plain struct has, at most 6; 7 for any other type.
template <typename T>
constexpr std::size_t members_of() {
  if constexpr (std::is_empty_v<T>) {
    return 0;
  } else if constexpr (std::is_aggregate_v<T>) {
    return []<std::size_t... N>(std::index_sequence<N...>) {
      std::size_t most = 7;
      ((most = has_members<T>(std::make_index_sequence<N + 1>{}) ? N + 1 : most), ...);
      return has_members<T>(std::make_index_sequence<7>{}) ? 7 : most;
    }
    (std::make_index_sequence<6>{});
  } else {
    return 7;
  }
}

/// f(member...) with the members of a plain struct.
template <typename T, typename F>
constexpr void with_members(const T& of, F f) {
  constexpr std::size_t count = members_of<T>();
  if constexpr (count == 1) {
    const auto& [a] = of;
    f(a);
  } else if constexpr (count == 2) {
    const auto& [a, b] = of;
    f(a, b);
  } else if constexpr (count == 3) {
    const auto& [a, b, c] = of;
    f(a, b, c);
  } else if constexpr (count == 4) {
    const auto& [a, b, c, d] = of;
    f(a, b, c, d);
  } else if constexpr (count == 5) {
    const auto& [a, b, c, d, e] = of;
    f(a, b, c, d, e);
  } else if constexpr (count == 6) {
    const auto& [a, b, c, d, e, g] = of;
    f(a, b, c, d, e, g);
  }
}

}  // namespace detail

/// Whether a type names its settings.
template <typename T>
concept has_settings = requires(const T of) {
  of.each_setting(detail::any_setting{});
};

/// All settings, in order; none for a type that neither names them nor is a plain struct of numbers.
template <typename T>
std::vector<named_setting> settings_of(const T& of) {
  std::vector<named_setting> all;
  if constexpr (has_settings<T>)
    of.each_setting([&](std::string name, auto value) { all.push_back({std::move(name), setting_text(value)}); });
  else
    detail::with_members(of, [&](auto... member) {
      (all.push_back({std::to_string(all.size()), setting_text(member)}), ...);
    });
  return all;
}

}  // namespace trimtab
