// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/core/site.hpp>
#include <trimtab/model/weights.hpp>
#include <trimtab/model/workspace.hpp>
#include <trimtab/steer/binding.hpp>
#include <trimtab/steer/check_prompts.hpp>
#include <trimtab/steer/parameters.hpp>
#include <trimtab/steer/sequence.hpp>

#include <algorithm>
#include <concepts>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

/// Folds interventions into weights, at one strength: the model with the new weights computes what the steered model
/// does, and nothing of the intervention is left at run time.
///
///     const folded_weights folded(source, steering, values, {.strength = -1});   // a weight_source
///
/// A policy P that is affine in its activations, P(h) = h M + c, goes into the map y = x W + b before its site or into
/// the one after it:
///
///     before   P(y) = x (W M) + P(b)                  the linear part of P, forward, on every row of W
///     after    P(x) W + b = x (M W) + (c W + b)       the linear part of P, backward, on every column of W
///
/// so the policies run on weights as they run on activations, and no policy has a rule of its own. In the residual
/// stream, which no map produces as a whole, only c folds: into the bias of the map that writes last.

namespace trimtab {

struct fold_options {
  double strength = 1;
  bool attention_bias = true;    ///< whether the model stores biases of its attention's maps
  bool tied_embeddings = false;  ///< whether the unembedding is the token embedding
};

/// An intervention in one layer in which it does something.
struct folded_place {
  std::string site = {};
  std::string policy = {};
  index_t layer = 0;

  friend bool operator==(const folded_place&, const folded_place&) = default;
};

namespace detail {

/// Which parameters of affine policies are kept, the others being 0.
enum class affine_part { whole, linear, offset };

inline std::vector<double> theta_of(const parameters& values, affine_part kept) {
  std::vector<double> theta = values.theta;
  if (kept == affine_part::whole) return theta;
  for (const parameter_block& block : values.layout.blocks)
    for (index_t r = 0; r < block.records(); ++r)
      for (const parameter_slice& slice : block.slices)
        if (slice.is_offset != (kept == affine_part::offset))
          std::fill_n(theta.begin() + block.offset + r * block.record_size + slice.offset, slice.extent, 0.0);
  return theta;
}

/// Whether a layer has a record that does not leave activations as they are.
inline bool acts(const parameter_block& block, index_t layer, const std::vector<double>& theta) {
  const index_t first = block.layer_offset(layer);
  for (index_t r = 0; first >= 0 and r < block.records_per_layer(); ++r)
    if (norm_of_record(block, theta, static_cast<std::size_t>(first + r * block.record_size)) != 0) return true;
  return false;
}

/// Whether a layer has a record that is not all 0.
inline bool is_moved(const parameter_block& block, index_t layer, const std::vector<double>& theta) {
  const index_t first = block.layer_offset(layer);
  return first >= 0 and
         std::any_of(theta.begin() + first, theta.begin() + first + block.records_per_layer() * block.record_size,
                     [](double x) { return x != 0; });
}

/// Throws `mismatch`, with the reason and what would fold, for a layer of an intervention that weights cannot express.
inline void require_foldable(const parameters& values, const parameter_block& block, index_t layer,
                             const model_config& config, const fold_options& options) {
  const auto refuse = [&](const std::string& why) {
    throw error(error_kind::mismatch,
                block.policy + " at " + block.site + " in layer " + std::to_string(layer) + " does not fold: " + why);
  };
  const auto is_at = [&](const auto&... sites) { return ((block.site == sites.text) or ...); };
  const auto has = [&](affine_part part) { return is_moved(block, layer, theta_of(values, part)); };
  if (block.positions.by() != position_key::kind::shared)
    refuse("its positions are " + block.positions.text() +
           ", and weights treat all tokens alike; fit it with shared positions (--positions shared)");
  if (not block.is_affine)
    refuse("what it does depends on the activations, as no weight does; fit a policy that scales or shifts them");
  if (is_at(site::resid_pre{}, site::resid_mid{}, site::resid_post{}) and has(affine_part::linear))
    refuse(
        "it maps the residual stream, which is a sum of what all layers below wrote; fit vectors there, or scalars "
        "at attn_out and mlp_out");
  if (is_at(site::attn_z{}, site::attn_out{}, site::resid_mid{}) and not options.attention_bias and
      not config.parallel_residual and has(affine_part::offset))
    refuse(
        "it adds a vector, and this model's attention has no bias to hold it; fit scalars there, or vectors at "
        "mlp_out");
  if (is_at(site::resid_pre{}) and layer == 0 and config.rotary_channels > 0 and options.tied_embeddings)
    refuse("it would go into the token embedding, which is the unembedding as well; fit resid_post of layer 0");
}

template <typename T>
host_matrix<T> transposed(const host_matrix<T>& matrix) {
  host_matrix<T> result(matrix.cols, matrix.rows);
  for (index_t i = 0; i < matrix.rows; ++i)
    for (index_t j = 0; j < matrix.cols; ++j) result(j, i) = matrix(i, j);
  return result;
}

}  // namespace detail

/// The weights of `Source` with a composition folded into them; itself a source of weights, which reads and folds one
/// block at a time. Source and composition must outlive it.
template <typename Source, typename Steering>
class folded_weights {
 public:
  using B = typename Steering::backend_type;
  using T = typename B::scalar;

  /// Throws `mismatch`, with the reason and what would fold, for an intervention that does not, and for parameters of
  /// another composition; `bad_argument` for a strength that is not finite.
  folded_weights(const Source& source, const Steering& composition, parameters values, fold_options options)
      : source_(&source), composition_(&composition), values_(std::move(values)), options_(options) {
    composition.check(values_.layout, values_.theta.size());
    check_strengths(std::vector{options_.strength});
    for (const parameter_block& block : values_.layout.blocks)
      for (const index_t layer : block.layers) {
        if (not detail::acts(block, layer, values_.theta)) continue;
        detail::require_foldable(values_, block, layer, config(), options_);
        places_.push_back({block.site, block.policy, layer});
      }
    using enum detail::affine_part;
    whole_ = upload(detail::theta_of(values_, whole));
    linear_ = upload(detail::theta_of(values_, linear));
  }

  const model_config& config() const { return composition_->model().config(); }
  /// What was folded. Layers in which an intervention leaves activations as they are are not listed.
  const std::vector<folded_place>& places() const { return places_; }

  template <std::same_as<T> S>
  block_weights<S> block(index_t layer) const {
    auto w = source_->template block<S>(layer);
    fold_after<site::attn_z>(layer, w.attn_out);
    fold_before<site::attn_out>(layer, w.attn_out);
    add<site::resid_mid>(layer, w.attn_out.bias);
    fold_after<site::mlp_post>(layer, w.mlp_out);
    fold_before<site::mlp_out>(layer, w.mlp_out);
    if (not options_.attention_bias)  // in a parallel block one bias is as good as the other
      for (index_t j = 0; j < config().width; ++j) w.mlp_out.bias(0, j) += std::exchange(w.attn_out.bias(0, j), S(0));
    add<site::resid_post>(layer, w.mlp_out.bias);
    if (layer + 1 < config().layers) add<site::resid_pre>(layer + 1, w.mlp_out.bias);
    return w;
  }
  template <std::same_as<T> S>
  outer_weights<S> outer() const {
    auto w = source_->template outer<S>();
    add<site::resid_pre>(0, config().rotary_channels > 0 ? w.token_embedding : w.position_embedding);
    return w;
  }

 private:
  using backend_parameters = std::shared_ptr<const replica_parameters<B>>;

  backend_parameters upload(const std::vector<double>& theta) const {
    const auto values =
        std::make_shared<replica_parameters<B>>(composition_->model().backend(), std::vector{values_.layout});
    values->storage.upload([&](index_t) { return std::span<const double>(theta); }, values->theta);
    return values;
  }

  /// f(the hooks, a matrix in the backend's memory to its rows, one for its result), with the matrix's rows in place of
  /// the tokens of a prompt; each row holds all heads at `attn_z`. Returns the result.
  template <hook_site Site, typename F>
  host_matrix<T> on_rows(const backend_parameters& theta, const host_matrix<T>& matrix, F run) const {
    const auto& model = composition_->model();
    token_records records(1);
    for (const parameter_block& block : values_.layout.blocks)
      records[0].emplace_back(static_cast<std::size_t>(matrix.rows), block.layers.empty() ? -1 : 0);
    const std::vector<sequence> one{{.beta = options_.strength}};
    const binding<B> bound(model.backend(), config(), theta, one, records, scored::all);
    workspace<B> memory(model.backend());
    const auto result = memory.take(matrix.rows, matrix.cols);
    const index_t width = site_width<Site>(config());
    run(composition_->hooks(bound), memory.take(matrix).reshaped(width), result.reshaped(width));
    return model.backend().download(result);
  }
  template <hook_site Site>
  host_matrix<T> forward(index_t layer, const backend_parameters& theta, const host_matrix<T>& rows) const {
    return on_rows<Site>(theta, rows, [&](const auto& hooks, auto h, auto out) {
      hooks.template forward<Site>(composition_->model().backend(), layer, h.as_const(), out);
    });
  }
  template <hook_site Site>
  host_matrix<T> backward(index_t layer, const backend_parameters& theta, const host_matrix<T>& rows) const {
    return on_rows<Site>(theta, rows, [&](const auto& hooks, auto d_out, auto d_h) {
      hooks.template backward<Site>(layer, d_out.as_const(), d_out.as_const(), d_h);
    });
  }

  /// Whether something at the site is to be folded; false at compile time for a site that the composition never hooks.
  template <hook_site Site>
  static constexpr bool hooked = Steering::hooks_type::template has<Site>;
  template <hook_site Site>
  bool is_folded(index_t layer) const {
    return std::ranges::any_of(places_,
                               [&](const folded_place& p) { return p.site == Site::text and p.layer == layer; });
  }
  /// The site is what the map gives.
  template <hook_site Site>
  void fold_before(index_t layer, linear_weights<T>& map) const {
    if constexpr (hooked<Site>)
      if (is_folded<Site>(layer))
        map = {forward<Site>(layer, linear_, map.weight), forward<Site>(layer, whole_, map.bias)};
  }
  /// The site is what the map takes.
  template <hook_site Site>
  void fold_after(index_t layer, linear_weights<T>& map) const {
    if constexpr (hooked<Site>) {
      if (not is_folded<Site>(layer)) return;
      const host_matrix<T> c = forward<Site>(layer, whole_, host_matrix<T>(1, map.weight.rows));
      for (index_t i = 0; i < map.weight.rows; ++i)
        for (index_t j = 0; j < map.weight.cols; ++j) map.bias(0, j) += c(0, i) * map.weight(i, j);
      map.weight = detail::transposed(backward<Site>(layer, linear_, detail::transposed(map.weight)));
    }
  }
  /// The rows are written into the stream, and no policy at the site does more than add.
  template <hook_site Site>
  void add(index_t layer, host_matrix<T>& rows) const {
    if constexpr (hooked<Site>)
      if (is_folded<Site>(layer)) rows = forward<Site>(layer, whole_, rows);
  }

  const Source* source_;
  const Steering* composition_;
  parameters values_;
  fold_options options_;
  std::vector<folded_place> places_ = {};
  backend_parameters whole_ = {}, linear_ = {};
};

}  // namespace trimtab
