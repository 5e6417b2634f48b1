// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/records.hpp>
#include <trimtab/model/batch.hpp>
#include <trimtab/model/hooks.hpp>
#include <trimtab/steer/steering.hpp>

#include <algorithm>
#include <array>
#include <cassert>
#include <limits>
#include <memory>
#include <span>
#include <vector>

/// A composition bound to the rows of one batch: for every row its strength β and the record of parameters that it
/// uses, worked out once. This is what a pass meets as its hooks.

namespace trimtab {

/// One prompt on its way through a steered pass.
struct steered_sequence {
  index_t prompt = 0;  ///< which of the prompts
  double beta = 0;
  index_t lane = 0;
  index_t given = 0;  ///< so many of its first tokens are no rows of the batch
};

/// What one intervention needs to know of the rows at its site.
template <typename T>
struct bound_rows {
  record_view records = {};
  const T* beta = nullptr;
};

template <tensor_backend B, typename... Interventions>
class bound_steering {
 public:
  using backend_type = B;
  using T = typename B::scalar;

  /// Which of the interventions is at the site.
  template <hook_site Site>
  static constexpr std::size_t index = [] {
    std::size_t k = 0;
    bool found = false;
    ((found = found or std::is_same_v<Site, typename Interventions::site_type>, k += found ? 0 : 1), ...);
    return k;
  }();

  bound_steering(const B& backend, const model_config& config, std::tuple<Interventions...> interventions,
                 const parameter_layout& layout, std::span<const prompt_pair> prompts,
                 std::span<const steered_sequence> sequences, index_t lanes, scored where)
      : interventions_(std::move(interventions)),
        layout_(layout),
        last_layer_(config.layers - 1),
        backend_(&backend),
        memory_(backend) {
    if (lanes * layout.lane_size() > std::numeric_limits<int>::max())
      throw error(error_kind::bad_argument, "the parameters of " + std::to_string(lanes) + " lanes with " +
                                                std::to_string(layout.lane_size()) +
                                                " numbers each are too many for one pass; fit fewer prompts at once");
    const index_t size = std::max<index_t>(1, lanes * layout.lane_size());
    theta_ = memory_.take(1, size);
    d_theta_ = memory_.take(1, size);
    for (const parameter_block& block : layout.blocks) {
      all_.push_back(bind(block, prompts, sequences, scored::all));
      scored_.push_back(where == scored::all ? all_.back() : bind(block, prompts, sequences, scored::last));
      const index_t pieces = std::max(all_.back().records.pieces, scored_.back().records.pieces);
      partial_.push_back(memory_.take(1, std::max<index_t>(1, pieces * block.record_size)).data);
    }
  }

  const parameter_layout& layout() const { return layout_; }
  matrix_view<T> theta() const { return theta_; }       ///< [1, lanes * lane size]
  matrix_view<T> gradient() const { return d_theta_; }  ///< the same shape

  template <hook_site Site>
  static constexpr bool has = (std::is_same_v<Site, typename Interventions::site_type> or ...);

  template <hook_site Site>
  bool active(index_t layer) const {
    return layout_.blocks[index<Site>].layer_offset(layer) >= 0;
  }

  index_t lowest_layer() const {
    index_t lowest = last_layer_ + 1;
    for (const parameter_block& block : layout_.blocks)
      if (not block.layers.empty()) lowest = std::min(lowest, block.layers.front());
    return lowest;
  }

  template <hook_site Site>
  void forward(index_t layer, matrix_view<const T> h, matrix_view<T> out) const {
    const index_t offset = layout_.blocks[index<Site>].layer_offset(layer);
    const bound_rows<T>& rows = rows_at<Site>(layer);
    backend_->intervene(std::get<index<Site>>(interventions_).policy, h, out, rows.beta, theta_.data + offset,
                        rows.records);
  }

  template <hook_site Site>
  void backward(index_t layer, matrix_view<const T> h, matrix_view<const T> d_out, matrix_view<T> d_h) const {
    const index_t offset = layout_.blocks[index<Site>].layer_offset(layer);
    const bound_rows<T>& rows = rows_at<Site>(layer);
    backend_->intervene_adjoint(std::get<index<Site>>(interventions_).policy, h, d_out, d_h, rows.beta,
                                theta_.data + offset, d_theta_.data + offset, partial_[index<Site>], rows.records);
  }

 private:
  /// In the last layer only scored rows are left, except where the layer begins.
  template <hook_site Site>
  const bound_rows<T>& rows_at(index_t layer) const {
    const bool past_attention = not std::is_same_v<Site, site::resid_pre>;
    return layer == last_layer_ and past_attention ? scored_[index<Site>] : all_[index<Site>];
  }

  bound_rows<T> bind(const parameter_block& block, std::span<const prompt_pair> prompts,
                     std::span<const steered_sequence> sequences, scored where) {
    std::vector<int> slots;
    std::vector<double> betas;
    if (not block.layers.empty())
      for (const steered_sequence& s : sequences) {
        const std::vector<int> records = block.positions.records(prompts[static_cast<std::size_t>(s.prompt)]);
        const auto first = where == scored::all ? static_cast<std::size_t>(s.given) : records.size() - 1;
        for (std::size_t i = first; i < records.size(); ++i)
          for (index_t part = 0; part < block.parts; ++part) {
            const index_t record = records[i] * block.parts + part;
            const index_t slot = records[i] < 0 ? -1 : s.lane * layout_.lane_size() + record * block.record_size;
            slots.push_back(static_cast<int>(slot));
            betas.push_back(s.beta);
          }
      }
    record_plan plan(std::move(slots));
    bound_rows<T> rows;
    rows.records.rows = static_cast<index_t>(plan.slot.size());
    rows.records.pieces = static_cast<index_t>(plan.piece_begin.size()) - 1;
    rows.records.records = static_cast<index_t>(plan.record_slot.size());
    rows.records.slot = memory_.take(std::move(plan.slot));
    rows.records.order = memory_.take(std::move(plan.order));
    rows.records.piece_begin = memory_.take(std::move(plan.piece_begin));
    rows.records.record_begin = memory_.take(std::move(plan.record_begin));
    rows.records.record_slot = memory_.take(std::move(plan.record_slot));

    host_matrix<T> beta(1, std::max<index_t>(1, rows.records.rows));
    for (std::size_t i = 0; i < betas.size(); ++i) beta.values[i] = static_cast<T>(betas[i]);
    rows.beta = memory_.take(beta).data;
    return rows;
  }

  std::tuple<Interventions...> interventions_;
  parameter_layout layout_;
  index_t last_layer_;
  const B* backend_;
  workspace<B> memory_;
  matrix_view<T> theta_ = {}, d_theta_ = {};
  std::vector<bound_rows<T>> all_ = {}, scored_ = {};
  std::vector<T*> partial_ = {};
};

/// What a pass holds: a reference, so that the plan is made and kept once.
template <typename Bound>
struct hooks_of {
  const Bound* bound;

  template <hook_site Site>
  static constexpr bool has = Bound::template has<Site>;

  template <hook_site Site>
  bool active(index_t layer) const {
    return bound->template active<Site>(layer);
  }
  template <hook_site Site>
  void forward(index_t layer, matrix_view<const typename Bound::T> h, matrix_view<typename Bound::T> out) const {
    bound->template forward<Site>(layer, h, out);
  }
  template <hook_site Site>
  void backward(index_t layer, matrix_view<const typename Bound::T> h, matrix_view<const typename Bound::T> d_out,
                matrix_view<typename Bound::T> d_h) const {
    bound->template backward<Site>(layer, h, d_out, d_h);
  }
  index_t lowest_layer() const { return bound->lowest_layer(); }
};

}  // namespace trimtab
