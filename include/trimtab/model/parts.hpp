// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/model/frozen_model.hpp>
#include <trimtab/row/gelu.hpp>
#include <trimtab/row/layer_norm.hpp>
#include <trimtab/row/relu.hpp>
#include <trimtab/row/residual_norm.hpp>
#include <trimtab/row/rotary.hpp>

/// The row operations between the products of a block: LayerNorm, rotary positions, the nonlinearity, additions to the
/// residual stream. Each adjoint is declared next to its function. Functions that run next to a hook take `on`: the
/// backend, for all rows, or one row of it.

namespace trimtab {

template <tensor_backend B>
class block_parts {
 public:
  using T = typename B::scalar;
  using view = matrix_view<T>;

  block_parts(const frozen_model<B>& model, const batch<B>& rows)
      : model_(model), config_(model.config()), backend_(model.backend()), rows_(rows) {}

  template <typename On>
  void normalise(const On& on, const frozen_norm<B>& w, view x, view out) const;
  void normalise_backward(const frozen_norm<B>& w, view x, view d_out, view d_x) const;

  /// sum = stream + branch, out = norm(sum).
  template <typename On>
  void add_and_normalise(const On& on, const frozen_norm<B>& w, operand<per_channel<"h">, T> stream, view branch,
                         view sum, view out) const;
  /// d_x = d_sum + the gradient through the norm of the sum.
  void add_and_normalise_backward(const frozen_norm<B>& w, view sum, view d_out, view d_sum, view d_x) const;

  /// Rotates the queries and keys of the batch's rows in qkv [keys, 3D], in place; no-op with learned positions.
  void turn(view qkv) const;
  void turn_back(view d_qkv) const;

  /// post = nonlinearity(pre).
  template <typename On>
  void activate(const On& on, view pre, view post) const;
  /// Replaces d_post, the gradient of `post`, by that of `pre`.
  void activate_backward(view pre, view d_post) const;

  /// out = stream + branch.
  template <typename On>
  void add(const On& on, operand<per_channel<"h">, T> stream, view branch, view out) const;
  /// Rows of the stream += branch.
  void add_to(operand<per_channel<"h">, T> rows, view branch) const;

  /// out [queries, D] = the scored rows of the stream.
  void select_queries(view stream, view out) const;
  /// Copies between the rows of the pass [rows, 3D] and their places among the keys [keys, 3D].
  void to_keys(view rows, view keys) const;
  void from_keys(view keys, view rows) const;

 private:
  template <typename F>
  void with_nonlinearity(F&& f) const {
    switch (config_.nonlinearity) {
      case activation::gelu_tanh: return f(gelu_tanh{});
      case activation::gelu_fast: return f(gelu_fast{});
      case activation::gelu_erf: return f(gelu_erf{});
      case activation::quick_gelu: return f(quick_gelu{});
      case activation::silu: return f(silu{});
      case activation::relu: return f(relu{});
    }
  }

  const frozen_model<B>& model_;
  const model_config& config_;
  const B& backend_;
  const batch<B>& rows_;
};

template <tensor_backend B>
template <typename On>
void block_parts<B>::normalise(const On& on, const frozen_norm<B>& w, view x, view out) const {
  on.forward(layer_norm{config_.layer_norm_epsilon}, x.rows, x.cols, each_row(name::h, x), each_row(name::out, out),
             all_rows(layer_norm::gain, w.gain.view(1, x.cols)), all_rows(layer_norm::bias, w.bias.view(1, x.cols)));
}

template <tensor_backend B>
void block_parts<B>::normalise_backward(const frozen_norm<B>& w, view x, view d_out, view d_x) const {
  backend_.backward(layer_norm{config_.layer_norm_epsilon}, x.rows, x.cols, each_row(name::h, x),
                    each_row(grad(name::out), d_out), each_row(grad(name::h), d_x),
                    all_rows(layer_norm::gain, w.gain.view(1, x.cols)));
}

template <tensor_backend B>
template <typename On>
void block_parts<B>::add_and_normalise(const On& on, const frozen_norm<B>& w, operand<per_channel<"h">, T> stream,
                                       view branch, view sum, view out) const {
  on.forward(residual_norm{{config_.layer_norm_epsilon}}, out.rows, out.cols, stream,
             each_row(residual::branch, branch.as_const()), each_row(residual_norm::sum, sum), each_row(name::out, out),
             all_rows(layer_norm::gain, w.gain.view(1, out.cols)),
             all_rows(layer_norm::bias, w.bias.view(1, out.cols)));
}

template <tensor_backend B>
void block_parts<B>::add_and_normalise_backward(const frozen_norm<B>& w, view sum, view d_out, view d_sum,
                                                view d_x) const {
  backend_.backward(residual_norm{{config_.layer_norm_epsilon}}, sum.rows, sum.cols,
                    each_row(residual_norm::sum, sum.as_const()), each_row(grad(name::out), d_out),
                    each_row(grad(residual_norm::sum), d_sum.as_const()), each_row(grad(name::h), d_x),
                    all_rows(layer_norm::gain, w.gain.view(1, sum.cols)));
}

template <tensor_backend B>
void block_parts<B>::turn(view qkv) const {
  if (config_.rotary_channels == 0) return;
  const view heads = qkv.reshaped(config_.head_width());
  backend_.forward(rotary{config_.rotary_channels}, rows_.head_row_count(), heads.cols,
                   selected_row(name::h, heads, rows_.head_rows()), selected_row(name::out, heads, rows_.head_rows()),
                   selected_row(rotary::cosine, model_.rotary_cosine(), rows_.head_positions()),
                   selected_row(rotary::sine, model_.rotary_sine(), rows_.head_positions()));
}

template <tensor_backend B>
void block_parts<B>::turn_back(view d_qkv) const {
  if (config_.rotary_channels == 0) return;
  const view heads = d_qkv.reshaped(config_.head_width());
  backend_.backward(rotary{config_.rotary_channels}, rows_.head_row_count(), heads.cols,
                    selected_row(grad(name::out), heads, rows_.head_rows()),
                    selected_row(grad(name::h), heads, rows_.head_rows()),
                    selected_row(rotary::cosine, model_.rotary_cosine(), rows_.head_positions()),
                    selected_row(rotary::sine, model_.rotary_sine(), rows_.head_positions()));
}

template <tensor_backend B>
template <typename On>
void block_parts<B>::activate(const On& on, view pre, view post) const {
  with_nonlinearity(
      [&](auto f) { on.forward(f, pre.rows, pre.cols, each_row(name::h, pre), each_row(name::out, post)); });
}

template <tensor_backend B>
void block_parts<B>::activate_backward(view pre, view d_post) const {
  with_nonlinearity([&](auto f) {
    backend_.backward(f, pre.rows, pre.cols, each_row(name::h, pre), each_row(grad(name::out), d_post),
                      each_row(grad(name::h), d_post));
  });
}

template <tensor_backend B>
template <typename On>
void block_parts<B>::add(const On& on, operand<per_channel<"h">, T> stream, view branch, view out) const {
  on.forward(residual{}, out.rows, out.cols, stream, each_row(residual::branch, branch.as_const()),
             each_row(name::out, out));
}

template <tensor_backend B>
void block_parts<B>::add_to(operand<per_channel<"h">, T> rows, view branch) const {
  backend_.forward(residual{}, branch.rows, branch.cols, rows, each_row(residual::branch, branch.as_const()),
                   operand<per_channel<"out">, T>{rows.data, rows.stride, rows.select});
}

template <tensor_backend B>
void block_parts<B>::select_queries(view stream, view out) const {
  backend_.forward(copy_row{}, out.rows, out.cols, selected_row(name::h, stream, rows_.query_rows()),
                   each_row(name::out, out));
}

template <tensor_backend B>
void block_parts<B>::to_keys(view rows, view keys) const {
  backend_.forward(copy_row{}, rows.rows, rows.cols, each_row(name::h, rows),
                   selected_row(name::out, keys, rows_.key_rows()));
}

template <tensor_backend B>
void block_parts<B>::from_keys(view keys, view rows) const {
  backend_.forward(copy_row{}, rows.rows, rows.cols, selected_row(name::h, keys, rows_.key_rows()),
                   each_row(name::out, rows));
}

}  // namespace trimtab
