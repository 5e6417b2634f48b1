// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <charconv>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

/// Settings: the constants of a policy, a term or an optimizer, which files and checkpoints store to tell two objects
/// of one type apart. A type names its settings in a member
///
///     constexpr void each_setting(auto&& f) const { f("margin", margin); }
///
/// each a number, a flag, an enumerator or a string. Without it, the numbers in a plain struct of at most six members,
/// including those in its arrays and in the structs that it holds, are settings 0, 1, ...

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
  constexpr operator T() const { return T{}; }
};

/// The first element of a struct that has a base.
template <typename T>
struct any_base_of {
  template <typename Base>
    requires(std::is_base_of_v<Base, T> and not std::is_same_v<Base, T>)
  constexpr operator Base() const { return Base{}; }
};
template <typename T>
concept has_base = requires {
  T{any_base_of<T>{}};
};

/// Each member takes a pair of braces, an array and a struct as well.
template <typename T>
constexpr std::size_t pairs_of_braces() {
  if constexpr (requires { T{{}, {}, {}, {}, {}, {}, {}}; })
    return 7;
  else if constexpr (requires { T{{}, {}, {}, {}, {}, {}}; })
    return 6;
  else if constexpr (requires { T{{}, {}, {}, {}, {}}; })
    return 5;
  else if constexpr (requires { T{{}, {}, {}, {}}; })
    return 4;
  else if constexpr (requires { T{{}, {}, {}}; })
    return 3;
  else if constexpr (requires { T{{}, {}}; })
    return 2;
  else
    return 1;
}

template <typename T, std::size_t... I>
constexpr bool takes_numbers(std::index_sequence<I...>) {
  return requires { T{(static_cast<void>(I), any_member{})...}; };
}

/// How many members a plain struct has, at most 6; 7 for any other type. A struct may have the members of a base in
/// place of its own, which must be numbers.
template <typename T>
constexpr std::size_t members_of() {
  if constexpr (std::is_empty_v<T>) {
    return 0;
  } else if constexpr (not std::is_aggregate_v<T> or requires { T{any_base_of<T>{}, {}}; }) {
    return 7;
  } else if constexpr (has_base<T>) {
    return []<std::size_t... N>(std::index_sequence<N...>) {
      std::size_t most = 7;
      ((most = takes_numbers<T>(std::make_index_sequence<N + 1>{}) ? N + 1 : most), ...);
      return most;
    }
    (std::make_index_sequence<7>{});
  } else {
    return pairs_of_braces<T>();
  }
}

/// f(member...) with the members of a plain struct.
template <typename T, typename F>
constexpr auto with_members(const T& of, F f) {
  constexpr std::size_t count = members_of<T>();
  static_assert(count < 7);
  if constexpr (count == 0) {
    return f();
  } else if constexpr (count == 1) {
    const auto& [a] = of;
    return f(a);
  } else if constexpr (count == 2) {
    const auto& [a, b] = of;
    return f(a, b);
  } else if constexpr (count == 3) {
    const auto& [a, b, c] = of;
    return f(a, b, c);
  } else if constexpr (count == 4) {
    const auto& [a, b, c, d] = of;
    return f(a, b, c, d);
  } else if constexpr (count == 5) {
    const auto& [a, b, c, d, e] = of;
    return f(a, b, c, d, e);
  } else {
    const auto& [a, b, c, d, e, g] = of;
    return f(a, b, c, d, e, g);
  }
}

template <typename T>
concept array_of_numbers = std::is_bounded_array_v<T> or requires {
  std::tuple_size<T>::value;
  typename T::value_type;  // not of a pair or a tuple
};

/// Whether a type is a number, an array of numbers, or a plain struct of such members.
template <typename T>
constexpr bool is_made_of_numbers() {
  if constexpr (std::is_arithmetic_v<T> or std::is_enum_v<T>) {
    return true;
  } else if constexpr (array_of_numbers<T>) {
    return is_made_of_numbers<std::remove_cvref_t<decltype(*std::begin(std::declval<T&>()))>>();
  } else if constexpr (members_of<T>() < 7) {
    const auto all = [](const auto&... member) {
      return std::bool_constant<(is_made_of_numbers<std::remove_cvref_t<decltype(member)>>() and ...)>{};
    };
    return decltype(with_members(std::declval<const T&>(), all))::value;
  } else {
    return false;
  }
}

/// f(number) with each number that a value is made of.
template <typename T, typename F>
constexpr void each_number(const T& of, F& f) {
  if constexpr (std::is_arithmetic_v<T> or std::is_enum_v<T>) {
    f(of);
  } else if constexpr (array_of_numbers<T>) {
    for (const auto& element : of) each_number(element, f);
  } else {
    with_members(of, [&](const auto&... member) { (each_number(member, f), ...); });
  }
}

}  // namespace detail

/// Whether a type names its settings.
template <typename T>
concept has_settings = requires(const T of) {
  of.each_setting(detail::any_setting{});
};

/// Whether the settings of a type are known: it names them, or is a plain struct of at most six members that are numbers,
/// arrays of numbers, or such structs.
template <typename T>
concept states_settings = has_settings<T> or detail::is_made_of_numbers<T>();

/// All settings, in order; none for a type that does not state them.
template <typename T>
std::vector<named_setting> settings_of(const T& of) {
  std::vector<named_setting> all;
  if constexpr (has_settings<T>) {
    of.each_setting([&](std::string name, auto value) { all.push_back({std::move(name), setting_text(value)}); });
  } else if constexpr (states_settings<T>) {
    const auto add = [&](auto number) { all.push_back({std::to_string(all.size()), setting_text(number)}); };
    detail::each_number(of, add);
  }
  return all;
}

/// Whether two objects of a trivially copyable type are the same to the last bit, padding included.
template <typename T>
bool same_bytes(const T& a, const T& b) {
  return std::is_empty_v<T> or std::memcmp(&a, &b, sizeof(T)) == 0;
}
/// Whether they have the same settings; where the type does not state them, the same bytes.
template <typename T>
bool same_settings(const T& a, const T& b) {
  if constexpr (states_settings<T>)
    return settings_of(a) == settings_of(b);
  else
    return same_bytes(a, b);
}

}  // namespace trimtab
