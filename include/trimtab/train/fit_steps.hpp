// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/optimizer.hpp>
#include <trimtab/row/residual.hpp>
#include <trimtab/steer/loss.hpp>
#include <trimtab/steer/steered.hpp>

#include <algorithm>
#include <cstring>
#include <optional>
#include <span>
#include <utility>
#include <vector>

/// The steps of a fit, one after another: forward at all strengths, loss, backward, update. On a backend that can record
/// its work a step is recorded once and then replayed, several steps on end without asking for a result; what was
/// learned and lost before each of them is kept on the device and read in one go. The numbers are the same.

namespace trimtab {

/// Work that was recorded runs again with `replay`, on the same memory.
template <typename B>
concept recording_backend = tensor_backend<B> and requires(const B& b, void (*work)()) {
  b.record(work).replay();
};

namespace detail {

/// Which of the steps that are made on end a recorded step is: the same instructions do another thing each time.
inline constexpr per_row<"place"> place_name{};

struct first_place {
  constexpr void forward(row auto& r) const { r(place_name) = 0; }
};
struct next_place {
  constexpr void forward(row auto& r) const { r(place_name) += 1; }
};

/// The row to where the place says, `size` numbers a place.
struct keep {
  static constexpr bool crosses_channels = true;

  index_t size;

  constexpr void forward(row auto& r) const {
    const index_t begin = size * r(place_name);
    r.each([&](auto j) { r.out(begin + j) = r.h(j); });
  }
};

/// The step's own update.
template <typename Update>
struct scheduled {
  const Update* updates;

  constexpr void forward(row auto& r) const { updates[r(place_name)].forward(r); }
};

}  // namespace detail

template <typename Steered, typename Loss, optimizer Optimizer>
class fit_steps {
 public:
  using B = typename Steered::B;
  using T = typename B::scalar;
  using update_type = decltype(std::declval<const Optimizer&>().update(index_t{}, penalty{}));

  /// What is known before a step.
  struct state {
    std::vector<double> theta;
    std::vector<T> row_values;  ///< of the loss
  };

  /// Steps `first` to `last`, and the look at the loss after them. `pause_every`: before each step after a multiple of
  /// it the moments may be asked for.
  fit_steps(const B& backend, Steered& run, const Loss& objective, const Optimizer& with,
            const parameter_layout& layout, index_t lanes, index_t first, index_t last, index_t pause_every)
      : backend_(backend),
        run_(run),
        objective_(objective),
        optimizer_(with),
        layout_(layout),
        penalty_(objective.penalise(layout.lane_size())),
        lanes_(lanes),
        first_(first),
        last_(last),
        pause_every_(pause_every),
        memory_(backend) {
    for (matrix_view<T>* m : {&first_moment_, &second_moment_}) *m = memory_.take(1, run.theta().cols);
    if constexpr (recording_backend<B>) plan_recording();
  }

  fit_steps(const fit_steps&) = delete;
  fit_steps& operator=(const fit_steps&) = delete;

  void resume(std::span<const double> theta, std::span<const double> first_moment,
              std::span<const double> second_moment) {
    load(backend_, theta, run_.theta());
    load(backend_, first_moment, first_moment_);
    load(backend_, second_moment, second_moment_);
  }

  /// To be asked for one step after another.
  const state& before(index_t step) {
    asked_ = step;
    if constexpr (recording_backend<B>) {
      if (step == begin_ + static_cast<index_t>(kept_.size())) run_from(step);
      return kept_[static_cast<std::size_t>(step - begin_)];
    } else {
      if (step > first_) {
        backward();
        update(optimizer_.update(step - 1, penalty_));
      }
      forward();
      download(run_.theta(), now_.theta);
      now_.row_values.resize(static_cast<std::size_t>(objective_.row_values().cols));
      backend_.download(objective_.row_values(), {now_.row_values.data(), 1, objective_.row_values().cols});
      return now_;
    }
  }

  /// First and second moment before the step that was asked for last: at any step if it is the last one to be asked for,
  /// else at pauses.
  std::pair<std::vector<double>, std::vector<double>> moments() {
    if constexpr (recording_backend<B>) {
      rewind();
      for (index_t step = begin_; step < asked_; ++step) recording_->replay();
      auto found = std::pair(download(first_moment_), download(second_moment_));
      if (asked_ == begin_ and asked_ <= last_)  // and back to where the fit was
        for (std::size_t k = 0; k < kept_.size(); ++k) recording_->replay();
      return found;
    } else {
      return {download(first_moment_), download(second_moment_)};
    }
  }

 private:
  static constexpr index_t most_at_once = 16;
  static constexpr index_t most_numbers_kept = index_t{1} << 24;

  matrix_view<const T> reference() const { return run_.reference().logits(); }

  void forward() {
    logits_ = run_.forward();
    objective_.evaluate(logits_, reference());
  }
  void backward() {
    objective_.gradient(logits_, reference(), run_.d_logits());
    run_.backward();
  }

  /// One update of every record of every lane; `more` is what it reads besides.
  template <typename Update, typename... More>
  void update(const Update& with, More... more) const {
    for (index_t lane = 0; lane < lanes_; ++lane)
      for (const parameter_block& block : layout_.blocks) {
        const auto records = [&](matrix_view<T> v) {
          return matrix_view<T>{v.data + lane * layout_.lane_size() + block.offset, block.records(), block.record_size};
        };
        backend_.forward(with, block.records(), block.record_size, each_row(name::theta, records(run_.theta())),
                         each_row(d(name::theta), records(run_.gradient())),
                         each_row(name::first_moment, records(first_moment_)),
                         each_row(name::second_moment, records(second_moment_)), more...);
      }
  }

  std::vector<double> download(matrix_view<const T> parameters) {
    std::vector<double> numbers;
    download(parameters, numbers);
    return numbers;
  }
  void download(matrix_view<const T> parameters, std::vector<double>& to) {
    downloaded_.resize(static_cast<std::size_t>(parameters.cols));
    backend_.download(parameters, {downloaded_.data(), 1, parameters.cols});
    to.assign(downloaded_.begin(), downloaded_.begin() + lanes_ * layout_.lane_size());
  }

  // From here on: for backends that record.

  void plan_recording() {
    const index_t size = run_.theta().cols, values = objective_.row_values().cols;
    at_once_ = std::clamp<index_t>(most_numbers_kept / (size + values), 1, most_at_once);
    for (matrix_view<T>* m : {&saved_theta_, &saved_first_, &saved_second_}) *m = memory_.take(1, size);
    kept_theta_ = memory_.take(at_once_, size);
    kept_values_ = memory_.take(at_once_, values);

    static_assert(std::is_trivially_copyable_v<update_type> and sizeof(update_type) % sizeof(T) == 0,
                  "an optimizer's update travels to the device as its bytes");
    updates_ = memory_.take(at_once_, sizeof(update_type) / sizeof(T));
    place_ = backend_.upload(std::vector<int>{0});
    begin_ = first_;
  }

  /// All rows read the same number, so a function that leaves it as it is gets it to read.
  template <typename Int = const int>
  auto place() {
    return operand<per_row<"place">, Int>{place_.data(), 0, nullptr};
  }

  /// Everything that a step does, and nothing that waits.
  void whole_step() {
    forward();
    keep_row(run_.theta(), kept_theta_);
    keep_row(objective_.row_values(), kept_values_);
    backward();
    update(detail::scheduled<update_type>{reinterpret_cast<const update_type*>(updates_.data)}, place());
    backend_.forward(detail::next_place{}, 1, 1, place<int>());
  }

  /// In rows of at most 1024 numbers, so that many threads take part.
  void keep_row(matrix_view<const T> from, matrix_view<T> to) {
    constexpr index_t width = 1024;
    const index_t rows = from.cols / width, rest = from.cols % width;
    const auto some = [&](index_t begin, index_t count, index_t of) {
      if (count > 0)
        backend_.forward(detail::keep{from.cols}, count, of,
                         each_row(name::h, matrix_view<const T>{from.data + begin, count, of}),
                         each_row(name::out, matrix_view<T>{to.data + begin, count, of}), place());
    };
    some(0, rows, width);
    some(rows * width, rest > 0 ? 1 : 0, rest);
  }

  /// As many steps from here on as may be made before somebody wants to know. A step of which the moments may be asked
  /// for begins a run.
  void run_from(index_t step) {
    begin_ = step;
    index_t count = step == first_ or step > last_ ? 1 : std::min(at_once_, last_ - step + 1);
    if (pause_every_ > 0) count = std::min(count, pause_every_ - (step - 1) % pause_every_);
    save();
    schedule(step, count);
    if (step == first_) {
      whole_step();  // not recorded: it takes the memory and makes the plans that later steps find ready
      if (first_ <= last_) recording_.emplace(backend_.record([this] { whole_step(); }));
    } else {
      for (index_t k = 0; k < count; ++k) recording_->replay();
    }
    const auto theta = backend_.download({kept_theta_.data, count, kept_theta_.cols});
    const auto values = backend_.download({kept_values_.data, count, kept_values_.cols});
    kept_.clear();
    for (index_t k = 0; k < count; ++k) {
      const auto* const t = theta.view().row(k);
      const auto* const v = values.view().row(k);
      kept_.push_back({{t, t + lanes_ * layout_.lane_size()}, {v, v + values.cols}});
    }
  }

  void save() {
    backend_.copy(run_.theta(), saved_theta_);
    backend_.copy(first_moment_, saved_first_);
    backend_.copy(second_moment_, saved_second_);
  }
  void rewind() {
    backend_.copy(saved_theta_, run_.theta());
    backend_.copy(saved_first_, first_moment_);
    backend_.copy(saved_second_, second_moment_);
    backend_.forward(detail::first_place{}, 1, 1, place<int>());
  }
  void schedule(index_t step, index_t count) {
    host_matrix<T> bytes(count, updates_.cols);
    for (index_t k = 0; k < count; ++k) {
      const update_type one = optimizer_.update(step + k, penalty_);
      std::memcpy(bytes.view().row(k), &one, sizeof one);
    }
    const auto there = backend_.upload(std::as_const(bytes).view());
    backend_.copy(there.view(count, updates_.cols), updates_);
    backend_.forward(detail::first_place{}, 1, 1, place<int>());
  }

  static auto no_recording() {
    if constexpr (recording_backend<B>)
      return std::optional<decltype(std::declval<const B&>().record(std::declval<void (*)()>()))>{};
    else
      return 0;
  }

  const B& backend_;
  Steered& run_;
  const Loss& objective_;
  Optimizer optimizer_;
  const parameter_layout& layout_;
  penalty penalty_;
  index_t lanes_, first_, last_, pause_every_;
  index_t asked_ = 0;
  workspace<B> memory_;
  matrix_view<T> first_moment_ = {}, second_moment_ = {};
  matrix_view<const T> logits_ = {};
  state now_ = {};                  ///< on a backend that does not record
  std::vector<T> downloaded_ = {};  ///< kept from step to step, as `now_` is

  index_t at_once_ = 1, begin_ = 0;
  matrix_view<T> saved_theta_ = {}, saved_first_ = {}, saved_second_ = {}, kept_theta_ = {}, kept_values_ = {},
                 updates_ = {};
  typename B::indices place_ = {};
  std::vector<state> kept_ = {};  ///< before steps begin_, begin_ + 1, ...
  decltype(no_recording()) recording_ = {};
};

}  // namespace trimtab
