// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/core/policy.hpp>
#include <trimtab/policy/activ_scalar.hpp>
#include <trimtab/policy/affine.hpp>
#include <trimtab/policy/dyn_scalar.hpp>
#include <trimtab/policy/steer_vec.hpp>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

/// The library's policies by name, for files and command lines. Nothing else knows them by name.

namespace trimtab::policy {

template <intervention_policy... P>
struct list {
  /// f(policy) for each.
  template <typename F>
  static void each(F&& f) {
    (f(P{}), ...);
  }
};

/// All policies that can be identified by name and parameters.
using all =
    list<activ_scalar, steer_vec, affine, dyn_scalar<>, dyn_scalar<gate{.bias = false}>,
         dyn_scalar<gate{.squash_by = squash::tanh}>, dyn_scalar<gate{.bias = false, .squash_by = squash::tanh}>,
         dyn_scalar<gate{.rms_normalised = true}>, dyn_scalar<gate{.bias = false, .rms_normalised = true}>,
         dyn_scalar<gate{.squash_by = squash::tanh, .rms_normalised = true}>,
         dyn_scalar<gate{.bias = false, .squash_by = squash::tanh, .rms_normalised = true}>>;

/// A parameter as its policy declares it.
struct declared_parameter {
  std::string name;
  int count = 1;
  bool is_per_channel = false;

  friend bool operator==(const declared_parameter&, const declared_parameter&) = default;
};

template <typename P>
std::vector<declared_parameter> declared_parameters() {
  return []<typename... Names>(parameter_list<Names...>) {
    return std::vector<declared_parameter>{{label(Names{}), Names::count, Names::is_per_channel}...};
  }(std::remove_cv_t<decltype(P::parameters)>{});
}

/// The names of all policies, each once.
inline std::vector<std::string> names() {
  std::vector<std::string> known;
  all::each([&]<typename P>(P) {
    if (std::ranges::find(known, policy_text<P>()) == known.end()) known.emplace_back(policy_text<P>());
  });
  return known;
}

/// All parameters of the policies of this name; empty for an unknown name.
inline std::vector<declared_parameter> parameters_of(std::string_view name) {
  std::vector<declared_parameter> found;
  all::each([&]<typename P>(P) {
    if (policy_text<P>() != name) return;
    for (const declared_parameter& p : declared_parameters<P>())
      if (std::ranges::find(found, p) == found.end()) found.push_back(p);
  });
  return found;
}

/// Whether all positions share the parameters of a policy of this name by default.
inline bool shares_positions_by_default(std::string_view name) {
  bool shares = false;
  all::each([&]<typename P>(P) { shares = shares or (policy_text<P>() == name and shares_positions<P>); });
  return shares;
}

/// f(policy) with the policy of this name that has these parameters; false where there is none.
template <typename F>
bool visit(std::string_view name, std::vector<std::string> parameters, F&& f) {
  bool found = false;
  std::ranges::sort(parameters);
  all::each([&]<typename P>(P policy) {
    std::vector<std::string> own;
    for (const declared_parameter& p : declared_parameters<P>()) own.push_back(p.name);
    std::ranges::sort(own);
    if (found or policy_text<P>() != name or own != parameters) return;
    found = true;
    f(policy);
  });
  return found;
}

/// The parameters that the policy of this name with these parameters adds; nothing unless it is affine.
inline std::optional<std::vector<std::string>> offsets_of(std::string_view name, std::vector<std::string> parameters) {
  std::optional<std::vector<std::string>> found;
  visit(name, std::move(parameters), [&]<typename P>(P) {
    if constexpr (is_affine<P>)
      found = []<typename... Names>(parameter_list<Names...>) {
        return std::vector<std::string>{label(Names{})...};
      }(std::remove_cv_t<decltype(P::offsets)>{});
  });
  return found;
}

/// The formula of that policy for readers without this library, "out = h + beta * vector"; empty if it declares none.
inline std::string formula_of(std::string_view name, std::vector<std::string> parameters) {
  std::string formula;
  visit(name, std::move(parameters), [&]<typename P>(P) {
    if constexpr (requires { P::formula; }) formula = P::formula;
  });
  return formula;
}

/// Options of a policy as a command line gives them, by name: `bias` yes or no, `gate` linear, tanh, rms or tanh-rms.
using options = std::vector<std::pair<std::string, std::string>>;

/// f(policy) with the policy of this name and these options. Throws `bad_argument` for an unknown name or option, or a
/// value that it does not take.
template <typename F>
void visit_with(std::string_view name, const options& given, F&& f) {
  const auto refuse = [&](const std::string& what) {
    throw error(error_kind::bad_argument, "the policy '" + std::string(name) + "' " + what);
  };
  const bool has_gate = name == dyn_scalar<>::text;
  std::string bias = "yes", wanted_gate = "linear";
  for (const auto& [option, value] : given) {
    if (has_gate and option == "bias") {
      if (value != "yes" and value != "no") refuse("takes bias=yes or bias=no, found '" + value + "'");
      bias = value;
    } else if (has_gate and option == "gate") {
      wanted_gate = value;
    } else {
      refuse("has no option '" + option + "'" + (has_gate ? "; its options are bias and gate" : ""));
    }
  }
  if (has_gate) {
    const std::string full = std::string(name) + (wanted_gate == "linear" ? "" : "-" + wanted_gate);
    if (not visit(full, bias == "yes" ? std::vector<std::string>{"weight", "bias"} : std::vector<std::string>{"weight"},
                  f))
      refuse("takes gate=linear, tanh, rms or tanh-rms, found '" + wanted_gate + "'");
    return;
  }
  bool found = false;
  all::each([&]<typename P>(P policy) {
    if (found or policy_text<P>() != name) return;
    found = true;
    f(policy);
  });
  if (found) return;
  std::string known;
  for (const std::string& one : names()) known += (known.empty() ? "" : ", ") + one;
  refuse("is unknown; the policies are " + known);
}

}  // namespace trimtab::policy
