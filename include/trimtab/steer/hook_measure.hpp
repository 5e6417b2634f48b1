// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/backend.hpp>
#include <trimtab/core/objective.hpp>
#include <trimtab/model/architecture.hpp>
#include <trimtab/model/pass_memory.hpp>
#include <trimtab/model/workspace.hpp>
#include <trimtab/steer/token_records.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

/// Terms on what hooks do (core/objective.hpp) in a steered pass. Forward, their value on each row is kept as the hook
/// runs; backward, the hook runs again for `out`, and what the terms add goes back through the policies. Of several
/// policies at one site they see the first one's `h` and the last one's `out`.

namespace trimtab {

namespace detail {

/// A term as a row function that writes its value, and whose gradient leaves alone the rows that have no weight: it
/// may not be finite there, as on a row of zeros.
template <typename Term>
struct hook_term_on_row {
  static constexpr bool crosses_channels = crosses_channels_of<Term>();

  Term term;

  constexpr void forward(row auto& r) const { r(name::value) = term.value(r); }
  constexpr void gradient(row auto& r) const {
    if (r.d_value() == 0) return;
    term.gradient(r);
  }
};

}  // namespace detail

/// A hook term of any type, and its weight in the loss of each sequence.
template <tensor_backend B>
class weighted_hook_term {
 public:
  using T = typename B::scalar;
  using row_type = typename detail::row_runner<B>::type;

  template <hook_term Term>
  weighted_hook_term(const Term& term, std::vector<double> weights)
      : held_(std::make_shared<holding<Term>>(term)), weights_(std::move(weights)) {}

  const std::vector<double>& weights() const { return weights_; }

  /// Sets to[i] to the term's value on row i, of all rows or of the one that `on` is.
  template <typename On>
  void values(const On& on, matrix_view<const T> h, matrix_view<const T> out, T* to) const {
    held_->values(on, h, out, to);
  }
  /// Adds d_value[i] times the gradient of the value on row i.
  void gradients(const B& on, matrix_view<const T> h, matrix_view<const T> out, const T* d_value, matrix_view<T> d_h,
                 matrix_view<T> d_out) const {
    held_->gradients(on, h, out, d_value, d_h, d_out);
  }

 private:
  struct held_term {
    virtual ~held_term() = default;
    virtual void values(const B&, matrix_view<const T>, matrix_view<const T>, T*) const = 0;
    virtual void values(const row_type&, matrix_view<const T>, matrix_view<const T>, T*) const = 0;
    virtual void gradients(const B&, matrix_view<const T>, matrix_view<const T>, const T*, matrix_view<T>,
                           matrix_view<T>) const = 0;
  };

  template <typename Term>
  struct holding final : held_term {
    Term term;

    explicit holding(const Term& t) : term(t) {}
    void values(const B& on, matrix_view<const T> h, matrix_view<const T> out, T* to) const override {
      on.values(term, h.rows, h.cols, to, each_row(name::h, h), each_row(name::out, out));
    }
    void values(const row_type& on, matrix_view<const T> h, matrix_view<const T> out, T* to) const override {
      if constexpr (rowwise_backend<B>)
        on.forward(detail::hook_term_on_row<Term>{term}, h.rows, h.cols, each_row(name::h, h), each_row(name::out, out),
                   operand<std::remove_const_t<decltype(name::value)>, T>{to, 1});
    }
    void gradients(const B& on, matrix_view<const T> h, matrix_view<const T> out, const T* d_value, matrix_view<T> d_h,
                   matrix_view<T> d_out) const override {
      on.gradients(detail::hook_term_on_row<Term>{term}, h.rows, h.cols, each_row(name::h, h), each_row(name::out, out),
                   each_row(grad(name::h), d_h), each_row(grad(name::out), d_out),
                   operand<gradient_of<std::remove_const_t<decltype(name::value)>>, const T>{d_value, 1});
    }
  };

  std::shared_ptr<const held_term> held_;
  std::vector<double> weights_;
};

namespace detail {

/// out += h.
struct add_row {
  constexpr void forward(row auto& r) const {
    r.each([&](auto j) { r.out(j) += r.h(j); });
  }
};

/// The mean of a sequence's values; 0 for one on which no policy acts.
template <typename T>
struct mean_of_rows {
  static constexpr per_row<"first"> first{};
  static constexpr per_row<"last"> last{};

  const T* values;
  const int* rows;

  constexpr void forward(row auto& r) const {
    T sum = 0;
    for (int k = r(first); k < r(last); ++k) sum += values[rows[k]];
    const int count = r(last) - r(first);
    r.each([&](auto j) { r.out(j) = sum / static_cast<T>(count > 0 ? count : 1); });
  }
};

}  // namespace detail

/// The terms of a binding. Its rows are those of one place, a site in a layer, after those of another.
template <tensor_backend B>
class hook_measure {
 public:
  using T = typename B::scalar;

  hook_measure(const B& backend, const model_config& config, std::vector<weighted_hook_term<B>> terms,
               const parameter_layout& layout, std::span<const sequence> sequences, const token_records& records,
               scored where, pass_use use);

  /// After a site's hook, on all rows or on the one that `on` is.
  template <hook_site Site, typename On>
  void forward(const On& on, index_t layer, matrix_view<const T> h, matrix_view<const T> out) const {
    for (std::size_t k = 0; k < terms_.size(); ++k)
      terms_[k].values(on, h, out, row(values_, k, first_row_at<Site>(layer)));
  }

  /// In place of a hook's backward pass: `again(out)` runs the hook forward, `back(d_out, d_h)` backward.
  template <hook_site Site, typename Again, typename Back>
  void backward(index_t layer, matrix_view<const T> h, matrix_view<const T> d_out, matrix_view<T> d_h, Again again,
                Back back) const {
    const auto like_h = [&](matrix_view<T> all) { return matrix_view<T>{all.data, h.rows, h.cols}; };
    const matrix_view<T> out = like_h(out_), d_all = like_h(d_out_), d_direct = like_h(d_direct_);
    again(out);
    backend_->copy(d_out, d_all);
    backend_->fill(d_direct, T(0));
    for (std::size_t k = 0; k < terms_.size(); ++k)
      terms_[k].gradients(*backend_, h, out, row(d_values_, k, first_row_at<Site>(layer)), d_direct, d_all);
    back(d_all.as_const(), d_h);
    backend_->forward(detail::add_row{}, h.rows, h.cols, each_row(name::h, d_direct), each_row(name::out, d_h));
  }

  /// Each term's mean for each sequence, [terms, sequences], of the last pass.
  matrix_view<const T> means() const {
    for (std::size_t k = 0; k < terms_.size(); ++k) {
      const matrix_view<T> to{row(means_, k, 0), means_.cols, 1};
      backend_->forward(detail::mean_of_rows<T>{row(values_, k, 0), rows_}, means_.cols, 1, each_row(name::out, to),
                        operand<per_row<"first">, const int>{begin_, 1},
                        operand<per_row<"last">, const int>{begin_ + 1, 1});
    }
    return means_;
  }

 private:
  template <hook_site Site>
  index_t first_row_at(index_t layer) const {
    return first_rows_[static_cast<std::size_t>(layer)][site_index<Site>];
  }
  static T* row(matrix_view<T> of_terms, std::size_t k, index_t first) {
    return of_terms.row(static_cast<index_t>(k)) + first;
  }

  const B* backend_;
  std::vector<weighted_hook_term<B>> terms_;
  workspace<B> memory_;
  std::vector<std::array<index_t, site::count>> first_rows_;  ///< by layer and site
  matrix_view<T> values_ = {}, d_values_ = {};                ///< [terms, rows], the latter for a backward pass
  matrix_view<T> means_ = {};                                 ///< [terms, sequences]
  matrix_view<T> out_ = {}, d_out_ = {}, d_direct_ = {};      ///< of the largest place, for a backward pass
  const int *rows_ = nullptr, *begin_ = nullptr;              ///< the rows on which policies act, by sequence
};

template <tensor_backend B>
hook_measure<B>::hook_measure(const B& backend, const model_config& config, std::vector<weighted_hook_term<B>> terms,
                              const parameter_layout& layout, std::span<const sequence> sequences,
                              const token_records& records, scored where, pass_use use)
    : backend_(&backend),
      terms_(std::move(terms)),
      memory_(backend),
      first_rows_(static_cast<std::size_t>(config.layers)) {
  std::vector<std::vector<int>> acted(sequences.size());
  index_t rows = 0, largest = 0;
  for (index_t l = 0; l < config.layers; ++l)
    for (std::size_t at = 0; at < site::count; ++at) {
      std::vector<std::size_t> here;  // the interventions
      for (std::size_t k = 0; k < layout.blocks.size(); ++k)
        if (layout.blocks[k].site == site::table[at].text and layout.blocks[k].layer_number(l) >= 0) here.push_back(k);
      if (here.empty()) continue;
      const index_t before = rows, parts = layout.blocks[here.front()].parts;
      const bool past_attention = at != site_index<site::resid_pre>;
      const scored computed = l == config.layers - 1 and past_attention ? where : scored::all;
      for (std::size_t n = 0; n < sequences.size(); ++n) {
        const std::size_t tokens = records[n].front().size();
        for (std::size_t i = first_row(sequences[n], tokens, computed); i < tokens; ++i)
          for (index_t part = 0; part < parts; ++part, ++rows)
            if (std::ranges::any_of(here, [&](std::size_t k) {
                  const index_t only = layout.blocks[k].part;
                  return records[n][k][i] >= 0 and (only < 0 or only == part);
                }))
              acted[n].push_back(static_cast<int>(rows));
      }
      first_rows_[static_cast<std::size_t>(l)][at] = before;
      largest = std::max(largest, (rows - before) * site_width(site::table[at].rows, config));
    }

  host_matrix<T> d_values(std::ssize(terms_), std::max<index_t>(1, rows));
  std::vector<int> begin{0}, all;
  for (std::size_t n = 0; n < sequences.size(); ++n) {
    for (std::size_t k = 0; k < terms_.size(); ++k)
      for (const int i : acted[n])
        d_values.view().row(static_cast<index_t>(k))[i] =
            static_cast<T>(terms_[k].weights()[n] / static_cast<double>(acted[n].size()));
    all.insert(all.end(), acted[n].begin(), acted[n].end());
    begin.push_back(static_cast<int>(all.size()));
  }
  values_ = memory_.take(d_values.rows, d_values.cols);
  means_ = memory_.take(d_values.rows, std::max<index_t>(1, std::ssize(sequences)));
  if (use == pass_use::forward_and_backward) {
    d_values_ = memory_.take(d_values);
    for (matrix_view<T>* m : {&out_, &d_out_, &d_direct_}) *m = memory_.take(1, std::max<index_t>(1, largest));
  }
  rows_ = memory_.take(std::move(all));
  begin_ = memory_.take(std::move(begin));
}

}  // namespace trimtab
