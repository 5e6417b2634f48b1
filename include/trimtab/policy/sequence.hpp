// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/policy.hpp>
#include <trimtab/core/renamed_row.hpp>
#include <trimtab/core/settings.hpp>

#include <string>
#include <string_view>
#include <tuple>
#include <utility>

/// Policies one after another at one site: each reads the output of the one before it, out = p_n(... p_2(p_1(h))).
/// `sequence{activ_scalar{}, steer_vec{}}` scales and then adds. The records lie side by side; in files the parameters
/// of the k-th policy carry the prefix `k.`. Activations between two policies are kept in scratch rows and recomputed
/// in the adjoint.

namespace trimtab::policy {

template <intervention_policy First, intervention_policy... Rest>
struct sequence;

namespace detail {

/// The names of the first policy in a sequence: its own parameters have scope 0.
template <typename First>
struct own_scope {
  template <typename Name>
  constexpr auto operator()(Name n) const {
    if constexpr (First::parameters.template contains<Name>)
      return scoped<0, Name>{};
    else
      return n;
  }
  template <typename Name>
  constexpr auto operator()(gradient_of<Name>) const {
    return gradient_of<decltype((*this)(Name{}))>{};
  }
};

/// The same, with `out` in scratch memory for the next policy.
template <typename First>
struct to_first : own_scope<First> {
  using own_scope<First>::operator();

  constexpr scratch_row<0> operator()(per_channel<"out">) const { return {}; }
  constexpr scratch_row<1> operator()(gradient_of<per_channel<"out">>) const { return {}; }
  template <int K>
  constexpr scratch_row<K + 2> operator()(scratch_row<K>) const {
    return {};
  }
};

/// The names of the remaining policies: scopes are one higher, and `h` is the first policy's output.
template <int FirstScratchRows>
struct to_rest {
  template <typename Name>
  constexpr Name operator()(Name n) const {
    return n;
  }
  template <int K, typename Inner>
  constexpr scoped<K + 1, Inner> operator()(scoped<K, Inner>) const {
    return {};
  }
  template <int K, typename Inner>
  constexpr gradient_of<scoped<K + 1, Inner>> operator()(gradient_of<scoped<K, Inner>>) const {
    return {};
  }
  constexpr scratch_row<0> operator()(per_channel<"h">) const { return {}; }
  constexpr scratch_row<1> operator()(gradient_of<per_channel<"h">>) const { return {}; }
  template <int K>
  constexpr scratch_row<K + 2 + FirstScratchRows> operator()(scratch_row<K>) const {
    return {};
  }
};

/// A sequence of affine policies is affine, and adds what its parts add.
template <int K, typename... A>
constexpr parameter_list<scoped<K, A>...> in_scope(parameter_list<A...>) {
  return {};
}
template <typename... A, typename... B>
constexpr parameter_list<A..., B...> operator+(parameter_list<A...>, parameter_list<B...>) {
  return {};
}
template <typename... P>
struct sequence_offsets {};
template <typename... P>
  requires(is_affine<P>and...)
struct sequence_offsets<P...> {
  static constexpr auto offsets = []<int... K>(std::integer_sequence<int, K...>) {
    return (parameter_list<>{} + ... + in_scope<K>(P::offsets));
  }
  (std::make_integer_sequence<int, sizeof...(P)>{});
};

/// The settings of the k-th policy carry the prefix `k.`; `k` itself is the policy's name.
void settings_in_order(const auto& sequence, auto& f) {
  int k = 0;
  sequence.each_policy([&]<typename P>(const P& policy) {
    const std::string place = std::to_string(k++);
    f(place, std::string(policy_text<P>()));
    for (const named_setting& s : settings_of(policy)) f(place + "." + s.name, s.value);
  });
}

/// Starts and weights in minimality are those of the policies.
template <typename... Policies>
struct parts_of {
  template <int K>
  using part = std::tuple_element_t<K, std::tuple<Policies...>>;

  template <int K, typename Name>
  static double start(scoped<K, Name>, random_generator& random,
                      index_t width) requires trimtab::detail::says_start<part<K>, Name> {
    return part<K>::start(Name{}, random, width);
  }
  template <int K, typename Name>
  static constexpr weighing weighs(scoped<K, Name>) {
    return weighing_of<part<K>>(Name{});
  }
};

}  // namespace detail

template <intervention_policy Last>
struct sequence<Last> : detail::parts_of<Last>, detail::sequence_offsets<Last> {
  static constexpr std::string_view text = "sequence";
  static constexpr bool only_scales = scales_only<Last>;
  static constexpr bool shared_by_positions = shares_positions<Last>;
  static constexpr bool adds_only = only_adds<Last>;
  static constexpr bool in_place = works_in_place<Last>;
  static constexpr bool crosses_channels = crosses_channels_of<Last>();
  static constexpr int scratch_rows = scratch_rows_of<Last>();
  static constexpr auto parameters = []<typename... A>(parameter_list<A...>) {
    return parameter_list<scoped<0, A>...>{};
  }(Last::parameters);

  Last last{};

  constexpr sequence() = default;
  constexpr explicit sequence(Last policy) : last(policy) {}

  void each_policy(auto&& f) const { f(last); }
  void each_setting(auto&& f) const { detail::settings_in_order(*this, f); }

  constexpr void forward(row auto& r) const {
    renamed_row own(r, detail::own_scope<Last>{});
    last.forward(own);
  }
  constexpr void backward(row auto& r) const {
    renamed_row own(r, detail::own_scope<Last>{});
    last.backward(own);
  }
};

template <intervention_policy First, intervention_policy... Rest>
struct sequence : detail::parts_of<First, Rest...>, detail::sequence_offsets<First, Rest...> {
  using tail = sequence<Rest...>;

  static constexpr std::string_view text = "sequence";
  static constexpr bool only_scales = scales_only<First> and scales_only<tail>;
  static constexpr bool shared_by_positions = shares_positions<First> or shares_positions<tail>;
  static constexpr bool adds_only = only_adds<First> and only_adds<tail>;
  static constexpr bool in_place = true;  // `rest` reads scratch memory
  static constexpr bool crosses_channels = crosses_channels_of<First>() or tail::crosses_channels;
  // Two rows of its own, the activation between first and rest and its gradient, then those of the parts.
  static constexpr int scratch_rows = 2 + scratch_rows_of<First>() + tail::scratch_rows;
  static constexpr auto parameters = []<typename... A, int... K, typename... B>(parameter_list<A...>,
                                                                                parameter_list<scoped<K, B>...>) {
    return parameter_list<scoped<0, A>..., scoped<K + 1, B>...>{};
  }(First::parameters, tail::parameters);

  First first{};
  tail rest{};

  constexpr sequence() = default;
  constexpr explicit sequence(First f, Rest... r) : first(f), rest(r...) {}

  void each_policy(auto&& f) const {
    f(first);
    rest.each_policy(f);
  }
  void each_setting(auto&& f) const { detail::settings_in_order(*this, f); }

  constexpr void forward(row auto& r) const {
    renamed_row head(r, detail::to_first<First>{});
    renamed_row remainder(r, detail::to_rest<scratch_rows_of<First>()>{});
    first.forward(head);
    rest.forward(remainder);
  }

  constexpr void backward(row auto& r) const {
    renamed_row head(r, detail::to_first<First>{});
    renamed_row remainder(r, detail::to_rest<scratch_rows_of<First>()>{});
    first.forward(head);
    rest.backward(remainder);
    first.backward(head);
  }
};

}  // namespace trimtab::policy
