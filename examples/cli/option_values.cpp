// SPDX-License-Identifier: Apache-2.0

#include "option_values.hpp"

#include <trimtab/core/site.hpp>
#include <trimtab/text/joined.hpp>
#include <trimtab/text/utf8.hpp>

#include <algorithm>
#include <map>
#include <utility>

namespace trimtab::cli {

std::vector<std::string> items(const std::string& list) {
  std::vector<std::string> found;
  for (std::size_t begin = 0; begin <= list.size();) {
    const auto end = std::min(list.find(',', begin), list.size());
    found.push_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return found;
}

void refuse(const std::string& option, const std::string& value, const std::string& expected,
            const std::vector<std::string_view>& names) {
  throw error(error_kind::bad_argument,
              option + " is " + text::in_quotes(value, '\'') + "; expected " + expected + did_you_mean(value, names));
}

// Only the ends of ranges are noted, so that many long ranges take no longer than a few.
layer_set layers_of(const std::string& text, const std::string& option) {
  if (text == "all") return layers::all();
  const std::string expected = "layers such as 4-11, 3 or 0,2,5, or all";
  constexpr index_t most = 100'000;
  std::vector<index_t> more_ranges(most + 2);  // how many more ranges a layer is in than the layer before it
  for (const auto& item : items(text)) {
    const auto dash = item.find('-');
    const auto first = number<index_t>(item.substr(0, dash));
    const auto last = dash == item.npos ? first : number<index_t>(item.substr(dash + 1));
    if (not first or not last or *first < 0 or *last < *first or *last > most) refuse(option, text, expected);
    ++more_ranges[static_cast<std::size_t>(*first)];
    --more_ranges[static_cast<std::size_t>(*last + 1)];
  }
  std::vector<index_t> chosen;
  for (index_t l = 0, ranges = 0; l <= most; ++l)
    if ((ranges += more_ranges[static_cast<std::size_t>(l)]) > 0) chosen.push_back(l);
  return layers::list(std::move(chosen));
}

std::vector<std::string> sites_of(const std::string& text) {
  const auto chosen = items(text);
  for (const auto& site : chosen)
    if (not site::find(site)) refuse("--sites", site, "a list of " + site::names(), site::texts());
  return chosen;
}

std::vector<std::string> names_of_sites() {
  auto names = items(site::names());
  for (auto& name : names) name.erase(0, name.find_first_not_of(' '));
  return names;
}

index_t bytes_of(const std::string& option, const std::string& text) {
  const std::string expected = "a size in bytes such as 500M or 2Gi, from 1 byte to 2^60";
  const auto digits = std::min(text.find_first_not_of("0123456789."), text.size());
  const auto count = number<double>(std::string_view(text).substr(0, digits));
  const std::map<std::string, double> units{{"", 1},        {"K", 1e3},     {"M", 1e6},    {"G", 1e9},
                                            {"Ki", 0x1p10}, {"Mi", 0x1p20}, {"Gi", 0x1p30}};
  const auto unit = units.find(text.substr(digits));
  if (not count or unit == units.end() or *count * unit->second < 1 or *count * unit->second > 0x1p60)
    refuse(option, text, expected);
  return static_cast<index_t>(*count * unit->second);
}

std::vector<explain::head_of_layer> heads_of(const std::string& text) {
  std::vector<explain::head_of_layer> heads;
  for (const auto& item : items(text)) {
    const auto dot = item.find('.');
    const auto layer = number<index_t>(item.substr(0, dot));
    const auto head = dot == item.npos ? std::nullopt : number<index_t>(item.substr(dot + 1));
    if (not layer or not head or *layer < 0 or *head < 0)
      refuse("--heads", text, "heads as LAYER.HEAD, counted from 0, such as 5.1,9.6");
    if (std::ranges::find(heads, explain::head_of_layer{*layer, *head}) == heads.end())
      heads.push_back({*layer, *head});
  }
  return heads;
}

path path_of(const std::string& option, const std::string& value) {
  if (value.empty()) refuse(option, value, "a path");
  return value;
}

std::vector<std::string> policy_words() {
  std::vector<std::string> words;
  for (const auto& name : policy::names())
    if (std::ranges::none_of(words, [&](const auto& known) { return name.starts_with(known + "-"); }))
      words.push_back(name);
  return words;
}

at_option at_of(const std::string& text) {
  const std::string expected = "SITE:POLICY[:LAYERS[:POSITIONS]] such as attn_out:activ-scalar:4-11:from_end=8";
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const auto end = std::min(text.find(':', begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  if (parts.size() < 2 or parts.size() > 4) refuse("--at", text, expected);
  at_option at{.site = parts[0]};
  if (not site::find(at.site)) refuse("--at", text, "a site of " + site::names(), {site::texts()});
  const auto open = parts[1].find('(');
  at.policy = parts[1].substr(0, open);
  const auto words = policy_words();
  if (std::ranges::find(words, at.policy) == words.end()) {
    throw error(error_kind::bad_argument, "--at is " + text::in_quotes(text, '\'') +
                                              ", with an unknown policy; expected " + text::joined(words, ", ") +
                                              did_you_mean(at.policy, words));
  }
  if (open != parts[1].npos) {
    if (not parts[1].ends_with(')')) refuse("--at", text, "options of the policy in parentheses, (gate=tanh,bias=no)");
    for (const auto& option : items(parts[1].substr(open + 1, parts[1].size() - open - 2))) {
      const auto equals = option.find('=');
      if (equals == option.npos) refuse("--at", text, "options of the policy as NAME=VALUE, (gate=tanh,bias=no)");
      at.options.emplace_back(option.substr(0, equals), option.substr(equals + 1));
    }
  }
  policy::visit_with(at.policy, at.options, [](auto) {});  // throws for an invalid option
  if (parts.size() > 2) at.layers = layers_of(parts[2], "--at");
  if (parts.size() > 3) {
    const auto equals = parts[3].find('=');
    at.positions = parts[3].substr(0, equals);
    const std::string value = equals == parts[3].npos ? "" : parts[3].substr(equals + 1);
    const bool known =
        at.positions == "absolute" or at.positions == "from_end" or at.positions == "role" or at.positions == "shared";
    const bool takes = at.positions == "from_end" or at.positions == "role";
    if (not known or (equals != parts[3].npos and (not takes or value.empty())))
      refuse("--at", text, "positions absolute, from_end, from_end=N, shared or role=NAME+NAME");
    if (at.positions == "from_end" and not value.empty()) {
      const auto count = number<index_t>(value);
      if (not count or *count < 1 or *count > 1'000'000) refuse("--at", text, "from_end=N with N from 1 to 1000000");
      at.count = *count;
    }
    if (at.positions == "role")
      for (std::size_t begin = 0; begin < value.size();) {
        const auto end = std::min(value.find('+', begin), value.size());
        if (end == begin) refuse("--at", text, "role=NAME+NAME");
        at.roles.push_back(value.substr(begin, end - begin));
        begin = end + 1;
      }
  }
  return at;
}

double start_of(const std::string& option, const std::string& whole, const std::string& item) {
  const auto sigma = item == "identity"            ? std::optional(0.0)
                     : item.starts_with("normal:") ? number<double>(item.substr(7))
                                                   : std::nullopt;
  if (not sigma or *sigma < 0 or (*sigma == 0 and item != "identity"))
    refuse(option, whole, "identity or normal:S, with S the standard deviation");
  return *sigma;
}

namespace {

/// The values of one --vary: "V,V,..." or "FROM..TO:N", which is even in log where `in_log`.
std::vector<double> values_of(const std::string& text, const std::string& list, bool in_log) {
  const std::string expected = "NAME=V,V,... or NAME=FROM..TO:N with numbers";
  std::vector<double> values;
  if (const auto dots = list.find(".."); dots != list.npos) {
    const auto colon = list.find(':', dots);
    const auto from = number<double>(list.substr(0, dots));
    const auto to = number<double>(list.substr(dots + 2, colon == list.npos ? colon : colon - dots - 2));
    const auto count = number<index_t>(colon == list.npos ? std::string() : list.substr(colon + 1)).value_or(0);
    if (not from or not to or count < 1 or count > 100'000) refuse("--vary", text, expected);
    if (in_log) return logspace(*from, *to, count);
    for (index_t k = 0; k < count; ++k)
      values.push_back(k == 0 ? *from
                              : *from + (*to - *from) * static_cast<double>(k) / static_cast<double>(count - 1));
    return values;
  }
  for (const auto& item : items(list)) values.push_back(number_of<double>("--vary", item, expected));
  return values;
}

}  // namespace

void vary(const std::string& text, sweep_command& c) {
  static const std::vector<std::string> names = {"lambda-f",  "lambda-m", "lr",    "margin", "policy",
                                                 "positions", "seed",     "start", "steps"};
  const auto equals = text.find('=');
  const auto name = text.substr(0, equals);
  if (equals == text.npos or std::ranges::find(names, name) == names.end())
    throw error(error_kind::bad_argument, "--vary is " + text::in_quotes(text, '\'') +
                                              "; expected NAME=V,V,... or NAME=FROM..TO:N, NAME one of " +
                                              text::joined(names, ", ") + did_you_mean(name, names));
  if (std::ranges::find(c.varied, name) != c.varied.end())
    throw usage_error("--vary " + name + " is given twice; list all its values in one");
  auto list = text.substr(equals + 1);
  const auto whole = [&]<typename T>(std::vector<T>& to, double least) {
    for (const double x : values_of(text, list, false)) {
      if (x < least or x != std::floor(x) or x > 1e9) refuse("--vary", text, "whole numbers in " + name);
      to.push_back(static_cast<T>(x));
    }
  };
  const auto real = [&](std::vector<double>& to, bool in_log, double least, bool least_allowed) {
    to = values_of(text, list, in_log);
    for (const double x : to)
      if (x < least or (x == least and not least_allowed)) refuse("--vary", text, "larger numbers in " + name);
  };
  const auto word = [&](std::vector<std::string>& to, const std::vector<std::string>& words) {
    to = items(list);
    for (const auto& one : to)
      if (std::ranges::find(words, one) == words.end())
        refuse("--vary", text, text::joined(words, ", "), {words.begin(), words.end()});
  };
  constexpr auto expected_shares = "shares of the largest weight in all values, 0.1max,0.01max or 0.1max..0.01max:3";
  if (name == "lambda-m" and list.ends_with("max")) {
    c.lambda_m_of_max = true;
    std::string shares;
    for (const auto& item : items(list)) {
      if (not item.ends_with("max")) refuse("--vary", text, expected_shares);
      shares += (shares.empty() ? "" : ",") + item.substr(0, item.size() - 3);
    }
    list = shares;
  } else if (const auto dots = list.find("max.."); name == "lambda-m" and dots != list.npos) {
    c.lambda_m_of_max = true;
    const auto last = list.find("max:", dots);
    if (last == list.npos) refuse("--vary", text, expected_shares);
    list.erase(last, 3).erase(dots, 3);
  }
  if (name == "lambda-f") real(c.axes.lambda_f, true, 0, true);
  if (name == "lambda-m") real(c.axes.lambda_m, true, 0, true);
  if (name == "lr") real(c.axes.learning_rate, true, 0, false);
  if (name == "margin") real(c.axes.margin, false, -INFINITY, true);
  if (name == "steps") whole(c.axes.steps, 1);
  if (name == "seed") whole(c.axes.seed, 0);
  if (name == "policy") word(c.policies, policy_words());
  if (name == "positions") word(c.positions, {"absolute", "from_end", "role", "shared"});
  if (name == "start")
    for (const auto& item : items(list)) c.axes.start.push_back(start_of("--vary", text, item));
  c.varied.push_back(name);
  c.vary_text += (c.vary_text.empty() ? "" : " ") + text;
}

}  // namespace trimtab::cli
