// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/model/pass.hpp>

#include <cstddef>
#include <span>
#include <vector>

/// The untouched model's activations on a set of prompts: the residual stream before the first hooked layer, where
/// every steered pass starts, and the reference logits. One baseline serves any number of passes on its prompts.

namespace trimtab {

/// Whether a baseline keeps the queries, keys and values of the hooked layers, for passes with a past.
enum class baseline_keys { forget, keep };

template <typename Model>
class baseline {
 public:
  using B = typename Model::backend_type;
  using T = typename Model::scalar;

  /// Throws `bad_text` for a prompt that the model cannot read.
  baseline(const Model& model, std::span<const std::vector<int>> prompts, index_t first_hooked_layer,
           scored where = scored::last, baseline_keys keys = baseline_keys::forget);
  /// The same bits from a known `leaving()` of these prompts: runs only the layers below the first hooked one, and
  /// makes the logits again. It has no keys.
  baseline(const Model& model, std::span<const std::vector<int>> prompts, index_t first_hooked_layer,
           matrix_view<const T> leaving);

  const batch<B>& rows() const { return rows_; }
  index_t first_layer() const { return first_layer_; }
  matrix_view<const T> stream() const { return stream_; }  ///< [rows, D]
  matrix_view<const T> logits() const { return logits_; }  ///< [queries, V]
  /// [queries, D], the stream that leaves the last layer: far smaller than the logits, which follow from it.
  matrix_view<const T> leaving() const { return leaving_; }
  bool has_keys() const { return not keys_.empty(); }
  /// Queries, keys and values [rows, 3D] of a layer, from the first hooked one on.
  matrix_view<const T> keys(index_t layer) const { return keys_[static_cast<std::size_t>(layer - first_layer_)]; }

  /// Copies the stream of `rows` [n] to `out` [n, D].
  void copy_stream(const int* rows, matrix_view<T> out) const;
  /// Copies a layer's keys of `rows` [count] to the rows `to` [count] of `out`.
  void copy_keys(index_t layer, index_t count, const int* rows, const int* to, matrix_view<T> out) const;

 private:
  struct only_memory {};
  baseline(only_memory, const Model& model, std::span<const std::vector<int>> prompts, index_t first_hooked_layer,
           scored where)
      : backend_(&model.backend()),
        first_layer_(first_hooked_layer),
        rows_(model.backend(), model.config(), prompts, where),
        memory_(model.backend()),
        stream_(memory_.take(rows_.rows(), model.config().width)),
        logits_(memory_.take(rows_.queries(), model.config().vocabulary)),
        leaving_(memory_.take(rows_.queries(), model.config().width)) {}

  void run_below(const Model& model);

  const B* backend_;
  index_t first_layer_;
  batch<B> rows_;
  workspace<B> memory_;
  matrix_view<T> stream_, logits_, leaving_;
  std::vector<matrix_view<T>> keys_ = {};
};

template <typename Model>
baseline<Model>::baseline(const Model& model, std::span<const std::vector<int>> prompts, index_t first_hooked_layer,
                          scored where, baseline_keys keys)
    : baseline(only_memory{}, model, prompts, first_hooked_layer, where) {
  run_below(model);
  pass<Model> rest(model, rows_, {first_layer_, model.config().layers});
  const matrix_view<T> leaving = rest.forward(stream_, [&](index_t, matrix_view<T> qkv) {
    if (keys == baseline_keys::forget) return;
    keys_.push_back(memory_.take(qkv.rows, qkv.cols));
    backend_->copy(qkv, keys_.back());
  });
  backend_->copy(leaving, leaving_);
  rest.unembed(leaving, logits_);
}

template <typename Model>
baseline<Model>::baseline(const Model& model, std::span<const std::vector<int>> prompts, index_t first_hooked_layer,
                          matrix_view<const T> leaving)
    : baseline(only_memory{}, model, prompts, first_hooked_layer, scored::last) {
  run_below(model);
  backend_->copy(leaving, leaving_);
  workspace<B> scratch(*backend_);
  model.unembed(leaving_, scratch.take(leaving.rows, leaving.cols), logits_);
}

template <typename Model>
void baseline<Model>::run_below(const Model& model) {
  workspace<B> scratch(*backend_);
  const matrix_view<T> embedded = scratch.take(stream_.rows, stream_.cols);
  model.embed(rows_, embedded);
  pass<Model> below(model, rows_, {0, first_layer_});
  backend_->copy(below.forward(embedded), stream_);
}

template <typename Model>
void baseline<Model>::copy_stream(const int* rows, matrix_view<T> out) const {
  backend_->forward(copy_row{}, out.rows, out.cols, selected_row(name::h, stream(), rows), each_row(name::out, out));
}

template <typename Model>
void baseline<Model>::copy_keys(index_t layer, index_t count, const int* rows, const int* to,
                                matrix_view<T> out) const {
  backend_->forward(copy_row{}, count, out.cols, selected_row(name::h, keys(layer), rows),
                    selected_row(name::out, out, to));
}

/// Logits of the untouched model, [scored positions, V], in the order of prompts. Throws `bad_text` as above.
template <typename Model>
host_matrix<typename Model::scalar> logits(const Model& model, std::span<const std::vector<int>> prompts,
                                           scored where = scored::last) {
  return with_memory_for("run the model on these prompts",
                         [&] { return model.backend().download(baseline<Model>(model, prompts, 0, where).logits()); });
}

}  // namespace trimtab
