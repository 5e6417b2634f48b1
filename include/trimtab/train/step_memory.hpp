// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/optimizer.hpp>
#include <trimtab/model/workspace.hpp>
#include <trimtab/steer/parameter_layout.hpp>
#include <trimtab/steer/replica_storage.hpp>

#include <algorithm>
#include <concepts>
#include <span>
#include <utility>
#include <vector>

/// What direct and recorded steps share: Adam's moments, and the state before a step.

namespace trimtab {

/// θ of all replicas, in the backend's layout, and the loss's values by term and sequence.
template <typename T>
struct fit_look {
  std::vector<T> theta = {};
  std::vector<T> row_values = {};
};

/// First and second moments of all replicas, in the layout of θ.
template <typename T>
struct fit_moments {
  std::vector<T> first = {};
  std::vector<T> second = {};
};

/// The steps of some replicas, one after another: forward at all strengths, loss, backward, update.
///
/// Satisfied by: `direct_steps`, `recorded_steps`.
/// `look()` returns the state before the next step, `step()` makes it; `moments()` are those before the next step, and
/// `resume` sets those of an earlier run (its θ is already in `run`).
template <typename S, typename T>
concept fit_steps = requires(S& s, const fit_moments<T>& moments) {
  { s.look() } -> std::same_as<const fit_look<T>&>;
  s.step();
  { s.moments() } -> std::same_as<fit_moments<T>>;
  s.resume(moments);
};

namespace detail {

/// Downloads a view into `to`, whose memory is reused from call to call.
template <typename B>
void download_to(const B& backend, matrix_view<const typename B::scalar> from, std::vector<typename B::scalar>& to) {
  to.resize(static_cast<std::size_t>(from.size()));
  backend.download(from, {to.data(), 1, from.size()});
}

/// Uploads `from` into a view.
template <typename B>
void upload_from(const B& backend, const std::vector<typename B::scalar>& from, matrix_view<typename B::scalar> to) {
  const auto there = backend.upload({from.data(), 1, to.size()});
  backend.copy(there.view(1, to.size()), to);
}

}  // namespace detail

/// Adam's moments of all replicas in the backend's memory, [1, numbers] in the layout of θ; zeros at first.
template <tensor_backend B>
class moment_memory {
 public:
  using T = typename B::scalar;

  moment_memory(const B& backend, index_t numbers)
      : backend_(backend), memory_(backend), first_(memory_.take(1, numbers)), second_(memory_.take(1, numbers)) {}

  matrix_view<T> first() const { return first_; }
  matrix_view<T> second() const { return second_; }

  fit_moments<T> download() const {
    fit_moments<T> found;
    detail::download_to(backend_, first_, found.first);
    detail::download_to(backend_, second_, found.second);
    return found;
  }
  void upload(const fit_moments<T>& from) {
    detail::upload_from(backend_, from.first, first_);
    detail::upload_from(backend_, from.second, second_);
  }

 private:
  const B& backend_;
  workspace<B> memory_;
  matrix_view<T> first_, second_;
};

/// By intervention, how the penalty takes the numbers of its records, in the backend's memory.
template <tensor_backend B>
std::vector<record_units> units_of(const parameter_layout& layout, workspace<B>& memory) {
  std::vector<record_units> all;
  for (const parameter_block& block : layout.blocks) {
    record_units& units = all.emplace_back();
    if (block.weighs_each()) continue;
    std::vector<int> unit(static_cast<std::size_t>(block.record_size), -1);
    block.each_weighed([&](const parameter_slice& slice) {
      const int number = slice.weighed == weighing::each ? 0 : ++units.groups;
      std::fill_n(unit.begin() + slice.offset, slice.extent, number);
    });
    units.unit = memory.take(std::move(unit));
  }
  return all;
}

/// Applies one optimizer's update to some records of θ, each matrix [records, record size].
template <tensor_backend B, typename Update>
void update_records(const B& backend, const Update& update, matrix_view<typename B::scalar> theta,
                    matrix_view<typename B::scalar> gradient, matrix_view<typename B::scalar> first_moment,
                    matrix_view<typename B::scalar> second_moment, record_units units = {}) {
  const auto run = [&](const auto& row_function) {
    backend.forward(row_function, theta.rows, theta.cols, each_row(name::theta, theta),
                    each_row(grad(name::theta), gradient), each_row(name::first_moment, first_moment),
                    each_row(name::second_moment, second_moment));
  };
  if constexpr (takes_units<Update>)
    if (units.unit != nullptr) return run(in_units<Update>{update, units});
  run(update);
}

/// Makes step `made` (1, 2, ...) of every replica, each with its own optimizer and penalty.
template <tensor_backend B, optimizer Optimizer>
void update_replicas(const B& backend, const replica_storage<B>& storage, std::span<const Optimizer> optimizers,
                     std::span<const penalty> penalties, index_t made, matrix_view<typename B::scalar> theta,
                     matrix_view<typename B::scalar> gradient, const moment_memory<B>& moments,
                     std::span<const record_units> units) {
  using view = matrix_view<typename B::scalar>;
  for (index_t replica = 0; replica < storage.replicas(); ++replica) {
    const auto r = static_cast<std::size_t>(replica);
    const auto with = optimizers[r].update(made, penalties[r]);
    storage.each_records(replica, [&](std::size_t k, index_t offset, index_t count, index_t size) {
      const auto records = [&](view all) { return view{all.data + offset, count, size}; };
      update_records(backend, with, records(theta), records(gradient), records(moments.first()),
                     records(moments.second()), units[k]);
    });
  }
}

}  // namespace trimtab
