// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/operand.hpp>
#include <trimtab/steer/replica_storage.hpp>
#include <trimtab/train/step_memory.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

/// Steps on a backend that can record its work: a step is recorded once and then replayed, several times without
/// waiting for a result; parameters and losses before each step are kept on the device and downloaded together. The
/// numbers are those of direct steps.

namespace trimtab {

/// A backend whose `record(work)` returns a recording; its `replay` runs the work again on the same memory.
template <typename B>
concept recording_backend = tensor_backend<B> and std::movable<typename B::indices> and
    std::default_initializable<typename B::indices> and
    requires(const B& b, void (*work)(), typename B::indices& indices) {
  b.record(work).replay();
  { indices.data() } -> std::convertible_to<int*>;
};

namespace detail {

/// The index of a replayed step since the last download: the same instructions then use other memory.
inline constexpr per_row<"place"> place_name{};
/// The replica that a record belongs to.
inline constexpr per_row<"owner"> owner_name{};

struct first_place {
  constexpr void forward(row auto& r) const { r(place_name) = 0; }
};
struct next_place {
  constexpr void forward(row auto& r) const { r(place_name) += 1; }
};

/// Copies the row to the memory of the current place, `size` numbers per place.
struct keep_row {
  static constexpr bool crosses_channels = true;

  index_t size;

  constexpr void forward(row auto& r) const {
    const index_t begin = size * r(place_name);
    r.each([&](auto j) { r.out(begin + j) = r.h(j); });
  }
};

/// The update of the current step for the record's replica.
template <typename Update>
struct scheduled {
  const Update* updates;  ///< [place][replica]
  index_t replicas;

  constexpr void forward(row auto& r) const { updates[r(place_name) * replicas + r(owner_name)].forward(r); }
  constexpr void forward(row auto& r, record_units units) const {
    updates[r(place_name) * replicas + r(owner_name)].forward(r, units);
  }
};

}  // namespace detail

template <typename Run, typename Loss, optimizer Optimizer>
class recorded_steps {
 public:
  using B = typename Run::B;
  using T = typename B::scalar;
  using update_type = decltype(std::declval<const Optimizer&>().update(index_t{}, penalty{}));

  static_assert(std::is_trivially_copyable_v<update_type>, "an optimizer's update travels to the device as its bytes");

  /// As `direct_steps`; no step beyond `last` is made ahead.
  recorded_steps(const B& backend, Run& run, const Loss& objective, std::vector<Optimizer> optimizers,
                 std::vector<penalty> penalties, index_t made, index_t last)
      : backend_(backend),
        run_(run),
        objective_(objective),
        optimizers_(std::move(optimizers)),
        penalties_(std::move(penalties)),
        made_(made),
        last_(last),
        begin_(made),
        device_at_(made),
        memory_(backend),
        moments_(backend, run.theta().cols),
        units_(units_of(run.storage().layout(0), memory_)) {
    const index_t size = run.theta().cols, values = objective.row_values().cols;
    at_once_ = std::clamp<index_t>(most_numbers_kept / (size + values), 1, most_at_once);
    for (matrix_view<T>* m : {&saved_theta_, &saved_first_, &saved_second_}) *m = memory_.take(1, size);
    kept_theta_ = memory_.take(at_once_, size);
    kept_values_ = memory_.take(at_once_, values);
    updates_ = memory_.take(1, numbers_of_updates(at_once_));
    place_ = backend_.upload(std::vector<int>{0});
    for (std::size_t k = 0; k < run.storage().layout(0).blocks.size(); ++k)
      owners_.push_back(memory_.take(run.storage().replica_of_records(k)));
  }
  recorded_steps(const recorded_steps&) = delete;
  recorded_steps& operator=(const recorded_steps&) = delete;

  const fit_look<T>& look() {
    if (made_ == begin_ + static_cast<index_t>(kept_.size())) run_ahead();
    return kept_[static_cast<std::size_t>(made_ - begin_)];
  }

  void step() {
    look();
    ++made_;
  }

  fit_moments<T> moments() {
    bring_device_to(made_);
    return moments_.download();
  }
  void resume(const fit_moments<T>& from) { moments_.upload(from); }

 private:
  static constexpr index_t most_at_once = 16;
  static constexpr index_t most_numbers_kept = index_t{1} << 24;

  index_t replicas() const { return run_.storage().replicas(); }
  matrix_view<const T> reference() const { return run_.untouched()->logits(); }

  /// All rows share the same number; functions that only read it get it as const.
  template <typename Int = const int>
  auto place() {
    return operand<per_row<"place">, Int>{place_.data(), 0, nullptr};
  }

  /// Everything that a step does, without waiting for a result.
  void whole_step() {
    const matrix_view<const T> logits = run_.forward();
    objective_.evaluate(logits, reference(), run_.hook_means());
    keep(run_.theta(), kept_theta_);
    keep(objective_.row_values(), kept_values_);
    objective_.gradient(logits, reference(), run_.d_logits());
    run_.backward();
    const detail::scheduled<update_type> with{reinterpret_cast<const update_type*>(updates_.data), replicas()};
    for (std::size_t k = 0; k < owners_.size(); ++k) {
      const auto records = [&](matrix_view<T> all) { return run_.storage().records(k, all); };
      const matrix_view<T> theta = records(run_.theta());
      const auto update = [&](const auto& of_record) {
        backend_.forward(of_record, theta.rows, theta.cols, each_row(name::theta, theta),
                         each_row(grad(name::theta), records(run_.gradient())),
                         each_row(name::first_moment, records(moments_.first())),
                         each_row(name::second_moment, records(moments_.second())), place(),
                         operand<per_row<"owner">, const int>{owners_[k], 1});
      };
      if constexpr (takes_units<update_type>)
        if (units_[k].unit != nullptr) {
          update(in_units<detail::scheduled<update_type>>{with, units_[k]});
          continue;
        }
      update(with);
    }
    backend_.forward(detail::next_place{}, 1, 1, place<int>());
  }

  /// Copies in rows of at most 1024 numbers, so that many threads take part.
  void keep(matrix_view<const T> from, matrix_view<T> to) {
    constexpr index_t width = 1024;
    const index_t rows = from.cols / width, rest = from.cols % width;
    const auto some = [&](index_t begin, index_t count, index_t of) {
      if (count > 0)
        backend_.forward(detail::keep_row{from.cols}, count, of,
                         each_row(name::h, matrix_view<const T>{from.data + begin, count, of}),
                         each_row(name::out, matrix_view<T>{to.data + begin, count, of}), place());
    };
    some(0, rows, width);
    some(rows * width, rest > 0 ? 1 : 0, rest);
  }

  /// Runs up to `at_once_` steps without waiting for their results. The first runs alone and is not recorded: it
  /// allocates the memory and makes the plans that later steps reuse.
  void run_ahead() {
    bring_device_to(made_);
    begin_ = made_;
    const index_t count = recording_ ? std::clamp<index_t>(last_ - made_, 1, at_once_) : 1;
    save();
    schedule(count);
    for (index_t k = 0; k < count; ++k) recording_ ? recording_->replay() : whole_step();
    if (not recording_) recording_.emplace(backend_.record([this] { whole_step(); }));
    device_at_ = begin_ + count;
    const auto theta = backend_.download({kept_theta_.data, count, kept_theta_.cols});
    const auto values = backend_.download({kept_values_.data, count, kept_values_.cols});
    kept_.clear();
    for (index_t k = 0; k < count; ++k) {
      const auto* const t = theta.view().row(k);
      const auto* const v = values.view().row(k);
      kept_.push_back({{t, t + theta.cols}, {v, v + values.cols}});
    }
  }

  /// Brings the device to the state after `made` steps, `begin_` or later.
  void bring_device_to(index_t made) {
    if (device_at_ > made) {
      backend_.copy(saved_theta_, run_.theta());
      backend_.copy(saved_first_, moments_.first());
      backend_.copy(saved_second_, moments_.second());
      backend_.forward(detail::first_place{}, 1, 1, place<int>());
      device_at_ = begin_;
    }
    for (; device_at_ < made; ++device_at_) recording_->replay();
  }

  void save() {
    backend_.copy(run_.theta(), saved_theta_);
    backend_.copy(moments_.first(), saved_first_);
    backend_.copy(moments_.second(), saved_second_);
  }
  /// How many numbers hold the updates of so many steps.
  index_t numbers_of_updates(index_t steps) const {
    const auto bytes = steps * replicas() * static_cast<index_t>(sizeof(update_type));
    return (bytes + index_t{sizeof(T)} - 1) / index_t{sizeof(T)};
  }
  void schedule(index_t count) {
    host_matrix<T> bytes(1, numbers_of_updates(count));
    auto* to = reinterpret_cast<char*>(bytes.values.data());
    for (index_t k = 0; k < count; ++k)
      for (std::size_t r = 0; r < optimizers_.size(); ++r) {
        const update_type one = optimizers_[r].update(made_ + k + 1, penalties_[r]);
        std::memcpy(to, &one, sizeof one);
        to += sizeof one;
      }
    const auto there = backend_.upload(std::as_const(bytes).view());
    backend_.copy(there.view(1, bytes.cols), updates_);
    backend_.forward(detail::first_place{}, 1, 1, place<int>());
  }

  using recording = decltype(std::declval<const B&>().record(std::declval<void (*)()>()));

  const B& backend_;
  Run& run_;
  const Loss& objective_;
  std::vector<Optimizer> optimizers_;
  std::vector<penalty> penalties_;
  index_t made_, last_, begin_, device_at_, at_once_ = 1;
  workspace<B> memory_;
  moment_memory<B> moments_;
  std::vector<record_units> units_;  ///< by intervention
  matrix_view<T> saved_theta_ = {}, saved_first_ = {}, saved_second_ = {}, kept_theta_ = {}, kept_values_ = {},
                 updates_ = {};
  typename B::indices place_ = {};
  std::vector<const int*> owners_ = {};  ///< by intervention
  std::vector<fit_look<T>> kept_ = {};   ///< the states after begin_, begin_ + 1, ... steps
  std::optional<recording> recording_ = {};
};

}  // namespace trimtab
