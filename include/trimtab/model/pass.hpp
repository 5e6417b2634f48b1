// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/model/parts.hpp>
#include <trimtab/model/plan.hpp>
#include <trimtab/model/tape.hpp>

#include <algorithm>
#include <cassert>
#include <vector>

/// One way of a batch through the blocks, forwards and, for activations only, backwards. There is no autograd: the
/// adjoint of each half of a block stands beside it, and weights get no gradient. In the last layer only scored rows go
/// past keys and values.
///
///     sequential   mid = x + attn_out,  out = mid + mlp_out
///     parallel     out = x + attn_out + mlp_out

namespace trimtab {

template <typename Model, typename Hooks = no_hooks>
class pass {
 public:
  using B = typename Model::backend_type;
  using T = typename Model::scalar;
  using view = matrix_view<T>;

  static_assert(hook_set<Hooks, T>, "the hooks of a pass are `no_hooks` or what steer() binds to a batch");

  /// Takes all memory the pass will need.
  pass(const Model& model, const batch<B>& rows, layer_interval layers, Hooks hooks = {},
       tape_use use = tape_use::forward_only)
      : model_(model),
        config_(model.config()),
        backend_(model.backend()),
        rows_(rows),
        parts_(model, rows),
        layers_(layers),
        hooks_(hooks),
        use_(use),
        memory_(backend_),
        up_(memory_, config_, rows) {
    for (index_t l = layers.first; l < layers.last; ++l) plan_layer(l);
    if (use == tape_use::forward_and_backward) down_ = backward_scratch<T>(memory_, config_, rows);
  }

  pass(const pass&) = delete;  // views point into its memory
  pass& operator=(const pass&) = delete;

  /// The stream [rows, D] that enters the first layer to the one that leaves the last: [rows, D], or [queries, D] past
  /// the model's own last layer.
  view forward(view x) {
    return forward(x, [](index_t, view) {});
  }
  /// The same; after each layer l, `passed(l, qkv)` sees its queries, keys and values.
  template <typename Passed>
  view forward(view x, Passed passed) {
    for (index_t l = layers_.first; l < layers_.last; ++l) {
      x = forward_block(l, x, moving_parts::all());
      passed(l, tape(l).qkv);
    }
    return x;
  }
  /// The same stream once more, with other parameters: computes only what they move.
  view again(view x) {
    assert(use_ == tape_use::forward_and_backward);
    for (index_t l = layers_.first; l < layers_.last; ++l) x = forward_block(l, x, moving(l));
    return x;
  }

  /// logits [queries, V] of the stream [queries, D] that left the last layer.
  void unembed(view x, view logits) {
    const view norm = cut(up_.norm, x.rows);
    parts_.normalise(model_.norm_final(), x, norm);
    backend_.multiply(model_.unembedding(), norm, logits);
  }

  /// From d_logits [queries, V] down to the lowest hook; each hook takes its gradients as they come by.
  void backward(view d_logits) {
    const view d_norm = cut(down_.d_norm, d_logits.rows);
    view d = cut(down_.d_stream[static_cast<std::size_t>(layers_.last % 2)], d_logits.rows);
    backend_.multiply_adjoint(model_.unembedding(), d_logits, d_norm);
    parts_.normalise_adjoint(model_.norm_final(), tape(layers_.last - 1).output, d_norm, d);
    for (index_t l = layers_.last - 1; l >= std::max(hooks_.lowest_layer(), layers_.first); --l)
      d = backward_block(l, d);
  }

  /// [keys, 3D] where layer l keeps queries, keys and values: those of tokens that the batch was given go here.
  view keys(index_t l) { return tape(l).qkv; }

 private:
  static constexpr bool parallel = Model::architecture::residual == residual_form::parallel;

  view forward_block(index_t l, view x, const moving_parts& move) {
    layer_tape<T>& t = tape(l);
    t.stream = x;
    if constexpr (Hooks::template has<site::resid_pre>)
      if (active<site::resid_pre>(l)) {
        arrived<site::resid_pre>(t) = x;
        t.stream = t.steered_input;
        hooks_.template forward<site::resid_pre>(l, x.as_const(), t.stream);
      }

    attention_half(l, t, move);
    join_halves(l, t, move);
    mlp_half(l, t, move);
    produce<site::resid_post>(l, move.mlp_out or move.attn_out, t.output, [&](view out) {
      parts_.add(each_row(name::h, t.middle), t.mlp_out, out);
      if constexpr (parallel) parts_.add(each_row(name::h, out), t.attn_out, out);
    });
    return t.output;
  }

  /// The gradient of the block's input from that of its output `d_out` [m, D], as far down as parameters move it.
  view backward_block(index_t l, view d_out) {
    layer_tape<T>& t = tape(l);
    const moving_parts move = moving(l);
    const view d = consume<site::resid_post>(l, d_out, down_.d_output);
    view d_middle = move.mlp_out ? mlp_half_adjoint(l, t, d, move) : d;
    if constexpr (not parallel) d_middle = consume<site::resid_mid>(l, d_middle, down_.d_steered_middle);
    if (not move.attn_out) return d_middle;
    const view d_stream = attention_half_adjoint(l, t, parallel ? d : d_middle, d_middle, move);
    if (not move.stream) return d_stream;
    return consume<site::resid_pre>(l, d_stream, down_.d_steered_stream);
  }

  /// norm_1, queries, keys and values, attention, output projection.
  void attention_half(index_t l, layer_tape<T>& t, const moving_parts& move) {
    const frozen_block<B>& w = model_.block(l);
    const view z = cut(up_.attn_z, t.attn_out.rows);
    if (move.stream) {
      parts_.normalise(w.norm_1, t.stream, up_.norm);
      const view qkv = rows_.complete() ? t.qkv : up_.qkv;
      backend_.multiply(w.qkv, up_.norm, qkv);
      if (not rows_.complete()) parts_.to_keys(qkv, t.qkv);
      parts_.turn(t.qkv);
    }
    produce<site::attn_z>(l, move.stream, z, [&](view v) { backend_.attention(shape(l), config_.heads, t.qkv, v); });
    produce<site::attn_out>(l, move.attn_z, t.attn_out, [&](view v) { backend_.multiply(w.attn_out, z, v); });
  }

  /// The gradient of the stream, of which `d_skip` comes along the skip connection.
  view attention_half_adjoint(index_t l, layer_tape<T>& t, view d_out, view d_skip, const moving_parts& move) {
    const frozen_block<B>& w = model_.block(l);
    const view d_attn_out = consume<site::attn_out>(l, d_out, down_.d_attn_out);
    if (not move.attn_z) return d_attn_out;
    view d_z = cut(down_.d_attn_z, d_out.rows);
    backend_.multiply_adjoint(w.attn_out, d_attn_out, d_z);
    d_z = consume<site::attn_z>(l, d_z, down_.d_steered_attn_z);
    if (not move.stream) return d_z;
    backend_.attention_adjoint(shape(l), config_.heads, t.qkv, d_z, down_.d_qkv);
    parts_.turn_back(down_.d_qkv);
    const view d_qkv = rows_.complete() ? down_.d_qkv : up_.qkv;
    if (not rows_.complete()) parts_.from_keys(down_.d_qkv, d_qkv);
    backend_.multiply_adjoint(w.qkv, d_qkv, down_.d_norm);
    const view d_stream = down_.d_stream[static_cast<std::size_t>(l % 2)];
    if (is_last(l)) {  // past the attention there are fewer rows
      parts_.normalise_adjoint(w.norm_1, t.stream, down_.d_norm, d_stream);
      parts_.add_to(skip_operand(l, d_stream), d_skip);
    } else {
      parts_.add_and_normalise_adjoint(w.norm_1, t.stream, down_.d_norm, d_skip, d_stream);
    }
    return d_stream;
  }

  /// What the attention leaves on the stream, and what the MLP reads of it: in one go where no hook is in between.
  void join_halves(index_t l, layer_tape<T>& t, const moving_parts& move) {
    const frozen_norm<B>& norm_2 = model_.block(l).norm_2;
    if constexpr (parallel) {
      if (not is_last(l))
        t.middle = t.stream;
      else if (move.stream)
        parts_.select_queries(t.stream, t.middle);
    } else if (active<site::resid_mid>(l)) {
      produce<site::resid_mid>(l, move.attn_out, t.middle,
                               [&](view mid) { parts_.add(skip_operand(l, t.stream), t.attn_out, mid); });
    } else {
      if (move.middle)
        parts_.add_and_normalise(norm_2, skip_operand(l, t.stream), t.attn_out, t.middle, cut(up_.norm, t.middle.rows));
      return;
    }
    if (move.middle) parts_.normalise(norm_2, t.middle, cut(up_.norm, t.middle.rows));
  }

  /// The neurons, output projection.
  void mlp_half(index_t l, layer_tape<T>& t, const moving_parts& move) {
    const frozen_block<B>& w = model_.block(l);
    const view norm = cut(up_.norm, t.middle.rows), post = cut(up_.mlp_post, t.middle.rows);
    if (move.middle) backend_.multiply(w.mlp_in, norm, t.pre);
    produce<site::mlp_post>(l, move.middle, post, [&](view v) { parts_.activate(t.pre, v); });
    produce<site::mlp_out>(l, move.mlp_post, t.mlp_out, [&](view v) { backend_.multiply(w.mlp_out, post, v); });
  }

  /// The gradient of the middle, of which `d_out` comes along the skip connection.
  view mlp_half_adjoint(index_t l, layer_tape<T>& t, view d_out, const moving_parts& move) {
    const frozen_block<B>& w = model_.block(l);
    const view d_mlp_out = consume<site::mlp_out>(l, d_out, down_.d_mlp_out);
    if (not move.mlp_post) return d_out;
    view d_post = cut(down_.d_mlp_post, d_out.rows);
    backend_.multiply_adjoint(w.mlp_out, d_mlp_out, d_post);
    d_post = consume<site::mlp_post>(l, d_post, down_.d_steered_mlp_post);
    if (not move.middle) return d_out;
    parts_.activate_adjoint(t.pre, d_post);
    const view d_norm = cut(down_.d_norm, d_out.rows), d_middle = cut(down_.d_middle, d_out.rows);
    backend_.multiply_adjoint(w.mlp_in, d_post, d_norm);
    parts_.add_and_normalise_adjoint(w.norm_2, t.middle, d_norm, d_out, d_middle);
    return d_middle;
  }

  moving_parts moving(index_t l) const { return moving_in<parallel>(hooks_, l); }

  template <hook_site Site>
  bool active(index_t l) const {
    return is_active<Site>(hooks_, l);
  }

  /// Has `write` make the activations of a site, where what they are made of moves, and leaves them, steered where the
  /// site is hooked, in `out`.
  template <hook_site Site, typename Write>
  void produce(index_t l, bool moves, view out, Write write) {
    if constexpr (Hooks::template has<Site>)
      if (active<Site>(l)) {
        const view h = arrived<Site>(tape(l));
        if (moves) write(h);
        const index_t width = site_width<Site>(config_);
        hooks_.template forward<Site>(l, h.reshaped(width).as_const(), out.reshaped(width));
        return;
      }
    if (moves) write(out);
  }

  /// The gradient of what arrived at a site from that of what went on: `d_out` itself where there is no hook, else
  /// `d_h`.
  template <hook_site Site>
  view consume(index_t l, view d_out, view d_h) {
    if constexpr (Hooks::template has<Site>)
      if (active<Site>(l)) {
        d_h = cut(d_h, d_out.rows);
        const index_t width = site_width<Site>(config_);
        hooks_.template backward<Site>(l, arrived<Site>(tape(l)).reshaped(width).as_const(),
                                       d_out.reshaped(width).as_const(), d_h.reshaped(width));
        return d_h;
      }
    return d_out;
  }

  /// The rows of the stream that go past the attention of layer l.
  operand<per_channel<"h">, T> skip_operand(index_t l, view stream) const {
    return is_last(l) ? selected_row(name::h, stream, rows_.query_rows()) : each_row(name::h, stream);
  }

  static view cut(view v, index_t rows) { return {v.data, rows, v.cols}; }
  bool is_last(index_t l) const { return l == config_.layers - 1; }
  const ragged_shape& shape(index_t l) const { return is_last(l) ? rows_.scored_only() : rows_.all(); }
  layer_tape<T>& tape(index_t l) { return tapes_[static_cast<std::size_t>(l - layers_.first)]; }
  template <hook_site Site>
  static view& arrived(layer_tape<T>& t) {
    return t.arrived[Site::stage];
  }

  /// Without an adjoint all layers share one tape, but for two outputs that alternate, and all hooks one memory for
  /// what arrives at them: it stays in the caches, where a place for each would cost them more than the interventions.
  void plan_layer(index_t l) {
    const index_t n = rows_.rows(), m = is_last(l) ? rows_.queries() : n, width = config_.width,
                  hidden = config_.hidden;
    const bool fresh = use_ == tape_use::forward_and_backward or tapes_.empty();
    layer_tape<T> t = fresh ? layer_tape<T>{} : tapes_.back();
    const auto take = [&](view& v, index_t rows, index_t cols) {
      if (v.data == nullptr) v = memory_.take(n, cols);
      v.rows = rows;
    };
    if (t.qkv.data == nullptr) t.qkv = memory_.take(rows_.keys(), 3 * width);
    if (not parallel or is_last(l)) take(t.middle, m, width);
    take(t.pre, m, hidden);
    t.output = not fresh and tapes_.size() > 1 ? tapes_[tapes_.size() - 2].output : view{};
    take(t.output, m, width);
    // Of the layer where the lowest hook is, one branch may never move again.
    const bool kept = parallel and use_ == tape_use::forward_and_backward and l == hooks_.lowest_layer();
    t.attn_out = kept ? memory_.take(m, width) : cut(up_.attn_out, m);
    t.mlp_out = kept ? memory_.take(m, width) : cut(up_.mlp_out, m);
    if (active<site::resid_pre>(l)) take(t.steered_input, n, width);
    const auto take_arrived = [&]<typename Site>(Site) {
      const index_t cols = Site::rows == site_rows::hidden ? hidden : width;
      if (not active<Site>(l)) return;
      if (use_ == tape_use::forward_and_backward) return take(arrived<Site>(t), m, cols);
      if (up_.arrived.data == nullptr) up_.arrived = memory_.take(n, hidden);
      arrived<Site>(t) = {up_.arrived.data, m, cols};
    };
    take_arrived(site::attn_z{});
    take_arrived(site::attn_out{});
    take_arrived(site::resid_mid{});
    take_arrived(site::mlp_post{});
    take_arrived(site::mlp_out{});
    take_arrived(site::resid_post{});
    tapes_.push_back(t);
  }

  const Model& model_;
  const model_config& config_;
  const B& backend_;
  const batch<B>& rows_;
  block_parts<Model> parts_;
  layer_interval layers_;
  Hooks hooks_;
  tape_use use_;
  workspace<B> memory_;
  std::vector<layer_tape<T>> tapes_ = {};
  forward_scratch<T> up_;
  backward_scratch<T> down_ = {};
};

}  // namespace trimtab
