// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/model/transformer.hpp>
#include <trimtab/row/gelu.hpp>
#include <trimtab/row/layer_norm.hpp>
#include <trimtab/row/residual_norm.hpp>
#include <trimtab/row/rotary.hpp>

/// What happens to rows between the products of a block: normalising, turning queries and keys to their positions, the
/// nonlinearity, adding to the stream. Each adjoint stands beside its function.

namespace trimtab {

template <typename Model>
class block_parts {
 public:
  using B = typename Model::backend_type;
  using T = typename Model::scalar;
  using view = matrix_view<T>;

  block_parts(const Model& model, const batch<B>& rows)
      : model_(model), config_(model.config()), backend_(model.backend()), rows_(rows) {}

  void normalise(const frozen_norm<B>& w, view x, view out) const {
    backend_.forward(layer_norm{config_.layer_norm_epsilon}, x.rows, x.cols, each_row(name::h, x),
                     each_row(name::out, out), all_rows(layer_norm::gain, w.gain.view(1, x.cols)),
                     all_rows(layer_norm::bias, w.bias.view(1, x.cols)));
  }
  void normalise_backward(const frozen_norm<B>& w, view x, view d_out, view d_x) const {
    backend_.backward(layer_norm{config_.layer_norm_epsilon}, x.rows, x.cols, each_row(name::h, x),
                      each_row(d(name::out), d_out), each_row(d(name::h), d_x),
                      all_rows(layer_norm::gain, w.gain.view(1, x.cols)));
  }

  /// sum = stream + branch, out = norm(sum).
  void add_and_normalise(const frozen_norm<B>& w, operand<per_channel<"h">, T> stream, view branch, view sum,
                         view out) const {
    backend_.forward(residual_norm{{config_.layer_norm_epsilon}}, out.rows, out.cols, stream,
                     each_row(residual::branch, branch.as_const()), each_row(residual_norm::sum, sum),
                     each_row(name::out, out), all_rows(layer_norm::gain, w.gain.view(1, out.cols)),
                     all_rows(layer_norm::bias, w.bias.view(1, out.cols)));
  }
  /// d_x = d_sum + the gradient that comes through the norm of the sum.
  void add_and_normalise_backward(const frozen_norm<B>& w, view sum, view d_out, view d_sum, view d_x) const {
    backend_.backward(residual_norm{{config_.layer_norm_epsilon}}, sum.rows, sum.cols,
                      each_row(residual_norm::sum, sum.as_const()), each_row(d(name::out), d_out),
                      each_row(d(residual_norm::sum), d_sum.as_const()), each_row(d(name::h), d_x),
                      all_rows(layer_norm::gain, w.gain.view(1, sum.cols)));
  }

  /// Queries and keys of the batch's rows in qkv [keys, 3D], in place; nothing where positions are learned.
  void turn(view qkv) const {
    if (config_.rotary_channels == 0) return;
    const view heads = qkv.reshaped(config_.head_width());
    backend_.forward(rotary{config_.rotary_channels}, rows_.head_row_count(), heads.cols,
                     selected_row(name::h, heads, rows_.head_rows()), selected_row(name::out, heads, rows_.head_rows()),
                     selected_row(rotary::cosine, model_.rotary_cosine(), rows_.head_positions()),
                     selected_row(rotary::sine, model_.rotary_sine(), rows_.head_positions()));
  }
  void turn_back(view d_qkv) const {
    if (config_.rotary_channels == 0) return;
    const view heads = d_qkv.reshaped(config_.head_width());
    backend_.backward(rotary{config_.rotary_channels}, rows_.head_row_count(), heads.cols,
                      selected_row(d(name::out), heads, rows_.head_rows()),
                      selected_row(d(name::h), heads, rows_.head_rows()),
                      selected_row(rotary::cosine, model_.rotary_cosine(), rows_.head_positions()),
                      selected_row(rotary::sine, model_.rotary_sine(), rows_.head_positions()));
  }

  /// post = gelu(pre).
  void activate(view pre, view post) const {
    with_nonlinearity(
        [&](auto f) { backend_.forward(f, pre.rows, pre.cols, each_row(name::h, pre), each_row(name::out, post)); });
  }
  /// d becomes the gradient of `pre` where it was that of `post`.
  void activate_backward(view pre, view d_post) const {
    with_nonlinearity([&](auto f) {
      backend_.backward(f, pre.rows, pre.cols, each_row(name::h, pre), each_row(d(name::out), d_post),
                        each_row(d(name::h), d_post));
    });
  }

  /// out = stream + branch.
  void add(operand<per_channel<"h">, T> stream, view branch, view out) const {
    backend_.forward(residual{}, out.rows, out.cols, stream, each_row(residual::branch, branch.as_const()),
                     each_row(name::out, out));
  }
  /// Rows of the stream += branch.
  void add_to(operand<per_channel<"h">, T> rows, view branch) const {
    backend_.forward(residual{}, branch.rows, branch.cols, rows, each_row(residual::branch, branch.as_const()),
                     operand<per_channel<"out">, T>{rows.data, rows.stride, rows.select});
  }

  /// out [queries, D] = the scored rows of the stream.
  void select_queries(view stream, view out) const {
    backend_.forward(copy{}, out.rows, out.cols, selected_row(name::h, stream, rows_.query_rows()),
                     each_row(name::out, out));
  }
  /// The rows that a pass computes, from or to where they lie among the keys: [rows, 3D] and [keys, 3D].
  void to_keys(view rows, view keys) const {
    backend_.forward(copy{}, rows.rows, rows.cols, each_row(name::h, rows),
                     selected_row(name::out, keys, rows_.key_rows()));
  }
  void from_keys(view keys, view rows) const {
    backend_.forward(copy{}, rows.rows, rows.cols, selected_row(name::h, keys, rows_.key_rows()),
                     each_row(name::out, rows));
  }

 private:
  template <typename F>
  void with_nonlinearity(F&& f) const {
    if (config_.nonlinearity == activation::gelu_tanh)
      f(gelu_tanh{});
    else
      f(gelu_erf{});
  }

  const Model& model_;
  const model_config& config_;
  const B& backend_;
  const batch<B>& rows_;
};

}  // namespace trimtab
