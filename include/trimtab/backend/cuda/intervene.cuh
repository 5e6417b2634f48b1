// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/backend/cuda/rows.cuh>

#include <utility>

/// Policies over rows. In the adjoint all rows run in parallel, each with a gradient of its own; then the rows of each
/// piece of the plan are added in order, then the pieces of each record. There are no atomics, so the plan fixes the
/// order.

namespace trimtab::cuda {

template <typename Policy>
struct intervene_task {
  Policy policy;
  const int* slot;

  __device__ void operator()(auto& r, index_t i) const {
    if (slot[i] < 0)
      r.each([&](auto j) { r.out(j) = r.h(j); });
    else
      policy.forward(r);
  }
};

template <typename Policy, typename... Name>
struct intervene_backward_task {
  Policy policy;
  const int* slot;

  __device__ void operator()(auto& r, index_t i) const {
    if (slot[i] < 0) {
      r.each([&](auto j) { r.d_h(j) = r.d_out(j); });
    } else {
      (clear(r, Name{}), ...);
      policy.backward(r);
    }
  }

 private:
  template <typename N>
  __device__ static void clear(auto& r, N name) {
    if constexpr (N::is_per_channel and N::count == 1)
      r.each([&](auto j) { r.d(name, j) = 0; });
    else if constexpr (N::is_per_channel)
      for (int k = 0; k < N::count; ++k) r.each([&](auto j) { r.d(name, k, j) = 0; });
  }
};

/// f(operands...) with the scratch rows that the policy needs, separate for every row.
template <typename Policy, typename T, typename F>
void with_scratch(context& on, index_t rows, index_t width, F&& f) {
  constexpr int count = scratch_rows_of<Policy>();
  T* memory = nullptr;
  if constexpr (count > 0) memory = on.scratch<T>(scratch_use::rows, static_cast<std::size_t>(rows * count * width));
  [&]<int... K>(std::integer_sequence<int, K...>) {
    f(operand<scratch_row<K>, T>{memory + K * width, count * width, nullptr}...);
  }
  (std::make_integer_sequence<int, count>{});
}

/// out = policy(h) where the row has a record in θ, out = h elsewhere, in place if the policy can.
template <typename T, typename Policy>
void intervene(context& on, const Policy& policy, matrix_view<const T> h, matrix_view<T> out, const T* theta,
               const bound_rows<T>& rows) {
  const record_view& records = rows.records;
  with_scratch<Policy, T>(on, h.rows, h.cols, [&](auto... scratch) {
    Policy::parameters.apply(h.cols, [&](auto... p) {
      run_rows<T, crosses_channels_of<Policy>()>(
          on, "intervene", intervene_task<Policy>{policy, records.slot}, h.rows, h.cols, each_row(name::h, h),
          each_row(name::out, out), operand<per_row<"beta">, const T>{rows.beta, 1, rows.sequence},
          record_operand<decltype(p.name), const T>{theta + p.offset, 1, records.slot}..., scratch...);
    });
  });
}

/// Where the sums of a piece go: to `begin[piece]`, or one after another if `begin` is null.
__device__ inline index_t place_of_piece(index_t piece, index_t size, const int* begin) {
  return begin ? static_cast<index_t>(begin[piece]) : piece * size;
}

/// sums[piece][j] = Σ of[row][j] over the piece's rows, one thread per number.
template <typename T>
__global__ void add_rows_kernel(const T* of, index_t size, record_view records, T* sums, const int* begin) {
  const index_t k = static_cast<index_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const index_t piece = k / size, j = k % size;
  if (piece >= records.pieces) return;
  T sum = 0;
  for (int i = records.piece_begin[piece]; i < records.piece_begin[piece + 1]; ++i)
    sum += of[records.order[i] * size + j];
  sums[place_of_piece(piece, size, begin) + j] = sum;
}

/// The same for records of few numbers, one warp per piece: its lanes take the rows in turn.
template <typename T>
__global__ void add_short_rows_kernel(const T* of, index_t size, record_view records, T* sums, const int* begin) {
  const index_t piece = static_cast<index_t>(blockIdx.x) * warp_team::rows_per_block + warp_team::row_in_block();
  if (piece >= records.pieces) return;
  for (index_t j = 0; j < size; ++j) {
    T sum = 0;
    for (int i = records.piece_begin[piece] + warp_team::rank(); i < records.piece_begin[piece + 1]; i += warp_size)
      sum += of[records.order[i] * size + j];
    sum = reduce_warp(sum, [](T a, T b) { return a + b; });
    if (warp_team::rank() == 0) sums[place_of_piece(piece, size, begin) + j] = sum;
  }
}

/// The gradient of each record is the sum of its pieces.
template <typename T>
__global__ void add_pieces_kernel(const T* sums, index_t size, record_view records, T* gradient) {
  const index_t k = static_cast<index_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const index_t record = k / size, j = k % size;
  if (record >= records.records) return;
  T sum = 0;
  for (int piece = records.record_begin[record]; piece < records.record_begin[record + 1]; ++piece)
    sum += sums[piece * size + j];
  gradient[records.record_slot[record] + j] = sum;
}

/// Sets d_h, and the gradient of every record that has rows; `partial` holds one record for each piece of the plan.
template <typename T, typename Policy>
void intervene_backward(context& on, const Policy& policy, matrix_view<const T> h, matrix_view<const T> d_out,
                        matrix_view<T> d_h, const T* theta, T* d_theta, T* partial, const bound_rows<T>& rows) {
  const record_view& records = rows.records;
  const index_t size = Policy::parameters.size(h.cols);
  T* const of_row = on.scratch<T>(scratch_use::gradients, static_cast<std::size_t>(h.rows * size));
  with_scratch<Policy, T>(on, h.rows, h.cols, [&](auto... scratch) {
    Policy::parameters.apply(h.cols, [&](auto... p) {
      run_rows<T, crosses_channels_of<Policy>()>(
          on, "intervene_backward", intervene_backward_task<Policy, decltype(p.name)...>{policy, records.slot}, h.rows,
          h.cols, each_row(name::h, h), each_row(grad(name::out), d_out), each_row(grad(name::h), d_h),
          operand<per_row<"beta">, const T>{rows.beta, 1, rows.sequence},
          record_operand<decltype(p.name), const T>{theta + p.offset, 1, records.slot}...,
          gradient_operand<gradient_of<decltype(p.name)>, T>{of_row + p.offset, size}..., scratch...);
    });
  });
  if (records.records == 0 or size == 0) return;

  const auto blocks_for = [](index_t count, index_t of) { return dim3(static_cast<unsigned>((count + of - 1) / of)); };
  constexpr unsigned threads = 128;
  // If every record has one piece, its sum goes directly to its place in the gradient.
  const bool whole = records.pieces == records.records;
  T* const sums = whole ? d_theta : partial;
  const int* const begin = whole ? records.record_slot : nullptr;
  if (size < warp_size)
    launch("add_short_rows", add_short_rows_kernel<T>,
           {blocks_for(records.pieces, warp_team::rows_per_block), dim3(warp_team::most_threads)}, on.stream(), of_row,
           size, records, sums, begin);
  else
    launch("add_rows", add_rows_kernel<T>, {blocks_for(records.pieces * size, threads), dim3(threads)}, on.stream(),
           of_row, size, records, sums, begin);
  if (whole) return;
  launch("add_pieces", add_pieces_kernel<T>, {blocks_for(records.records * size, threads), dim3(threads)}, on.stream(),
         partial, size, records, d_theta);
}

}  // namespace trimtab::cuda
