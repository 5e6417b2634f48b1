// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/row.hpp>

#include <array>
#include <string>
#include <type_traits>
#include <utility>

/// What a policy is: a row function from the activations `h` that arrive at a site to the activations `out` that go on,
/// with parameters of its own and the strength β. The parameters of one place (a layer and a position) form one record,
/// the policy's `parameters` one after another; a record of zeros must leave `h` as it is.

namespace trimtab {

/// A parameter's place in its record.
template <typename Name>
struct parameter_place {
  Name name;
  index_t offset;  ///< of its first number
  index_t extent;  ///< how many numbers: the row's width, or 1
};

/// The parameters of a policy in the order in which they lie in a record.
template <typename... Names>
struct parameter_list {
  static constexpr std::size_t count = sizeof...(Names);

  constexpr parameter_list() = default;
  constexpr explicit parameter_list(Names...) requires(count > 0) {}

  /// Numbers in one record of a site whose rows have `width` channels.
  static constexpr index_t size([[maybe_unused]] index_t width) { return (index_t{} + ... + extent<Names>(width)); }

  template <typename Name>
  static constexpr bool contains = (std::is_same_v<Name, Names> or ...);

  /// f(parameter_place...) with one argument a parameter.
  template <typename F>
  static constexpr decltype(auto) apply([[maybe_unused]] index_t width, F&& f) {
    std::array<index_t, count + 1> offsets{};
    [[maybe_unused]] index_t next = 0;
    [[maybe_unused]] std::size_t k = 0;
    ((offsets[k++] = next, next += extent<Names>(width)), ...);
    return [&]<std::size_t... I>(std::index_sequence<I...>)->decltype(auto) {
      return f(parameter_place<Names>{{}, offsets[I], extent<Names>(width)}...);
    }
    (std::index_sequence_for<Names...>{});
  }

 private:
  template <typename Name>
  static constexpr index_t extent(index_t width) {
    return Name::is_per_channel ? width : 1;
  }
};

/// Whether the parameters' names differ from each other and from those that every row has.
template <typename... Names>
constexpr bool names_are_free(parameter_list<Names...>) {
  const auto times = [](auto name) { return (0 + ... + std::is_same_v<decltype(name), Names>); };
  return ((times(Names{}) == 1) and ...) and
         not parameter_list<Names...>::template contains<std::remove_const_t<decltype(name::beta)>> and
         not parameter_list<Names...>::template contains<std::remove_const_t<decltype(name::h)>> and
         not parameter_list<Names...>::template contains<std::remove_const_t<decltype(name::out)>>;
}

/// The parameter's name in files: `alpha`, or `0.alpha` inside a sequence.
template <typename Name>
std::string label(Name) {
  if constexpr (requires { Name::scope; })
    return std::to_string(Name::scope) + "." + label(typename Name::inner{});
  else
    return std::string(Name::text);
}

/// Where a fit of a policy best starts; a policy may say it as `static constexpr fit_defaults defaults`.
struct fit_defaults {
  double lambda_m = 0.01;  ///< weight of the minimality
  double learning_rate = 0.01;
};

template <typename P>
constexpr fit_defaults defaults_of() {
  if constexpr (requires { P::defaults; })
    return P::defaults;
  else
    return {};
}

/// What happens to the activations of a hook site.
///
/// Satisfied by: `policy::activ_scalar`, `policy::steer_vec`, `policy::dyn_scalar<>`.
/// Beyond the syntax: with all parameters zero, or with β = 0, `forward` changes no bit of `h` (but, where it
/// adds, the sign of a zero); `backward` is its adjoint.
/// `h`, `out`, `d_h` and `d_out` are four different pieces of memory.
template <typename P>
concept intervention_policy = row_function<P> and std::is_trivially_copyable_v<P> and requires {
  { P::parameters.size(index_t{}) } -> std::convertible_to<index_t>;
};

/// A policy whose parameters are shared by all positions unless the user says otherwise, because it reads `h` itself.
template <typename P>
inline constexpr bool shares_positions = requires {
  requires P::shared_by_positions;
};

}  // namespace trimtab
