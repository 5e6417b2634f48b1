// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "options.hpp"

#include <trimtab/core/error.hpp>
#include <trimtab/text/nearest_name.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

/// What the values of options mean. Lists are split here and not by CLI11, so that an error can name the wrong item.

namespace trimtab::cli {

/// The word of an option that means `value`.
template <typename Value>
const std::string& word_of(const std::map<std::string, Value>& words, Value value) {
  return std::ranges::find(words, value, &std::pair<const std::string, Value>::second)->first;
}

/// The parts of a list between commas.
std::vector<std::string> items(const std::string& list);

/// The number that a text spells; nothing if any other character is in it.
template <typename T>
std::optional<T> number(std::string_view text) {
  if (text.starts_with('+') and not text.starts_with("+-")) text.remove_prefix(1);
  T value{};
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() or end != text.data() + text.size()) return std::nullopt;
  if constexpr (std::is_floating_point_v<T>)
    if (not std::isfinite(value)) return std::nullopt;
  return value;
}

/// An invalid value is bad input, and not wrong usage. `names` are the valid ones, to suggest the nearest.
[[noreturn]] void refuse(const std::string& option, const std::string& value, const std::string& expected,
                         const std::vector<std::string_view>& names = {});

/// The number that is spelt, or throws as `refuse` does; so do all of these below for what they do not expect.
template <typename T>
T number_of(const std::string& option, const std::string& text, const std::string& expected) {
  const auto value = number<T>(text);
  if (not value) refuse(option, text, expected);
  return *value;
}

/// "0-3,7", "5", "all".
layer_set layers_of(const std::string& text, const std::string& option = "--layers");
/// "attn_out,mlp_out" of --sites; and the names of all sites.
std::vector<std::string> sites_of(const std::string& text);
std::vector<std::string> names_of_sites();
/// "500M", "2Gi": K, M, G are powers of 1000, Ki, Mi, Gi of 1024.
index_t bytes_of(const std::string& option, const std::string& text);
/// "5.1,9.6": layers and heads.
std::vector<explain::head_of_layer> heads_of(const std::string& text);
/// Any text but an empty one.
path path_of(const std::string& option, const std::string& value);
/// The policies that --policy names: gates other than the linear one are options of --at.
std::vector<std::string> policy_words();
/// "SITE:POLICY[:LAYERS[:POSITIONS]]"
at_option at_of(const std::string& text);
/// "identity", which is 0, or "normal:S"; `whole` is what the option was given.
double start_of(const std::string& option, const std::string& whole, const std::string& item);
/// Takes "NAME=V,V,..." or "NAME=FROM..TO:N".
void vary(const std::string& text, sweep_command& c);

}  // namespace trimtab::cli
