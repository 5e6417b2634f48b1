// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/backend.hpp>
#include <trimtab/model/batch.hpp>
#include <trimtab/model/prepare.hpp>
#include <trimtab/model/rounded_weights.hpp>
#include <trimtab/model/weights.hpp>
#include <trimtab/model/weights_hash.hpp>
#include <trimtab/row/layer_norm.hpp>
#include <trimtab/row/residual.hpp>

#include <cmath>
#include <future>
#include <memory>
#include <mutex>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

/// The frozen weights of a transformer on a backend, with embedding and unembedding. Nothing here depends on how a
/// block joins attention and MLP, which is part of the type (transformer.hpp); pass.hpp runs the blocks.

namespace trimtab {

/// One LayerNorm's weights on the backend, each [1, D].
template <tensor_backend B>
struct frozen_norm {
  using T = typename B::scalar;

  typename B::memory gain, bias;

  frozen_norm(const B& backend, const layer_norm_weights<T>& w)
      : gain(backend.upload(w.gain.view())), bias(backend.upload(w.bias.view())) {}
};

template <tensor_backend B>
struct frozen_block {
  using T = typename B::scalar;

  frozen_norm<B> norm_1;
  typename B::linear qkv, attn_out;
  frozen_norm<B> norm_2;
  typename B::linear mlp_in, mlp_out;

  template <typename Matrix>
  frozen_block(const B& backend, const block_weights<T, Matrix>& w)
      : norm_1(backend, w.norm_1),
        qkv(detail::prepared(backend, w.qkv.weight, w.qkv.bias.view())),
        attn_out(detail::prepared(backend, w.attn_out.weight, w.attn_out.bias.view())),
        norm_2(backend, w.norm_2),
        mlp_in(detail::prepared(backend, w.mlp_in.weight, w.mlp_in.bias.view())),
        mlp_out(detail::prepared(backend, w.mlp_out.weight, w.mlp_out.bias.view())) {}
};

template <tensor_backend B>
class frozen_model {
 public:
  using backend_type = B;
  using scalar = typename B::scalar;

  template <weight_source<scalar> Source>
  explicit frozen_model(Source&& source, B backend)
      : frozen_model(source.config(), rounded(source.template outer<scalar>(), backend.weights()), std::move(backend)) {
    const auto read = [&](index_t layer) {
      auto weights = rounded(source.template block<scalar>(layer), backend_.weights());
      if constexpr (not storing_backend<B>) hash_->read.add(weights);
      return weights;
    };
    // A block is read while the one before it is prepared; where no thread can be started, when it is needed.
    const auto begin_to_read = [&](index_t layer) {
      return std::async(std::launch::async | std::launch::deferred, read, layer);
    };
    blocks_.reserve(static_cast<std::size_t>(config_.layers));
    auto next = begin_to_read(0);
    for (index_t l = 0; l < config_.layers; ++l) {
      const auto weights = next.get();
      if (l + 1 < config_.layers) next = begin_to_read(l + 1);
      blocks_.emplace_back(backend_, weights);
    }
  }
  /// The backend takes large matrices from their files.
  template <unread_weight_source<scalar> Source>
  explicit frozen_model(Source&& source, B backend) requires storing_backend<B>
      : frozen_model(source.config(), source.template unread_outer<scalar>(), std::move(backend)) {
    blocks_.reserve(static_cast<std::size_t>(config_.layers));
    for (index_t l = 0; l < config_.layers; ++l) {
      blocks_.emplace_back(backend_, source.template unread_block<scalar>(l));
      source.took_block(l);
    }
  }

  const model_config& config() const { return config_; }
  const B& backend() const { return backend_; }
  const frozen_block<B>& block(index_t layer) const { return blocks_[static_cast<std::size_t>(layer)]; }
  const frozen_norm<B>& norm_final() const { return norm_final_; }
  const typename B::linear& unembedding() const { return unembedding_; }
  /// Sets row i of x [n, D] to the embedding of token ids[i].
  void embed_tokens(const int* ids, matrix_view<scalar> x) const { backend_.look_up(token_embedding_, ids, x); }
  /// [context, D]; with rotary positions there is none, and no memory behind it.
  matrix_view<const scalar> position_embedding() const {
    return position_embedding_.view(config_.context, config_.width);
  }
  matrix_view<const scalar> rotary_cosine() const {
    return rotary_cosine_.view(config_.context, config_.rotary_channels / 2);
  }
  matrix_view<const scalar> rotary_sine() const {
    return rotary_sine_.view(config_.context, config_.rotary_channels / 2);
  }

  /// A hash of the weights' values (model/weights_hash.hpp): 16 hexadecimal digits. A backend that shows its numbers is
  /// asked for them when the hash is, because hashing takes as long as loading.
  const std::string& hash_of_weights() const {
    std::call_once(hash_->known, [&] {
      weights_hash all = hash_->read;
      if constexpr (storing_backend<B>) add_kept_weights(all);
      hash_->text = all.text();
    });
    return hash_->text;
  }
  /// Where the weights are from.
  const weights_origin& origin() const { return origin_; }

  /// Sets x [rows, D] to the token embeddings, plus position embeddings where positions are learned.
  void embed(const batch<B>& rows, matrix_view<scalar> x) const;
  /// logits [queries, V] = norm_final(x) Wᵀ of the stream x [queries, D] that left the last layer; `norm` is memory of
  /// x's shape.
  void unembed(matrix_view<scalar> x, matrix_view<scalar> norm, matrix_view<scalar> logits) const;
  /// Sets d_x [queries, D] from x and d_logits [queries, V]; `d_norm` is memory of the same shape as x.
  void unembed_backward(matrix_view<scalar> x, matrix_view<scalar> d_logits, matrix_view<scalar> d_norm,
                        matrix_view<scalar> d_x) const;

 protected:
  weights_origin origin_ = {};

 private:
  struct hash {
    std::once_flag known = {};
    weights_hash read = {};  ///< of what was read, on a backend that does not show what it keeps
    std::string text = {};
  };

  template <typename Matrix>
  frozen_model(model_config config, const outer_weights<scalar, Matrix>& outer, B backend);
  void make_rotary_tables();
  /// All weights in the order of `weights_hash`.
  void add_kept_weights(weights_hash& hash) const requires storing_backend<B>;

  model_config config_;
  B backend_;
  typename B::memory position_embedding_;
  frozen_norm<B> norm_final_;
  typename B::linear unembedding_;
  typename B::table token_embedding_;  // after the unembedding, which it may share
  typename B::memory rotary_cosine_, rotary_sine_;
  std::vector<frozen_block<B>> blocks_ = {};
  bool is_tied_;
  std::unique_ptr<hash> hash_ = std::make_unique<hash>();  // which lets a model move
};

template <tensor_backend B>
template <typename Matrix>
frozen_model<B>::frozen_model(model_config config, const outer_weights<scalar, Matrix>& outer, B backend)
    : config_(std::move(config)),
      backend_(std::move(backend)),
      position_embedding_(backend_.upload(outer.position_embedding.view())),
      norm_final_(backend_, outer.norm_final),
      unembedding_(
          detail::prepared(backend_, outer.unembedding.empty() ? outer.token_embedding : outer.unembedding, {}, true)),
      token_embedding_(
          detail::prepared_table(backend_, outer.token_embedding, outer.unembedding.empty() ? &unembedding_ : nullptr)),
      is_tied_(outer.unembedding.empty()) {
  if constexpr (not storing_backend<B>) hash_->read.add(outer);
  make_rotary_tables();
}

template <tensor_backend B>
void frozen_model<B>::add_kept_weights(weights_hash& to) const requires storing_backend<B> {
  const auto add_table = [&](const typename B::table& rows) {
    to.template add_rows<scalar>(config_.vocabulary, config_.width, [&](index_t first, matrix_view<scalar> some) {
      std::vector<int> ids(static_cast<std::size_t>(some.rows));
      std::iota(ids.begin(), ids.end(), static_cast<int>(first));
      const typename B::indices on_backend = backend_.upload(std::move(ids));
      backend_.look_up(rows, on_backend.data(), some);
    });
  };
  const auto add_row = [&](const typename B::memory& row) { to.add(backend_.download(row.view(1, config_.width))); };
  const auto add_norm = [&](const frozen_norm<B>& norm) { add_row(norm.gain), add_row(norm.bias); };
  const auto add_map = [&](const typename B::linear& map) {
    to.template add_rows<scalar>(map.inputs(), map.outputs(), [&](index_t first, matrix_view<scalar> some) {
      backend_.copy_rows(map, first, some);
    });
    to.add(backend_.download({map.bias(), 1, map.outputs()}));
  };
  const bool has_positions = config_.rotary_channels == 0;
  add_table(token_embedding_);
  to.add(has_positions ? backend_.download(position_embedding()) : host_matrix<scalar>());
  add_norm(norm_final_);
  if (is_tied_)
    to.add(host_matrix<scalar>());
  else
    add_table(backend_.make_table({}, &unembedding_));
  for (const frozen_block<B>& block : blocks_) {
    add_norm(block.norm_1), add_norm(block.norm_2);
    for (const auto* map : {&block.qkv, &block.attn_out, &block.mlp_in, &block.mlp_out}) add_map(*map);
  }
}

template <tensor_backend B>
void frozen_model<B>::make_rotary_tables() {
  const index_t half = config_.rotary_channels / 2;
  host_matrix<scalar> cosine(config_.context, half), sine(config_.context, half);
  for (index_t i = 0; i < cosine.rows; ++i)
    for (index_t j = 0; j < half; ++j) {
      const double frequency =
          std::pow(config_.rotary_base, -2.0 * static_cast<double>(j) / static_cast<double>(config_.rotary_channels));
      cosine(i, j) = static_cast<scalar>(std::cos(static_cast<double>(i) * frequency));
      sine(i, j) = static_cast<scalar>(std::sin(static_cast<double>(i) * frequency));
    }
  rotary_cosine_ = backend_.upload(std::as_const(cosine).view());
  rotary_sine_ = backend_.upload(std::as_const(sine).view());
}

template <tensor_backend B>
void frozen_model<B>::embed(const batch<B>& rows, matrix_view<scalar> x) const {
  embed_tokens(rows.tokens(), x);
  if (config_.rotary_channels > 0) return;
  backend_.forward(residual{}, x.rows, x.cols, each_row(name::h, x),
                   selected_row(residual::branch, position_embedding(), rows.positions()), each_row(name::out, x));
}

template <tensor_backend B>
void frozen_model<B>::unembed(matrix_view<scalar> x, matrix_view<scalar> norm, matrix_view<scalar> logits) const {
  backend_.forward(layer_norm{config_.layer_norm_epsilon}, x.rows, x.cols, each_row(name::h, x),
                   each_row(name::out, norm), all_rows(layer_norm::gain, norm_final_.gain.view(1, x.cols)),
                   all_rows(layer_norm::bias, norm_final_.bias.view(1, x.cols)));
  backend_.multiply(unembedding_, norm, logits);
}

template <tensor_backend B>
void frozen_model<B>::unembed_backward(matrix_view<scalar> x, matrix_view<scalar> d_logits, matrix_view<scalar> d_norm,
                                       matrix_view<scalar> d_x) const {
  backend_.multiply_backward(unembedding_, d_logits, d_norm);
  backend_.backward(layer_norm{config_.layer_norm_epsilon}, x.rows, x.cols, each_row(name::h, x),
                    each_row(grad(name::out), d_norm), each_row(grad(name::h), d_x),
                    all_rows(layer_norm::gain, norm_final_.gain.view(1, x.cols)));
}

}  // namespace trimtab
