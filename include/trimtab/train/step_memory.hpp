// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/optimizer.hpp>
#include <trimtab/model/workspace.hpp>

#include <concepts>
#include <span>
#include <vector>

/// What direct and recorded steps share: Adam's moments beside θ, and what is known before a step.

namespace trimtab {

/// θ of all replicas, as it lies in the backend's memory, and the loss's values by term and sequence.
template <typename T>
struct fit_look {
  std::vector<T> theta = {};
  std::vector<T> row_values = {};
};

/// First and second moment of all replicas, as θ lies.
template <typename T>
struct fit_moments {
  std::vector<T> first = {};
  std::vector<T> second = {};
};

/// The steps of some replicas, one after another: forward at all strengths, loss, backward, update.
///
/// Satisfied by: `direct_steps`, `recorded_steps`.
/// `look()` is what is known before the next step, `step()` makes it; `moments()` are those before the next step, and
/// `resume` puts θ (which `run` holds) and moments where an earlier run was.
template <typename S, typename T>
concept fit_steps = requires(S& s, const fit_moments<T>& moments) {
  { s.look() } -> std::same_as<const fit_look<T>&>;
  s.step();
  { s.moments() } -> std::same_as<fit_moments<T>>;
  s.resume(moments);
};

namespace detail {

/// The numbers of a view in host memory that is there already after the first time.
template <typename B>
void download_to(const B& backend, matrix_view<const typename B::scalar> from, std::vector<typename B::scalar>& to) {
  to.resize(static_cast<std::size_t>(from.size()));
  backend.download(from, {to.data(), 1, from.size()});
}

/// And back.
template <typename B>
void upload_from(const B& backend, const std::vector<typename B::scalar>& from, matrix_view<typename B::scalar> to) {
  const auto there = backend.upload({from.data(), 1, to.size()});
  backend.copy(there.view(1, to.size()), to);
}

}  // namespace detail
}  // namespace trimtab
