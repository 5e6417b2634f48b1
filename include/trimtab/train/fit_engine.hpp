// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/steer/loss.hpp>
#include <trimtab/steer/steered.hpp>
#include <trimtab/train/direct_steps.hpp>
#include <trimtab/train/recorded_steps.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

/// What makes the steps of the replicas that share a pass: all at once, or in chunks (chunked_engine.hpp).

namespace trimtab {

/// How far a step is.
struct chunk_progress {
  index_t done = 0, chunks = 1;
};

/// Called before each chunk of a step; false breaks the step off.
using chunk_watch = std::function<bool(const chunk_progress&)>;

/// Thrown out of a step that was broken off. The fit stands where it stood before that step.
struct step_broken_off {};

template <tensor_backend B, typename Loss>
class fit_engine {
 public:
  using T = typename B::scalar;

  virtual ~fit_engine() = default;

  virtual const replica_storage<B>& storage() const = 0;
  /// Sets the parameters, one span for each replica.
  virtual void take_parameters(std::span<const std::span<const double>> theta) = 0;
  /// The state before the next step.
  virtual const fit_look<T>& look(const chunk_watch& proceed) = 0;
  virtual void step(const chunk_watch& proceed) = 0;
  /// Adam's moments before the next step; `resume` sets those of an earlier run.
  virtual fit_moments<T> moments() = 0;
  virtual void resume(const fit_moments<T>& from) = 0;
  /// The objective on the sequences of the last look, which reads its `row_values`.
  virtual const Loss& objective() const = 0;
  /// The gradient of the last step.
  virtual matrix_view<const T> gradient() = 0;
};

/// All sequences in one pass, planned once: a step allocates nothing.
template <typename Steering, typename Loss, optimizer Optimizer>
class whole_engine final : public fit_engine<typename Steering::model_type::backend_type, Loss> {
 public:
  using Model = typename Steering::model_type;
  using B = typename Model::backend_type;
  using T = typename B::scalar;
  using objective_type = typename Loss::objective_type;

  /// One layout, objective, optimizer and penalty per replica. `untouched` is a baseline of the prompts, or null;
  /// `made` counts earlier steps, and no step beyond `last` is made ahead.
  whole_engine(const Steering& composition, std::vector<parameter_layout> layouts, std::span<const prompt_pair> prompts,
               std::vector<sequence> sequences, std::vector<objective_type> objectives,
               std::shared_ptr<const baseline<Model>> untouched, std::vector<Optimizer> optimizers,
               std::vector<penalty> penalties, index_t made, index_t last)
      : objective_(composition.model().backend(), std::move(objectives), prompts, sequences),
        run_(composition, std::move(layouts), prompts, std::move(sequences), pass_use::forward_and_backward,
             scored::last, std::move(untouched), {}, objective_.hook_terms()),
        steps_(composition.model().backend(), run_, objective_, std::move(optimizers), std::move(penalties), made,
               last) {}

  const std::shared_ptr<const baseline<Model>>& untouched() const { return run_.untouched(); }

  const replica_storage<B>& storage() const override { return run_.storage(); }
  void take_parameters(std::span<const std::span<const double>> theta) override {
    run_.take_parameters([&](index_t slot) { return theta[static_cast<std::size_t>(slot)]; });
  }
  const fit_look<T>& look(const chunk_watch&) override { return steps_.look(); }
  void step(const chunk_watch&) override { steps_.step(); }
  fit_moments<T> moments() override { return steps_.moments(); }
  void resume(const fit_moments<T>& from) override { steps_.resume(from); }
  const Loss& objective() const override { return objective_; }
  matrix_view<const T> gradient() override { return run_.gradient(); }

 private:
  using steps_type = std::conditional_t<recording_backend<B>, recorded_steps<steered<Steering>, Loss, Optimizer>,
                                        direct_steps<steered<Steering>, Loss, Optimizer>>;
  static_assert(fit_steps<steps_type, T>);

  Loss objective_;
  steered<Steering> run_;
  steps_type steps_;
};

}  // namespace trimtab
