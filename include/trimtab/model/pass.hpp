// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/model/hooks.hpp>
#include <trimtab/model/tape.hpp>
#include <trimtab/model/transformer.hpp>
#include <trimtab/row/gelu.hpp>
#include <trimtab/row/layer_norm.hpp>
#include <trimtab/row/rotary.hpp>

#include <algorithm>
#include <vector>

/// One way of a batch through the blocks, forwards and, for activations only, backwards. There is no autograd: the
/// adjoint of each half of a block stands beside it, weights get no gradient, and nothing below the lowest hook is run
/// backwards. In the last layer only scored rows go past keys and values.
///
///     sequential   mid = x + attn_out,  out = mid + mlp_out
///     parallel     out = x + attn_out + mlp_out

namespace trimtab {

/// Which layers a pass runs: first, ..., last - 1.
struct layer_interval {
  index_t first;
  index_t last;
};

/// Whether a pass keeps what its adjoint needs.
enum class tape_use { forward_only, forward_and_backward };

template <typename Model, typename Hooks = no_hooks>
class pass {
 public:
  using B = typename Model::backend_type;
  using T = typename Model::scalar;
  using view = matrix_view<T>;

  static_assert(hook_set<Hooks, T>, "the hooks of a pass are `no_hooks` or what steer() binds to a batch");

  /// Takes all memory the pass will need.
  pass(Model const& model, batch<B> const& rows, layer_interval layers, Hooks hooks = {},
       tape_use use = tape_use::forward_only)
      : model_(model), config_(model.config()), backend_(model.backend()), rows_(rows), layers_(layers), hooks_(hooks),
        memory_(backend_), up_(memory_, config_, rows.rows()) {
    for (index_t l = layers.first; l < layers.last; ++l) plan_layer(l, use);
    if (use == tape_use::forward_and_backward) down_ = backward_scratch<T>(memory_, config_, rows.rows());
  }

  pass(pass const&) = delete;  // views point into its memory
  pass& operator=(pass const&) = delete;

  /// The stream [rows, D] that enters the first layer to the one that leaves the last: [rows, D], or [queries, D] past
  /// the model's own last layer.
  view forward(view x) {
    for (index_t l = layers_.first; l < layers_.last; ++l) x = forward_block(l, x);
    return x;
  }

  /// logits [queries, V] of the stream [queries, D] that left the last layer.
  void unembed(view x, view logits) {
    const view norm = cut(up_.norm, x.rows);
    normalise(model_.norm_final(), x, norm);
    backend_.multiply(model_.unembedding(), norm, logits);
  }

  /// From d_logits [queries, V] down to the lowest hook; each hook takes its gradients as they come by.
  void backward(view d_logits) {
    const view d_norm = cut(down_.d_norm, d_logits.rows);
    view d = cut(down_.d_stream[static_cast<std::size_t>(layers_.last % 2)], d_logits.rows);
    backend_.multiply_adjoint(model_.unembedding(), d_logits, d_norm);
    normalise_adjoint(model_.norm_final(), tape(layers_.last - 1).output, d_norm, d);
    for (index_t l = layers_.last - 1; l >= std::max(hooks_.lowest_layer(), layers_.first); --l)
      d = backward_block(l, d);
  }

 private:
  static constexpr bool parallel = Model::architecture::residual == residual_form::parallel;

  view forward_block(index_t l, view x) {
    layer_tape<T>& t = tape(l);
    t.stream = x;
    if constexpr (Hooks::template has<site::resid_pre>)
      if (active<site::resid_pre>(l)) {
        arrived<site::resid_pre>(t) = x;
        t.stream = t.steered_input;
        hooks_.template forward<site::resid_pre>(l, x.as_const(), t.stream);
      }

    const view attn_out = attention_half(l, t);
    if constexpr (parallel) {
      if (is_last(l))
        select_queries(t.stream, t.middle);
      else
        t.middle = t.stream;
    } else {
      produce<site::resid_mid>(l, t.middle, [&](view mid) { add(skip_operand(l, t.stream), attn_out, mid); });
    }
    const view mlp_out = mlp_half(l, t);
    produce<site::resid_post>(l, t.output, [&](view out) {
      add(each_row(name::h, t.middle), mlp_out, out);
      if constexpr (parallel) add(each_row(name::h, out), attn_out, out);
    });
    return t.output;
  }

  /// The gradient of the block's input from that of its output `d_out` [m, D], as far down as a hook needs it.
  view backward_block(index_t l, view d_out) {
    layer_tape<T>& t = tape(l);
    const needs need = needed(l);
    const view d = consume<site::resid_post>(l, d_out, down_.d_output);
    view d_middle = d;  // along the skip connection
    if (need.mlp_out) {
      const view d_branch = mlp_half_adjoint(l, t, d, need);
      if (need.middle) {
        d_middle = cut(down_.d_middle, d.rows);
        add(each_row(name::h, d), d_branch, d_middle);
      }
    }
    if constexpr (not parallel) d_middle = consume<site::resid_mid>(l, d_middle, down_.d_steered_middle);
    if (not need.attn_out) return d_middle;
    const view d_stream = attention_half_adjoint(l, t, parallel ? d : d_middle, need);
    if (not need.stream) return d_stream;
    const auto rows = skip_operand(l, d_stream);
    backend_.forward(residual{}, d_middle.rows, config_.width, rows, each_row(residual::branch, d_middle),
                     operand<per_channel<"out">, T>{rows.data, rows.stride, rows.select});
    return consume<site::resid_pre>(l, d_stream, down_.d_steered_stream);
  }

  /// norm_1, queries, keys and values, attention, output projection.
  view attention_half(index_t l, layer_tape<T>& t) {
    frozen_block<B> const& w = model_.block(l);
    const index_t m = rows_past_attention(l);
    const view z = cut(up_.attn_z, m), out = cut(up_.attn_out, m);
    normalise(w.norm_1, t.stream, up_.norm);
    backend_.multiply(w.qkv, up_.norm, t.qkv);
    if (config_.rotary_channels > 0) turn(t.qkv);
    produce<site::attn_z>(l, z, [&](view v) { backend_.attention(shape(l), config_.heads, t.qkv, v); });
    produce<site::attn_out>(l, out, [&](view v) { backend_.multiply(w.attn_out, z, v); });
    return out;
  }

  view attention_half_adjoint(index_t l, layer_tape<T>& t, view d_out, auto const& need) {
    frozen_block<B> const& w = model_.block(l);
    const view d_attn_out = consume<site::attn_out>(l, d_out, down_.d_attn_out);
    if (not need.attn_z) return d_attn_out;
    view d_z = cut(down_.d_attn_z, d_out.rows);
    backend_.multiply_adjoint(w.attn_out, d_attn_out, d_z);
    d_z = consume<site::attn_z>(l, d_z, down_.d_steered_attn_z);
    if (not need.stream) return d_z;
    backend_.attention_adjoint(shape(l), config_.heads, t.qkv, d_z, down_.d_qkv);
    if (config_.rotary_channels > 0) turn_back(down_.d_qkv);
    backend_.multiply_adjoint(w.qkv, down_.d_qkv, down_.d_norm);
    const view d_stream = down_.d_stream[static_cast<std::size_t>(l % 2)];
    normalise_adjoint(w.norm_1, t.stream, down_.d_norm, d_stream);
    return d_stream;
  }

  /// norm_2, the neurons, output projection.
  view mlp_half(index_t l, layer_tape<T>& t) {
    frozen_block<B> const& w = model_.block(l);
    const index_t m = t.middle.rows;
    const view norm = cut(up_.norm, m), post = cut(up_.mlp_post, m), out = cut(up_.mlp_out, m);
    normalise(w.norm_2, t.middle, norm);
    backend_.multiply(w.mlp_in, norm, t.pre);
    produce<site::mlp_post>(l, post, [&](view v) {
      with_nonlinearity([&](auto f) {
        backend_.forward(f, m, config_.hidden, each_row(name::h, t.pre), each_row(name::out, v));
      });
    });
    produce<site::mlp_out>(l, out, [&](view v) { backend_.multiply(w.mlp_out, post, v); });
    return out;
  }

  view mlp_half_adjoint(index_t l, layer_tape<T>& t, view d_out, auto const& need) {
    frozen_block<B> const& w = model_.block(l);
    const index_t m = d_out.rows;
    const view d_mlp_out = consume<site::mlp_out>(l, d_out, down_.d_mlp_out);
    if (not need.mlp_post) return d_mlp_out;
    view d_post = cut(down_.d_mlp_post, m);
    backend_.multiply_adjoint(w.mlp_out, d_mlp_out, d_post);
    d_post = consume<site::mlp_post>(l, d_post, down_.d_steered_mlp_post);
    if (not need.middle) return d_post;
    with_nonlinearity([&](auto f) {
      backend_.backward(f, m, config_.hidden, each_row(name::h, t.pre), each_row(d(name::out), d_post),
                        each_row(d(name::h), d_post));
    });
    const view d_norm = cut(down_.d_norm, m), d_middle = cut(down_.d_branch, m);
    backend_.multiply_adjoint(w.mlp_in, d_post, d_norm);
    normalise_adjoint(w.norm_2, t.middle, d_norm, d_middle);
    return d_middle;
  }

  /// How far down a block's adjoint must go: as the tape's names, each implies those above it.
  struct needs {
    bool stream, attn_z, attn_out, middle, mlp_post, mlp_out;
  };

  needs needed(index_t l) const {
    needs n{};
    n.stream = l > hooks_.lowest_layer() or active<site::resid_pre>(l);
    n.attn_z = n.stream or active<site::attn_z>(l);
    n.attn_out = n.attn_z or active<site::attn_out>(l);
    n.middle = parallel ? n.stream : n.attn_out or active<site::resid_mid>(l);
    n.mlp_post = n.middle or active<site::mlp_post>(l);
    n.mlp_out = n.mlp_post or active<site::mlp_out>(l);
    return n;
  }

  template <hook_site Site>
  bool active(index_t l) const {
    if constexpr (Hooks::template has<Site>)
      return hooks_.template active<Site>(l);
    else
      return false;
  }

  /// Has `write` make the activations of a site and leaves them, steered where the site is hooked, in `out`.
  template <hook_site Site, typename Write>
  void produce(index_t l, view out, Write write) {
    if constexpr (Hooks::template has<Site>)
      if (active<Site>(l)) {
        const view h = arrived<Site>(tape(l));
        write(h);
        const index_t width = site_width<Site>(config_);
        hooks_.template forward<Site>(l, h.reshaped(width).as_const(), out.reshaped(width));
        return;
      }
    write(out);
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

  void normalise(frozen_norm<B> const& w, view x, view out) const {
    backend_.forward(layer_norm{config_.layer_norm_epsilon}, x.rows, x.cols, each_row(name::h, x),
                     each_row(name::out, out), all_rows(layer_norm::gain, w.gain.view(1, x.cols)),
                     all_rows(layer_norm::bias, w.bias.view(1, x.cols)));
  }
  void normalise_adjoint(frozen_norm<B> const& w, view x, view d_out, view d_x) const {
    backend_.backward(layer_norm{config_.layer_norm_epsilon}, x.rows, x.cols, each_row(name::h, x),
                      each_row(d(name::out), d_out), each_row(d(name::h), d_x),
                      all_rows(layer_norm::gain, w.gain.view(1, x.cols)));
  }

  void turn(view qkv) const {
    const view heads = qkv.reshaped(config_.head_width());
    backend_.forward(rotary{config_.rotary_channels}, rows_.head_row_count(), heads.cols,
                     selected_row(name::h, heads, rows_.head_rows()), selected_row(name::out, heads, rows_.head_rows()),
                     selected_row(rotary::cosine, model_.rotary_cosine(), rows_.head_positions()),
                     selected_row(rotary::sine, model_.rotary_sine(), rows_.head_positions()));
  }
  void turn_back(view d_qkv) const {
    const view heads = d_qkv.reshaped(config_.head_width());
    backend_.backward(rotary{config_.rotary_channels}, rows_.head_row_count(), heads.cols,
                      selected_row(d(name::out), heads, rows_.head_rows()),
                      selected_row(d(name::h), heads, rows_.head_rows()),
                      selected_row(rotary::cosine, model_.rotary_cosine(), rows_.head_positions()),
                      selected_row(rotary::sine, model_.rotary_sine(), rows_.head_positions()));
  }

  template <typename F>
  void with_nonlinearity(F&& f) const {
    if (config_.nonlinearity == activation::gelu_tanh)
      f(gelu_tanh{});
    else
      f(gelu_erf{});
  }

  /// The rows of the stream that go past the attention of layer l.
  operand<per_channel<"h">, T> skip_operand(index_t l, view stream) const {
    return is_last(l) ? selected_row(name::h, stream, rows_.query_rows()) : each_row(name::h, stream);
  }
  void select_queries(view stream, view out) const {
    backend_.forward(copy{}, out.rows, out.cols, selected_row(name::h, stream, rows_.query_rows()),
                     each_row(name::out, out));
  }
  void add(operand<per_channel<"h">, T> a, view b, view out) const {
    backend_.forward(residual{}, out.rows, out.cols, a, each_row(residual::branch, b), each_row(name::out, out));
  }

  static view cut(view v, index_t rows) { return {v.data, rows, v.cols}; }
  bool is_last(index_t l) const { return l == config_.layers - 1; }
  index_t rows_past_attention(index_t l) const { return is_last(l) ? rows_.queries() : rows_.rows(); }
  ragged_shape const& shape(index_t l) const { return is_last(l) ? rows_.scored_only() : rows_.all(); }
  layer_tape<T>& tape(index_t l) { return tapes_[static_cast<std::size_t>(l - layers_.first)]; }
  template <hook_site Site>
  static view& arrived(layer_tape<T>& t) {
    return t.arrived[Site::stage];
  }

  /// Without an adjoint all layers share one tape, but for two outputs that alternate.
  void plan_layer(index_t l, tape_use use) {
    const index_t n = rows_.rows(), m = rows_past_attention(l), width = config_.width, hidden = config_.hidden;
    const bool fresh = use == tape_use::forward_and_backward or tapes_.empty();
    layer_tape<T> t = fresh ? layer_tape<T>{} : tapes_.back();
    const auto take = [&](view& v, index_t rows, index_t cols) {
      if (v.data == nullptr) v = memory_.take(n, cols);
      v.rows = rows;
    };
    take(t.qkv, n, 3 * width);
    if (not parallel or is_last(l)) take(t.middle, m, width);
    take(t.pre, m, hidden);
    t.output = not fresh and tapes_.size() > 1 ? tapes_[tapes_.size() - 2].output : view{};
    take(t.output, m, width);
    if (active<site::resid_pre>(l)) take(t.steered_input, n, width);
    const auto take_arrived = [&]<typename Site>(Site) {
      const index_t cols = Site::rows == site_rows::hidden ? hidden : width;
      if (active<Site>(l)) take(arrived<Site>(t), m, cols);
    };
    take_arrived(site::attn_z{});
    take_arrived(site::attn_out{});
    take_arrived(site::resid_mid{});
    take_arrived(site::mlp_post{});
    take_arrived(site::mlp_out{});
    take_arrived(site::resid_post{});
    tapes_.push_back(t);
  }

  Model const& model_;
  model_config const& config_;
  B const& backend_;
  batch<B> const& rows_;
  layer_interval layers_;
  Hooks hooks_;
  workspace<B> memory_;
  std::vector<layer_tape<T>> tapes_ = {};
  forward_scratch<T> up_;
  backward_scratch<T> down_ = {};
};

}  // namespace trimtab
