// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/backend/cuda/context.hpp>
#include <trimtab/backend/cuda/row.cuh>
#include <trimtab/core/policy.hpp>
#include <trimtab/core/records.hpp>

#include <algorithm>
#include <cstdint>
#include <type_traits>

/// Running row functions over rows on the GPU. How many threads share a row, and so the order of its sums, depends on
/// its width and its operands' alignment, not on the other rows.

namespace trimtab::cuda {

/// A parameter of a record, without any alignment.
template <typename Name, typename U>
struct record_operand {
  U* data;
  index_t stride;
  const int* select;
};

/// The row's own gradient, which starts at zero.
template <typename Name, typename U>
struct gradient_operand {
  U* data;
  index_t stride;
};

/// Operands that a row function only reads: they are not stored back, even if the memory is writable.
struct inputs_of_forward {
  template <typename Name>
  static constexpr bool has = std::is_same_v<Name, per_channel<"h">>;
};
struct inputs_of_backward {
  template <typename Name>
  static constexpr bool has = std::is_same_v<Name, per_channel<"h">> or std::is_same_v<Name, per_channel<"out">> or
                              std::is_same_v<Name, gradient_of<per_channel<"out">>>;
};
struct inputs_of_gradients {
  template <typename Name>
  static constexpr bool has =
      std::is_same_v<Name, per_channel<"h">> or std::is_same_v<Name, gradient_of<per_row<"value">>>;
};
template <typename Inputs, typename Name, typename U>
auto read_only(const operand<Name, U>& o) {
  if constexpr (Inputs::template has<Name>)
    return operand<Name, const U>{o.data, o.stride, o.select};
  else
    return o;
}

/// The operand's memory for row i. A row without a record, which does not read it, gets the first.
template <typename U>
__device__ U* place(U* data, index_t stride, const int* select, index_t i) {
  const index_t k = select ? static_cast<index_t>(select[i]) : i;
  return data + stride * (k < 0 ? 0 : k);
}

/// The row's copies of a name's few numbers, zeros if `Cleared`.
template <typename Name, bool Cleared, typename U>
__device__ auto numbers_at(U* data) {
  if constexpr (count_of<Name> == 1) {
    return row_number<Name, U>{data, Cleared ? std::remove_const_t<U>(0) : *data};
  } else {
    row_numbers<Name, U> all{data, {}};
    for (int k = 0; k < count_of<Name>; ++k) all.values[k] = Cleared ? std::remove_const_t<U>(0) : data[k];
    return all;
  }
}

template <int Lanes, typename Name, typename U>
__device__ auto bind(const operand<Name, U>& o, index_t i) {
  U* const data = place(o.data, o.stride, o.select, i);
  if constexpr (not is_per_channel<Name>)
    return numbers_at<Name, false>(data);
  else if constexpr (is_indexed<Name>)
    return channels<Name, U, Lanes>{data};
  else if constexpr (Lanes > 1)
    return staged_channels<Name, U, Lanes>{data, {}};
  else
    return channels<Name, U, Lanes>{data};
}
template <int Lanes, typename Name, typename U>
__device__ auto bind(const record_operand<Name, U>& o, index_t i) {
  U* const data = place(o.data, o.stride, o.select, i);
  if constexpr (not is_per_channel<Name>)
    return numbers_at<Name, false>(data);
  else
    return channels<Name, U, Lanes>{data};
}
template <int Lanes, typename Name, typename U>
__device__ auto bind(const gradient_operand<Name, U>& o, index_t i) {
  U* const data = o.data + o.stride * i;
  if constexpr (not is_per_channel<Name>)
    return numbers_at<Name, true>(data);
  else
    return channels<Name, U, Lanes>{data};
}

template <typename Name, typename U>
bool is_aligned(const operand<Name, U>& o) {
  return not is_per_channel<Name> or is_indexed<Name> or
         (reinterpret_cast<std::uintptr_t>(o.data) % 16 == 0 and
          static_cast<std::size_t>(o.stride) * sizeof(U) % 16 == 0);
}
template <typename Name, typename U>
bool is_aligned(const record_operand<Name, U>&) {
  return true;
}
template <typename Name, typename U>
bool is_aligned(const gradient_operand<Name, U>&) {
  return true;
}

/// Runs the task on row i. The bounds ask for only one block per multiprocessor, because ptxas would spill registers to
/// fit more.
template <typename T, typename Team, int Lanes, typename Task, typename... Operand>
__global__ void __launch_bounds__(Team::most_threads, 1)
    rows_kernel(Task task, index_t rows, index_t width, Operand... operands) {
  const index_t i = static_cast<index_t>(blockIdx.x) * Team::rows_per_block + Team::row_in_block();
  if (i >= rows) return;
  row<T, Team, Lanes, decltype(bind<Lanes>(operands, i))...> r(width, bind<Lanes>(operands, i)...);
  task(r, i);
  r.finish();
}

template <typename T, int Lanes, typename Task, typename... Operand>
void start_rows(const context& on, const char* name, const Task& task, index_t rows, index_t width,
                Operand... operands) {
  static_assert(std::is_trivially_copyable_v<Task>, "a row function travels to the device as its bytes");
  const index_t pieces = (width + Lanes - 1) / Lanes;
  const auto start = [&]<typename Team>(Team, index_t threads) {
    const index_t blocks = (rows + Team::rows_per_block - 1) / Team::rows_per_block;
    launch(name, rows_kernel<T, Team, Lanes, Task, Operand...>,
           {dim3(static_cast<unsigned>(blocks)), dim3(static_cast<unsigned>(threads))}, on.stream(), task, rows, width,
           operands...);
  };
  if (pieces <= warp_size) {
    start(warp_team{}, warp_team::most_threads);
  } else {
    const index_t most = pieces > 4096 ? block_team::most_threads : block_team::most_threads / 2;
    start(block_team{}, std::min<index_t>(most, (pieces + warp_size - 1) / warp_size * warp_size));
  }
}

/// task(row, i) for rows 0 .. rows - 1.
template <typename T, bool OneByOne, typename Task, typename... Operand>
void run_rows(const context& on, const char* name, const Task& task, index_t rows, index_t width, Operand... operands) {
  if (rows == 0) return;
  if constexpr (not OneByOne) {
    constexpr int lanes = 16 / static_cast<int>(sizeof(T));
    if (width % lanes == 0 and (is_aligned(operands) and ...)) {
      start_rows<T, lanes>(on, name, task, rows, width, operands...);
      return;
    }
  }
  start_rows<T, 1>(on, name, task, rows, width, operands...);
}

template <typename T>
__global__ void fill_kernel(T* numbers, index_t count, T value) {
  const index_t i = static_cast<index_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < count) numbers[i] = value;
}

template <typename T>
void fill(const context& on, T* numbers, index_t count, T value) {
  constexpr index_t threads = 256;
  launch("fill", fill_kernel<T>, {dim3(static_cast<unsigned>((count + threads - 1) / threads)), dim3(threads)},
         on.stream(), numbers, count, value);
}

template <typename F>
struct forward_task {
  F f;
  __device__ void operator()(auto& r, index_t) const { f.forward(r); }
};
template <typename F>
struct backward_task {
  F f;
  __device__ void operator()(auto& r, index_t) const { f.backward(r); }
};
template <typename Term, typename T>
struct value_task {
  Term term;
  T* values;
  __device__ void operator()(auto& r, index_t i) const {
    const T value = term.value(r);
    r.at(0, [&](index_t) { values[i] = value; });
  }
};
template <typename Term>
struct gradient_task {
  Term term;
  __device__ void operator()(auto& r, index_t) const { term.gradient(r); }
};

}  // namespace trimtab::cuda
