// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/objective.hpp>

/// How parameters change. Each step asks the optimizer for an update: a row function whose row is one record of
/// parameters, so a backend runs it like any other.

namespace trimtab {

/// The penalty that a step applies to the parameters: its norm and its weight (for `mean`, already divided by the
/// count).
struct penalty {
  double weight = 0;
  parameter_norm norm = parameter_norm::sum;
};

/// How a penalty takes the numbers of a record whose policy does not have each weighed by itself: number j not at all
/// where `unit[j]` is -1, by itself where it is 0, and with the others of group k = 1 ... `groups` by their Euclidean
/// norm where it is k. Under the group norm all that are not -1 form one group.
struct record_units {
  const int* unit = nullptr;  ///< [record size]; null: each by itself
  int groups = 0;

  constexpr int operator()(index_t j) const { return unit[j]; }
};

/// The same for most policies.
struct each_by_itself {
  static constexpr int groups = 0;

  constexpr int operator()(index_t) const { return 0; }
};

/// An update that can tell the numbers of a record apart.
template <typename Update>
concept takes_units = requires(const Update u, row_archetype<float>& r) {
  u.forward(r, record_units{});
};

/// The update for records with such units.
template <takes_units Update>
struct in_units {
  Update update;
  record_units units;

  constexpr void forward(row auto& r) const { update.forward(r, units); }
};

/// What an update sees of a record: the parameters, the gradient of the smooth part of the loss as `d(theta, j)`, and
/// two moments, zero before the first step.
namespace name {
inline constexpr per_channel<"theta"> theta{};
inline constexpr per_channel<"first_moment"> first_moment{};
inline constexpr per_channel<"second_moment"> second_moment{};
}  // namespace name

/// Makes the update of step t = 1, 2, ...
///
/// Satisfied by: `adam`.
/// The update changes `theta` and the moments in place. It never changes a parameter whose gradient was always 0. One
/// that also has `forward(row, units)` serves policies of which minimality weighs only a part.
template <typename O>
concept optimizer = requires(const O o, index_t t, penalty p, row_archetype<float>& r) {
  o.update(t, p).forward(r);
};

}  // namespace trimtab
