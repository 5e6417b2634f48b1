// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/model/hooks.hpp>
#include <trimtab/model/parts.hpp>
#include <trimtab/model/pass_memory.hpp>
#include <trimtab/model/plan.hpp>
#include <trimtab/model/transformer.hpp>

#include <cstddef>

/// One transformer block on a batch, forward and, for activations only, backward: there is no autograd, and weights get
/// no gradient. In the last layer only scored rows are computed past the keys and values.
///
///     sequential   mid = x + attn_out,  out = mid + mlp_out
///     parallel     out = x + attn_out + mlp_out

namespace trimtab {

template <typename Model, typename Hooks, typename Observer>
class block_pass {
 public:
  using B = typename Model::backend_type;
  using T = typename Model::scalar;
  using view = matrix_view<T>;

  static constexpr bool parallel = Model::architecture::residual == residual_form::parallel;

  block_pass(const Model& model, const batch<B>& rows, pass_memory<T>& memory, layer_interval layers,
             const Hooks& hooks, Observer& observer)
      : model_(model),
        config_(model.config()),
        backend_(model.backend()),
        rows_(rows),
        parts_(model, rows),
        memory_(memory),
        layers_(layers),
        hooks_(hooks),
        observer_(observer) {}

  saved_activations<T>& saved(index_t l) const { return memory_.layers[static_cast<std::size_t>(l - layers_.first)]; }
  moving_parts moving(index_t l) const { return moving_in<parallel>(hooks_, l); }

  /// The residual stream [m, D] after layer l, from x [n, D] before it.
  view forward(index_t l, view x, const moving_parts& move) const {
    saved_activations<T>& s = saved(l);
    const bool is_steered = active<site::resid_pre>(l);
    s.stream = is_steered ? s.steered_input : x;
    if (is_steered) arrived<site::resid_pre>(s) = x;

    attention_half(l, s, move);
    join_halves(l, s, move);
    mlp_half(l, s, move);
    leave(l, s, move);
    return s.output;
  }

  /// The gradient of the block's input from that of its output, `d_out` [m, D]; stops below the lowest hook.
  view backward(index_t l, view d_out) const {
    backward_scratch<T>& down = memory_.backward;
    saved_activations<T>& s = saved(l);
    const moving_parts move = moving(l);
    const view d = consume<site::resid_post>(l, d_out, down.d_output);
    view d_middle = move.mlp_out ? mlp_half_backward(l, s, d, move) : d;
    if constexpr (not parallel) d_middle = consume<site::resid_mid>(l, d_middle, down.d_steered_middle);
    if (not move.attn_out) return d_middle;
    const view d_stream = attention_half_backward(l, s, parallel ? d : d_middle, d_middle, move);
    if (not move.stream) return d_stream;
    return consume<site::resid_pre>(l, d_stream, down.d_steered_stream);
  }

 private:
  /// `resid_pre`, norm_1, queries, keys and values, attention, `attn_z`, output projection. The hook of `attn_out` runs
  /// with what reads its output, but in a parallel block here, because other sites overwrite `arrived` before that.
  void attention_half(index_t l, saved_activations<T>& s, const moving_parts& move) const {
    const frozen_block<B>& w = model_.block(l);
    forward_scratch<T>& up = memory_.forward;
    on_rows<site::resid_pre>(s.stream, [&](const auto& on) {
      hook<site::resid_pre>(on, l, s.stream);
      if (move.stream) parts_.normalise(on, w.norm_1, s.stream, up.norm);
    });
    const view z = cut(up.attn_z, s.attn_out.rows);
    if (move.stream) {
      const view qkv = rows_.complete() ? s.qkv : up.qkv, v = before<site::attn_z>(l, z);
      const T scale = config_.attention_scale<T>(l);
      backend_.multiply(w.qkv, up.norm, qkv);
      if (not rows_.complete()) parts_.to_keys(qkv, s.qkv);
      parts_.turn(s.qkv);
      if (rows_.cache())
        backend_.attention(shape(l), config_.heads, scale, s.qkv, rows_.cache()->layer(l), v);
      else
        backend_.attention(shape(l), config_.heads, scale, s.qkv, v);
    }
    hook<site::attn_z>(backend_, l, z);
    if (move.attn_z) backend_.multiply(w.attn_out, z, before<site::attn_out>(l, s.attn_out));
    if constexpr (parallel) hook<site::attn_out>(backend_, l, s.attn_out);
  }

  /// The gradient of the stream, including `d_skip` from the skip connection.
  view attention_half_backward(index_t l, saved_activations<T>& s, view d_out, view d_skip,
                               const moving_parts& move) const {
    const frozen_block<B>& w = model_.block(l);
    backward_scratch<T>& down = memory_.backward;
    const view d_attn_out = consume<site::attn_out>(l, d_out, down.d_attn_out);
    if (not move.attn_z) return d_attn_out;
    view d_z = cut(down.d_attn_z, d_out.rows);
    backend_.multiply_backward(w.attn_out, d_attn_out, d_z);
    d_z = consume<site::attn_z>(l, d_z, down.d_steered_attn_z);
    if (not move.stream) return d_z;
    backend_.attention_backward(shape(l), config_.heads, config_.attention_scale<T>(l), s.qkv, d_z, down.d_qkv);
    parts_.turn_back(down.d_qkv);
    const view d_qkv = rows_.complete() ? down.d_qkv : memory_.forward.qkv;
    if (not rows_.complete()) parts_.from_keys(down.d_qkv, d_qkv);
    backend_.multiply_backward(w.qkv, d_qkv, down.d_norm);
    const view d_stream = down.d_stream[static_cast<std::size_t>(l % 2)];
    if (is_last(l)) {  // past the attention there are fewer rows
      parts_.normalise_backward(w.norm_1, s.stream, down.d_norm, d_stream);
      parts_.add_to(skip_operand(l, d_stream), d_skip);
    } else {
      parts_.add_and_normalise_backward(w.norm_1, s.stream, down.d_norm, d_skip, d_stream);
    }
    return d_stream;
  }

  /// `attn_out`, which is added to the stream, `resid_mid`, and norm_2 for the MLP; sum and norm are one function if no
  /// hook is in between.
  void join_halves(index_t l, saved_activations<T>& s, const moving_parts& move) const {
    const frozen_norm<B>& norm_2 = model_.block(l).norm_2;
    if constexpr (parallel) {
      if (not is_last(l))
        s.middle = s.stream;
      else if (move.stream)
        parts_.select_queries(s.stream, s.middle);
      if (move.middle) parts_.normalise(backend_, norm_2, s.middle, cut(memory_.forward.norm, s.middle.rows));
    } else {
      const view norm = cut(memory_.forward.norm, s.middle.rows);
      on_rows<site::attn_out, site::resid_mid>(s.middle, [&](const auto& on) {
        hook<site::attn_out>(on, l, s.attn_out);
        const auto stream = skip_operand(l, s.stream);
        if (active<site::resid_mid>(l)) {
          if (move.attn_out) parts_.add(on, stream, s.attn_out, before<site::resid_mid>(l, s.middle));
          hook<site::resid_mid>(on, l, s.middle);
          if (move.middle) parts_.normalise(on, norm_2, s.middle, norm);
        } else {
          if (move.middle) parts_.add_and_normalise(on, norm_2, stream, s.attn_out, s.middle, norm);
          observe<site::resid_mid>(l, s.middle, s.middle);
        }
      });
    }
  }

  /// Input projection, nonlinearity, `mlp_post`, output projection.
  void mlp_half(index_t l, saved_activations<T>& s, const moving_parts& move) const {
    const frozen_block<B>& w = model_.block(l);
    const view norm = cut(memory_.forward.norm, s.middle.rows), post = cut(memory_.forward.mlp_post, s.middle.rows);
    if (move.middle) backend_.multiply(w.mlp_in, norm, s.pre);
    on_rows<site::mlp_post>(post, [&](const auto& on) {
      if (move.middle) parts_.activate(on, s.pre, before<site::mlp_post>(l, post));
      hook<site::mlp_post>(on, l, post);
    });
    if (move.mlp_post) backend_.multiply(w.mlp_out, post, before<site::mlp_out>(l, s.mlp_out));
  }

  /// `mlp_out`, the residual stream's last addition, `resid_post`.
  void leave(index_t l, saved_activations<T>& s, const moving_parts& move) const {
    on_rows<site::mlp_out, site::resid_post>(s.output, [&](const auto& on) {
      hook<site::mlp_out>(on, l, s.mlp_out);
      if (move.mlp_out or move.attn_out) {
        const view out = before<site::resid_post>(l, s.output);
        parts_.add(on, each_row(name::h, s.middle), s.mlp_out, out);
        if constexpr (parallel) parts_.add(on, each_row(name::h, out), s.attn_out, out);
      }
      hook<site::resid_post>(on, l, s.output);
    });
  }

  /// The gradient of the middle, including `d_out` from the skip connection.
  view mlp_half_backward(index_t l, saved_activations<T>& s, view d_out, const moving_parts& move) const {
    const frozen_block<B>& w = model_.block(l);
    backward_scratch<T>& down = memory_.backward;
    const view d_mlp_out = consume<site::mlp_out>(l, d_out, down.d_mlp_out);
    if (not move.mlp_post) return d_out;
    view d_post = cut(down.d_mlp_post, d_out.rows);
    backend_.multiply_backward(w.mlp_out, d_mlp_out, d_post);
    d_post = consume<site::mlp_post>(l, d_post, down.d_steered_mlp_post);
    if (not move.middle) return d_out;
    parts_.activate_backward(s.pre, d_post);
    const view d_norm = cut(down.d_norm, d_out.rows), d_middle = cut(down.d_middle, d_out.rows);
    backend_.multiply_backward(w.mlp_in, d_post, d_norm);
    parts_.add_and_normalise_backward(w.norm_2, s.middle, d_norm, d_out, d_middle);
    return d_middle;
  }

  template <hook_site Site>
  bool active(index_t l) const {
    return is_active<Site>(hooks_, l);
  }

  /// f(on), with the backend if no hook can be at the sites, whatever the layer, else row by row if hooks and backend
  /// can do that: what one function writes is then still in the cache for the next, and a hook costs little more than
  /// its arithmetic. Observers see whole matrices.
  template <hook_site... Site, typename F>
  void on_rows([[maybe_unused]] view out, const F& f) const {
    if constexpr ((Hooks::template has<Site> or ...) and not Observer::is_watching and rowwise_hooks<Hooks, B>)
      backend_.row_by_row(out.rows, out.cols, f);
    else
      f(backend_);
  }

  /// Where a site's activations are written before its hook: to `out` if there is none, or if it works in place.
  template <hook_site Site>
  view before(index_t l, view out) const {
    if (not active<Site>(l)) return out;
    const view h = arrived<Site>(saved(l));
    return h.data ? h : out;
  }

  /// Runs a site's hook, if there is one, from where the activations are `before` it to `out`.
  template <hook_site Site, typename On>
  void hook([[maybe_unused]] const On& on, index_t l, view out) const {
    const view h = before<Site>(l, out);
    if constexpr (Hooks::template has<Site>)
      if (active<Site>(l)) {
        const index_t width = site_width<Site>(config_);
        hooks_.template forward<Site>(on, l, h.reshaped(width).as_const(), out.reshaped(width));
      }
    observe<Site>(l, h, out);
  }

  template <hook_site Site>
  void observe(index_t l, view h, view out) const {
    if constexpr (Observer::is_watching) {
      const index_t width = site_width<Site>(config_);
      observer_.template saw<Site>(l, h.reshaped(width).as_const(), out.reshaped(width).as_const());
    }
  }

  /// The gradient before a site's hook from that after it: `d_out` itself without a hook, else `d_h`.
  template <hook_site Site>
  view consume(index_t l, view d_out, view d_h) const {
    if constexpr (Hooks::template has<Site>)
      if (active<Site>(l)) {
        d_h = cut(d_h, d_out.rows);
        const index_t width = site_width<Site>(config_);
        hooks_.template backward<Site>(l, arrived<Site>(saved(l)).reshaped(width).as_const(),
                                       d_out.reshaped(width).as_const(), d_h.reshaped(width));
        return d_h;
      }
    return d_out;
  }

  /// The rows of the stream past the attention of layer l: in the last layer only the scored ones.
  operand<per_channel<"h">, T> skip_operand(index_t l, view stream) const {
    return is_last(l) ? selected_row(name::h, stream, rows_.query_rows()) : each_row(name::h, stream);
  }

  static view cut(view v, index_t rows) { return {v.data, rows, v.cols}; }
  bool is_last(index_t l) const { return l == config_.layers - 1; }
  const ragged_shape& shape(index_t l) const { return is_last(l) ? rows_.scored_only() : rows_.all(); }
  template <hook_site Site>
  static view& arrived(saved_activations<T>& s) {
    return s.arrived[site_index<Site>];
  }

  const Model& model_;
  const model_config& config_;
  const B& backend_;
  const batch<B>& rows_;
  block_parts<B> parts_;
  pass_memory<T>& memory_;
  layer_interval layers_;
  const Hooks& hooks_;
  Observer& observer_;
};

}  // namespace trimtab
