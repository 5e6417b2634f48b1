// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/random.hpp>
#include <trimtab/core/row.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

/// A policy is a row function from a site's activations `h` to the steered activations `out`, given parameters and the
/// strength β. The parameters of one place (a layer and a position) form one record, in the order of `parameters`; a
/// record of zeros must leave `h` unchanged. Where some of them being zero is enough, such as the last of two factors,
/// the policy may start the others elsewhere and have minimality leave them alone (`weighing`).

namespace trimtab {

/// A parameter's place in its record.
template <typename Name>
struct parameter_place {
  Name name;
  index_t offset;  ///< of its first number
  index_t extent;  ///< how many numbers it has
};

/// The parameters of a policy, in the order of a record.
template <typename... Names>
struct parameter_list {
  static constexpr std::size_t count = sizeof...(Names);

  constexpr parameter_list() = default;
  constexpr explicit parameter_list(Names...) requires(count > 0) {}

  /// Numbers in one record of a site whose rows have `width` channels.
  static constexpr index_t size([[maybe_unused]] index_t width) { return (index_t{} + ... + extent<Names>(width)); }

  template <typename Name>
  static constexpr bool contains = (std::is_same_v<Name, Names> or ...);

  /// f(parameter_place...) with one argument per parameter.
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
    return Name::count * (Name::is_per_channel ? width : 1);
  }
};

namespace detail {

/// Whether two parameters have the same name in files, per row or per channel alike.
template <typename A, typename B>
constexpr bool same_label() {
  if constexpr (requires { A::scope == B::scope; })
    return A::scope == B::scope and same_label<typename A::inner, typename B::inner>();
  else if constexpr (
      requires { A::scope; } or requires { B::scope; })
    return false;
  else
    return A::text == B::text;
}

template <typename Name>
constexpr bool is_of_every_row() {
  if constexpr (requires { Name::scope; })
    return is_of_every_row<typename Name::inner>();
  else
    return Name::text == name::h.text or Name::text == name::out.text or Name::text == name::beta.text;
}

}  // namespace detail

/// Whether the parameters' names differ from each other and from h, out and beta.
template <typename... Names>
constexpr bool names_are_free(parameter_list<Names...>) {
  const auto times = []<typename Name>(Name) { return (0 + ... + detail::same_label<Name, Names>()); };
  return ((times(Names{}) == 1) and ...) and not(detail::is_of_every_row<Names>() or ...);
}

/// The parameter's name in files: `alpha`, or `0.alpha` inside a sequence, or `gate.weight`.
template <typename Name>
std::string label(Name) {
  if constexpr (requires { std::to_string(Name::scope); })
    return std::to_string(Name::scope) + "." + label(typename Name::inner{});
  else if constexpr (requires { Name::scope; })
    return std::string(Name::scope) + "." + label(typename Name::inner{});
  else
    return std::string(Name::text);
}

/// The weight of minimality and the learning rate that suit a policy, which may declare them as
/// `static constexpr fit_defaults defaults`. One weight does not suit all models: λ_max, from which on nothing is
/// learned, differs several times over between them, so a share of it is the better default
/// (benchmarks/studies/stability.md).
struct fit_defaults {
  double lambda_m = 0.01;  ///< where there is no λ_max
  double learning_rate = 0.01;
  double lambda_m_share = 0.01;  ///< of λ_max
};

template <typename P>
constexpr fit_defaults defaults_of() {
  if constexpr (requires { P::defaults; })
    return P::defaults;
  else
    return {};
}

/// The name of a policy in files and on the command line: its `text`, or "custom".
template <typename P>
constexpr std::string_view policy_text() {
  if constexpr (requires { P::text; })
    return P::text;
  else
    return "custom";
}

/// The start value of one number of a parameter: 0, unless the policy declares
///
///     static double start(decltype(weight), random_generator& random, index_t width) { return random.normal(); }
///
/// for it; `width` is the number of channels of a row.
template <typename P, typename Name>
double start_of(Name name, random_generator& random, index_t width) {
  if constexpr (requires {
                  { P::start(name, random, width) } -> std::convertible_to<double>;
                })
    return P::start(name, random, width);
  else
    return 0;
}

namespace detail {

/// A policy that declares the start value of a parameter.
template <typename P, typename Name>
concept says_start = requires(random_generator& random) {
  P::start(Name{}, random, index_t{});
};

}  // namespace detail

/// How minimality, its proximal step and the counts take the numbers of a parameter.
enum class weighing {
  none,      ///< not at all: its being zero means nothing
  each,      ///< each by itself
  together,  ///< by their Euclidean norm, because only all zeros are the identity
};

/// Each number by itself, unless the policy declares
///
///     static constexpr weighing weighs(decltype(read)) { return weighing::none; }
///
/// for the parameter. A record whose weighed numbers are all zero must leave `h` unchanged, whatever the others are.
template <typename P, typename Name>
constexpr weighing weighing_of(Name name) {
  if constexpr (requires {
                  { P::weighs(name) } -> std::convertible_to<weighing>;
                })
    return P::weighs(name);
  else
    return weighing::each;
}

/// Whether all that minimality weighs starts at 0, so that a fit starts with the untouched model.
template <typename P>
constexpr bool starts_at_identity() {
  return []<typename... Names>(parameter_list<Names...>) {
    return not((detail::says_start<P, Names> and weighing_of<P>(Names{}) != weighing::none) or ...);
  }(std::remove_const_t<decltype(P::parameters)>{});
}

/// What an intervention does to the activations of a hook site.
///
/// Satisfied by: `policy::activ_scalar`, `policy::steer_vec`, `policy::dyn_scalar<>`.
/// Beyond the syntax: with all parameters zero, or with β = 0, `forward` changes no bit of `h` (except, where it adds,
/// the sign of a zero); `backward` is its adjoint. `h`, `out`, `d_h` and `d_out` do not overlap, unless the policy
/// works in place.
template <typename P>
concept intervention_policy = row_function<P> and std::is_trivially_copyable_v<P> and requires {
  { P::parameters.size(index_t{}) } -> std::convertible_to<index_t>;
};

/// Whether the policy only scales `h`, so that one number says what it does to a row.
template <typename P>
inline constexpr bool scales_only = requires {
  requires P::only_scales;
};

/// Whether a policy is affine in `h`, so that weights before or after its site can take it over (steer/fold.hpp). Such
/// a policy declares `static constexpr parameter_list offsets`, the parameters that it adds: with zeros there `forward`
/// is linear in `h`, so that `backward` does not read it.
template <typename P>
inline constexpr bool is_affine = requires {
  P::offsets.size(index_t{});
};

/// Whether an affine policy adds the parameter.
template <typename P, typename Name>
constexpr bool is_offset() {
  if constexpr (is_affine<P>)
    return P::offsets.template contains<Name>;
  else
    return false;
}

/// Whether `forward` computes the same where `out` and `h` are the same memory, because it has read what it needs of
/// `h` before it overwrites it. A pass that keeps no activations then moves half the bytes.
template <typename P>
inline constexpr bool works_in_place = requires {
  requires P::in_place;
};

/// Whether all positions share the policy's parameters by default, because it reads `h` itself.
template <typename P>
inline constexpr bool shares_positions = requires {
  requires P::shared_by_positions;
};

/// Whether a policy only adds to `h` and never reads it, so that it does the same wherever its row joins the stream.
template <typename P>
inline constexpr bool only_adds = requires {
  requires P::adds_only;
};

}  // namespace trimtab
