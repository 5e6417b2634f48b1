// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/backend.hpp>
#include <trimtab/steer/parameter_layout.hpp>

#include <memory>
#include <span>
#include <utility>

/// A policy chosen at run time, by a file or a command line. Each policy is compiled once per backend, for all models,
/// sites and compositions, and costs one virtual call per site and row.

namespace trimtab {

template <tensor_backend B>
class any_policy {
 public:
  using T = typename B::scalar;
  using row_type = typename detail::row_runner<B>::type;

  template <intervention_policy P>
  any_policy(P policy) : held_(std::make_shared<holding<P>>(std::move(policy))) {}

  /// As `backend.intervene`, or that of one row of it, and `backend.intervene_backward` with the policy.
  template <typename On>
  void forward(const On& on, matrix_view<const T> h, matrix_view<T> out, const T* theta,
               const bound_rows<T>& rows) const {
    held_->forward(on, h, out, theta, rows);
  }
  void backward(const B& on, matrix_view<const T> h, matrix_view<const T> d_out, matrix_view<T> d_h, const T* theta,
                T* d_theta, T* partial, const bound_rows<T>& rows) const {
    held_->backward(on, h, d_out, d_h, theta, d_theta, partial, rows);
  }

  policy_description describe(index_t width) const { return held_->describe(width); }
  fit_defaults defaults() const { return held_->defaults(); }
  bool starts_at_identity() const { return held_->starts_at_identity(); }
  bool in_place() const { return held_->in_place(); }
  /// Fills one record with the values that a fit starts from.
  void start(std::span<double> record, index_t width, random_generator& random) const {
    held_->start(record, width, random);
  }

 private:
  struct held_policy {
    virtual ~held_policy() = default;
    virtual void forward(const B&, matrix_view<const T>, matrix_view<T>, const T*, const bound_rows<T>&) const = 0;
    virtual void forward(const row_type&, matrix_view<const T>, matrix_view<T>, const T*,
                         const bound_rows<T>&) const = 0;
    virtual void backward(const B&, matrix_view<const T>, matrix_view<const T>, matrix_view<T>, const T*, T*, T*,
                          const bound_rows<T>&) const = 0;
    virtual policy_description describe(index_t width) const = 0;
    virtual fit_defaults defaults() const = 0;
    virtual bool starts_at_identity() const = 0;
    virtual bool in_place() const = 0;
    virtual void start(std::span<double> record, index_t width, random_generator& random) const = 0;
  };

  template <typename P>
  struct holding final : held_policy {
    P policy;

    explicit holding(P p) : policy(std::move(p)) {}
    void forward(const B& on, matrix_view<const T> h, matrix_view<T> out, const T* theta,
                 const bound_rows<T>& rows) const override {
      on.intervene(policy, h, out, theta, rows);
    }
    void forward(const row_type& on, matrix_view<const T> h, matrix_view<T> out, const T* theta,
                 const bound_rows<T>& rows) const override {
      if constexpr (rowwise_backend<B>) on.intervene(policy, h, out, theta, rows);
    }
    void backward(const B& on, matrix_view<const T> h, matrix_view<const T> d_out, matrix_view<T> d_h, const T* theta,
                  T* d_theta, T* partial, const bound_rows<T>& rows) const override {
      on.intervene_backward(policy, h, d_out, d_h, theta, d_theta, partial, rows);
    }
    policy_description describe(index_t width) const override { return trimtab::describe(policy, width); }
    fit_defaults defaults() const override { return defaults_of<P>(); }
    bool starts_at_identity() const override { return trimtab::starts_at_identity<P>(); }
    bool in_place() const override { return works_in_place<P>; }
    void start(std::span<double> record, index_t width, random_generator& random) const override {
      start_record<P>(record, width, random);
    }
  };

  std::shared_ptr<const held_policy> held_;
};

}  // namespace trimtab
