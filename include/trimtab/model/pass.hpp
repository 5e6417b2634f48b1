// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/model/block.hpp>
#include <trimtab/model/workspace.hpp>

#include <algorithm>
#include <cassert>
#include <utility>

/// One pass of a batch through the blocks, forward and backward. All memory is allocated before it runs.

namespace trimtab {

template <typename Model, typename Hooks = no_hooks, typename Observer = no_observer>
class pass {
 public:
  using B = typename Model::backend_type;
  using T = typename Model::scalar;
  using view = matrix_view<T>;

  static_assert(hook_set<Hooks, B>, "the hooks of a pass are `no_hooks` or the hooks() of a composition");
  static_assert(pass_observer<Observer, T>, "the observer of a pass is `no_observer` or what observe() makes");

  pass(const Model& model, const batch<B>& rows, layer_interval layers, Hooks hooks = {},
       pass_use use = pass_use::forward_only, Observer observer = {})
      : model_(model),
        layers_(layers),
        hooks_(std::move(hooks)),
        use_(use),
        observer_(std::move(observer)),
        workspace_(model.backend()),
        memory_(plan_pass<T>(workspace_, model.config(), {rows.rows(), rows.keys(), rows.queries()}, layers,
                             hooked_sites(hooks_, model.config().layers, Observer::is_watching), use)),
        block_(model, rows, memory_, layers_, hooks_, observer_) {}

  pass(const pass&) = delete;  // its block refers to it
  pass& operator=(const pass&) = delete;

  /// The residual stream after the last layer, from x [rows, D] before the first: [rows, D], or [queries, D] if the
  /// last layer is the model's.
  view forward(view x) {
    for (index_t l = layers_.first; l < layers_.last; ++l) x = block_.forward(l, x, moving_parts::all());
    return x;
  }
  /// The same; calls passed(l, qkv) after each layer with its queries, keys and values [keys, 3D].
  template <typename Passed>
  view forward(view x, Passed passed) {
    for (index_t l = layers_.first; l < layers_.last; ++l) {
      x = block_.forward(l, x, moving_parts::all());
      passed(l, block_.saved(l).qkv);
    }
    return x;
  }
  /// Repeats the pass on the same x with other parameters: recomputes only what they affect.
  view again(view x) {
    assert(use_ == pass_use::forward_and_backward);
    for (index_t l = layers_.first; l < layers_.last; ++l) x = block_.forward(l, x, block_.moving(l));
    return x;
  }

  /// logits [queries, V] of the stream [queries, D] that left the last layer.
  void unembed(view x, view logits) { model_.unembed(x, {memory_.forward.norm.data, x.rows, x.cols}, logits); }

  /// Backward from d_logits [queries, V] to the lowest hook; each hook stores its parameters' gradients.
  void backward(view d_logits) {
    backward_scratch<T>& down = memory_.backward;
    const index_t rows = d_logits.rows, width = down.d_norm.cols;
    view d = {down.d_stream[static_cast<std::size_t>(layers_.last % 2)].data, rows, width};
    model_.unembed_backward(block_.saved(layers_.last - 1).output, d_logits, {down.d_norm.data, rows, width}, d);
    for (index_t l = layers_.last - 1; l >= std::max(hooks_.lowest_layer(), layers_.first); --l)
      d = block_.backward(l, d);
  }

  /// Layer l's queries, keys and values [keys, 3D]; the caller writes those of past tokens here.
  view keys(index_t l) { return block_.saved(l).qkv; }

 private:
  const Model& model_;
  layer_interval layers_;
  Hooks hooks_;
  pass_use use_;
  Observer observer_;
  workspace<B> workspace_;
  pass_memory<T> memory_;
  block_pass<Model, Hooks, Observer> block_;
};

}  // namespace trimtab
