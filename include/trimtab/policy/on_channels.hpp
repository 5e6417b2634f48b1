// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/core/intervention.hpp>
#include <trimtab/core/policy.hpp>
#include <trimtab/core/settings.hpp>

#include <concepts>
#include <string>
#include <string_view>
#include <utility>

/// A policy on some of a row's channels, [first, last); the others stay as they are. A program names them as a site of
/// its own, a span of channels of the stream or of neurons:
///
///     struct date_neurons {
///       using of = site::mlp_post;
///       static constexpr index_t first = 128, last = 192;
///     };
///     at(date_neurons{}, policy::activ_scalar{}, layers::list({3}))
///
/// The policy has a number for each channel of the row, as anywhere; those outside the span stay where they start.

namespace trimtab {

/// `Base` with the channels [first, last) alone. Their indices are those of the base.
template <row Base>
struct narrowed_row : row_vocabulary<narrowed_row<Base>> {
  using scalar = scalar_of<Base>;

  const Base& base;
  index_t first, last;

  constexpr narrowed_row(const Base& row, index_t begin, index_t end) : base(row), first(begin), last(end) {}

  constexpr index_t width() const { return last - first; }
  template <typename F>
  constexpr void each(F&& f) const {
    each(width(), f);
  }
  template <typename F>
  constexpr void each(index_t n, F&& f) const {
    base.each([&](auto j) {
      if (j >= first and j < first + n) f(j);
    });
  }
  template <typename F>
  constexpr void at(index_t j, F&& f) const {
    base.at(j, f);
  }
  template <typename F>
  constexpr scalar sum(F&& f) const {
    return base.sum([&](auto j) { return j >= first and j < last ? f(j) : scalar(0); });
  }
  template <typename F>
  constexpr scalar max(F&& f) const {
    return base.max([&](auto j) { return j >= first and j < last ? f(j) : scalar(-1e30f); });
  }
  template <typename Name>
  constexpr decltype(auto) operator()(Name n, auto j) const {
    return base(n, j);
  }
  template <typename Name>
  constexpr decltype(auto) operator()(Name n, index_t k, auto j) const {
    return base(n, k, j);
  }
  template <typename Name>
  constexpr decltype(auto) operator()(Name n) const {
    return base(n);
  }
};

namespace policy {

template <intervention_policy Policy>
struct on_channels {
  static constexpr std::string_view text = "on-channels";
  static constexpr fit_defaults defaults = defaults_of<Policy>();
  static constexpr bool shared_by_positions = shares_positions<Policy>;
  static constexpr bool in_place = works_in_place<Policy>;
  static constexpr int scratch_rows = scratch_rows_of<Policy>();
  static constexpr bool crosses_channels = crosses_channels_of<Policy>();
  static constexpr auto parameters = Policy::parameters;
  static constexpr auto offsets = [] {
    if constexpr (is_affine<Policy>)
      return Policy::offsets;
    else
      return nullptr;
  }();

  Policy inner{};
  index_t first = 0, last = 0;

  void each_setting(auto&& f) const {
    f("inner", std::string(policy_text<Policy>()));
    for (const named_setting& s : settings_of(inner)) f("inner." + s.name, s.value);
    f("first", first);
    f("last", last);
  }
  template <typename Name>
  static double start(Name name, random_generator& random,
                      index_t width) requires trimtab::detail::says_start<Policy, Name> {
    return Policy::start(name, random, width);
  }
  template <typename Name>
  static constexpr weighing weighs(Name name) {
    return weighing_of<Policy>(name);
  }

  /// Throws `bad_argument` for a span beyond the channels of a row.
  void require_width(index_t width) const {
    if (last > width)
      throw error(error_kind::bad_argument, "the span of channels ends at " + std::to_string(last) +
                                                ", but a row of the site has " + std::to_string(width));
  }

  constexpr void forward(row auto& r) const {
    narrowed_row some(r, first, last);
    r.each([&](auto j) { r.out(j) = r.h(j); });
    inner.forward(some);
  }
  constexpr void backward(row auto& r) const {
    narrowed_row some(r, first, last);
    r.each([&](auto j) { r.d_h(j) = r.d_out(j); });
    inner.backward(some);
  }
};

}  // namespace policy

/// A span of a site's channels that a program names by a type of its own.
template <typename S>
concept channel_span = hook_site<typename S::of> and requires {
  { S::first } -> std::convertible_to<index_t>;
  { S::last } -> std::convertible_to<index_t>;
};

template <channel_span Span, typename Policy>
auto at(Span, Policy policy, layer_set in = layer_set::all(), position_key by = default_positions<Policy>()) {
  static_assert(0 <= Span::first and Span::first < Span::last, "a span of channels is [first, last), not empty");
  return at(typename Span::of{}, policy::on_channels<Policy>{policy, Span::first, Span::last}, std::move(in),
            std::move(by));
}

}  // namespace trimtab
