// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/backend/eigen/memory.hpp>
#include <trimtab/backend/eigen/row.hpp>
#include <trimtab/backend/eigen/target.hpp>
#include <trimtab/backend/eigen/team.hpp>
#include <trimtab/core/policy.hpp>
#include <trimtab/core/records.hpp>

#include <algorithm>
#include <utility>

/// Row functions over rows on the CPU. Threads take whole rows, so no result depends on how many there are.

namespace trimtab::eigen {
inline namespace TRIMTAB_TARGET {

/// Whether work, in numbers touched, takes longer than waking helper threads.
constexpr bool is_worth_a_team(index_t numbers) { return numbers > 16384; }

/// f(i) for i below n, on `threads` threads where the work (in numbers touched) is worth it.
template <typename F>
void parallel_for(int threads, index_t n, index_t work, const F& f) {
  parallel_claims(is_worth_a_team(work) ? threads : 1, n, [&f](claim some) {
    for (index_t i = some.begin; i < some.end; ++i) f(i);
  });
}

/// f(scratch operands...) with the scratch rows that the row function F asked for, kept by each thread from call to
/// call.
template <typename F, typename T, typename Body>
void with_scratch(index_t width, Body&& body) {
  constexpr int count = scratch_rows_of<F>();
  if constexpr (count == 0) {
    body();
  } else {
    T* const memory = scratch<struct row_function_rows, T>(count * width);
    [&]<int... K>(std::integer_sequence<int, K...>) {
      body(operand<scratch_row<K>, T>{memory + K * width, 0, nullptr}...);
    }
    (std::make_integer_sequence<int, count>{});
  }
}

/// f(operands...) with the parameters of one record.
template <typename Policy, typename T, typename F>
void with_parameters(index_t width, const T* values, F&& f) {
  Policy::parameters.apply(width, [&](auto... p) { f(operand<decltype(p.name), const T>{values + p.offset}...); });
}

/// f(operands...) with the parameters of one record and their gradients.
template <typename Policy, typename T, typename F>
void with_parameters(index_t width, const T* values, T* gradients, F&& f) {
  Policy::parameters.apply(width, [&](auto... p) {
    f(operand<decltype(p.name), const T>{values + p.offset}...,
      operand<gradient_of<decltype(p.name)>, T>{gradients + p.offset}...);
  });
}

/// out = policy(h) on row i if it has a record in θ, else out = h; in place if the policy can. Not inlined: so it has
/// the same bits wherever it is called, and its loops do not depend on how large the caller is.
template <typename Policy, typename T>
[[gnu::noinline]] void intervene(index_t i, const Policy& policy, matrix_view<const T> h, matrix_view<T> out,
                                 const T* theta, const bound_rows<T>& rows) {
  const index_t slot = rows.records.slot[i];
  if (slot < 0) {
    if (out.row(i) != h.row(i)) std::copy_n(h.row(i), h.cols, out.row(i));
    return;
  }
  with_scratch<Policy, T>(h.cols, [&](auto... scratch) {
    with_parameters<Policy>(h.cols, theta + slot, [&](auto... parameters) {
      auto r = row_of<T>(h.cols, i, each_row(name::h, h), each_row(name::out, out),
                         operand<per_row<"beta">, const T>{rows.beta, 1, rows.sequence}, parameters..., scratch...);
      policy.forward(r);
    });
  });
}

/// Runs on row i alone what the backend runs on all rows. `forward` is not inlined either.
template <typename T>
struct one_row {
  index_t i;

  template <typename F, typename... Operand>
  [[gnu::noinline]] void forward(const F& f, index_t, index_t width, Operand... operands) const {
    auto r = row_of<T>(width, i, operands...);
    f.forward(r);
  }
  template <typename Policy>
  void intervene(const Policy& policy, matrix_view<const T> h, matrix_view<T> out, const T* theta,
                 const bound_rows<T>& rows) const {
    eigen::intervene(i, policy, h, out, theta, rows);
  }
};

/// Sets d_h, and the gradient of every record that has rows; `partial` holds one record for each piece of the plan.
template <typename Policy, typename T>
void intervene_backward(int threads, const Policy& policy, matrix_view<const T> h, matrix_view<const T> d_out,
                        matrix_view<T> d_h, const T* theta, T* d_theta, T* partial, const bound_rows<T>& rows) {
  const record_view& records = rows.records;
  const index_t size = Policy::parameters.size(h.cols);
  parallel_for(threads, h.rows, h.size(), [&](index_t i) {
    if (records.slot[i] < 0) std::copy_n(d_out.row(i), h.cols, d_h.row(i));
  });
  parallel_for(threads, records.pieces, h.size(), [&](index_t piece) {
    T* const sums = partial + piece * size;
    std::fill_n(sums, size, T(0));
    for (int k = records.piece_begin[piece]; k < records.piece_begin[piece + 1]; ++k) {
      const index_t i = records.order[k];
      with_scratch<Policy, T>(h.cols, [&](auto... scratch) {
        with_parameters<Policy>(h.cols, theta + records.slot[i], sums, [&](auto... parameters) {
          auto r =
              row_of<T>(h.cols, i, each_row(name::h, h), each_row(grad(name::out), d_out), each_row(grad(name::h), d_h),
                        operand<per_row<"beta">, const T>{rows.beta, 1, rows.sequence}, parameters..., scratch...);
          policy.backward(r);
        });
      });
    }
  });
  parallel_for(threads, records.records, records.pieces * size, [&](index_t record) {
    T* const total = d_theta + records.record_slot[record];
    std::fill_n(total, size, T(0));
    for (int piece = records.record_begin[record]; piece < records.record_begin[record + 1]; ++piece)
      for (index_t j = 0; j < size; ++j) total[j] += partial[piece * size + j];
  });
}

}  // namespace TRIMTAB_TARGET
}  // namespace trimtab::eigen
