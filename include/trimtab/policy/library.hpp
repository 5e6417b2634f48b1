// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/core/policy.hpp>
#include <trimtab/policy/activ_scalar.hpp>
#include <trimtab/policy/affine.hpp>
#include <trimtab/policy/channel_scale.hpp>
#include <trimtab/policy/conditional.hpp>
#include <trimtab/policy/dyn_scalar.hpp>
#include <trimtab/policy/gate/cosine.hpp>
#include <trimtab/policy/gate/linear.hpp>
#include <trimtab/policy/gate/mlp.hpp>
#include <trimtab/policy/low_rank.hpp>
#include <trimtab/policy/project_out.hpp>
#include <trimtab/policy/steer_vec.hpp>

#include <algorithm>
#include <compare>
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

namespace detail {

/// A gate's dynamic scalar, with a bias and without.
template <template <gate::bias> typename Gate>
using with_and_without_bias = list<dyn_scalar<Gate<gate::bias::learned>>, dyn_scalar<Gate<gate::bias::none>>>;

template <typename... Gates>
using conditionals = list<conditional<Gates, steer_vec>..., conditional<Gates, activ_scalar>...>;

template <intervention_policy... A, intervention_policy... B, typename... More>
constexpr auto joined(list<A...>, list<B...>, More... more) {
  if constexpr (sizeof...(More) == 0)
    return list<A..., B...>{};
  else
    return joined(list<A..., B...>{}, more...);
}

}  // namespace detail

/// All policies that can be identified by name and parameters. Of the variants of one, the first is the default.
using all = decltype(detail::joined(
    list<activ_scalar, steer_vec, affine>{}, detail::with_and_without_bias<gate::linear>{},
    detail::with_and_without_bias<gate::tanh>{}, detail::with_and_without_bias<gate::rms>{},
    detail::with_and_without_bias<gate::tanh_rms>{}, list<dyn_scalar<gate::mlp<4>>, dyn_scalar<gate::cosine>>{},
    list<channel_scale, project_out, low_rank<4>, low_rank<1>, low_rank<2>, low_rank<8>>{},
    detail::conditionals<gate::linear<>, gate::mlp<4>, gate::cosine>{}));

/// A parameter as its policy declares it.
struct declared_parameter {
  std::string name;
  int count = 1;
  bool is_per_channel = false;

  auto operator<=>(const declared_parameter&) const = default;
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
bool visit(std::string_view name, std::vector<declared_parameter> parameters, F&& f) {
  bool found = false;
  std::ranges::sort(parameters);
  all::each([&]<typename P>(P policy) {
    auto own = declared_parameters<P>();
    std::ranges::sort(own);
    if (found or policy_text<P>() != name or own != parameters) return;
    found = true;
    f(policy);
  });
  return found;
}

/// The parameters that the policy of this name with these parameters adds; nothing unless it is affine.
inline std::optional<std::vector<std::string>> offsets_of(std::string_view name,
                                                          std::vector<declared_parameter> parameters) {
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
inline std::string formula_of(std::string_view name, std::vector<declared_parameter> parameters) {
  std::string formula;
  visit(name, std::move(parameters), [&]<typename P>(P) {
    if constexpr (requires { P::formula; }) formula = P::formula;
  });
  return formula;
}

/// What tells the variants of a policy apart, by name, as a command line gives it: `gate` and `bias` of dyn-scalar,
/// `rank` of low-rank, `gate` and `inner` of conditional.
using options = std::vector<std::pair<std::string, std::string>>;

namespace detail {

/// The name of all variants of a policy, and the options of one.
struct variant {
  std::string_view name;
  options of = {};
};

template <typename P>
variant variant_of(P) {
  return {policy_text<P>()};
}
template <typename Gate>
variant variant_of(dyn_scalar<Gate>) {
  variant v{dyn_scalar<>::text, {{"gate", std::string(Gate::text)}}};
  if constexpr (requires { Gate::has_bias; }) v.of.emplace_back("bias", Gate::has_bias ? "yes" : "no");
  return v;
}
template <int Rank>
variant variant_of(low_rank<Rank>) {
  return {low_rank<>::text, {{"rank", std::to_string(Rank)}}};
}
template <typename Gate, typename Inner>
variant variant_of(conditional<Gate, Inner>) {
  return {conditional<Gate, Inner>::text, {{"gate", std::string(Gate::text)}, {"inner", std::string(Inner::text)}}};
}

inline std::string listed(const std::vector<std::string>& words) {
  std::string list;
  for (const std::string& word : words) list += (list.empty() ? "" : ", ") + word;
  return list;
}

}  // namespace detail

/// The values of an option of the policies of this name, each once; empty for one that they do not have.
inline std::vector<std::string> values_of(std::string_view name, std::string_view option) {
  std::vector<std::string> values;
  all::each([&](auto policy) {
    const detail::variant v = detail::variant_of(policy);
    for (const auto& [own, value] : v.of)
      if (v.name == name and own == option and std::ranges::find(values, value) == values.end())
        values.push_back(value);
  });
  return values;
}

/// f(policy) with the first policy of this name that has these options. Throws `bad_argument` for an unknown name or
/// option, or values that no policy has.
template <typename F>
void visit_with(std::string_view name, const options& given, F&& f) {
  std::vector<std::string> known, asked;
  bool found = false;
  all::each([&](auto policy) {
    const detail::variant v = detail::variant_of(policy);
    if (std::ranges::find(known, v.name) == known.end()) known.emplace_back(v.name);
    const auto fits = [&](const auto& one) { return std::ranges::find(v.of, one) != v.of.end(); };
    if (found or v.name != name or not std::ranges::all_of(given, fits)) return;
    found = true;
    f(policy);
  });
  if (found) return;
  const auto refuse = [&](const std::string& what) {
    throw error(error_kind::bad_argument, "the policy '" + std::string(name) + "' " + what);
  };
  if (std::ranges::find(known, name) == known.end()) refuse("is unknown; the policies are " + detail::listed(known));
  for (const auto& [option, value] : given) {
    const auto values = values_of(name, option);
    if (values.empty()) refuse("has no option '" + option + "'");
    if (std::ranges::find(values, value) == values.end())
      refuse("takes " + option + "=" + detail::listed(values) + ", found '" + value + "'");
    asked.push_back(option + "=" + value);
  }
  refuse("has no variant with " + detail::listed(asked));
}

}  // namespace trimtab::policy
