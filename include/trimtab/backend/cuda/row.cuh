// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/backend/cuda/row_operands.cuh>
#include <trimtab/backend/cuda/team.cuh>
#include <trimtab/core/row.hpp>

#include <type_traits>
#include <utility>

/// The row on the GPU: a team of threads shares it, each taking `Lanes` adjacent channels at a time. Channel j always
/// belongs to the same thread, and each operation ends with a barrier, so the next may read what it wrote.
///
/// With `Lanes` > 1 aligned operands are moved 16 bytes at a time: `each` loads the thread's channels into registers,
/// runs the row function on them, and stores them. The index that the function gets knows its register; an index
/// computed from it accesses memory, or a register that holds that channel and is writable. In `sum` and `max` channels
/// are read-only.

namespace trimtab::cuda {

template <typename T, typename Team, int Lanes, typename... Bound>
class row : public row_vocabulary<row<T, Team, Lanes, Bound...>>, Bound... {
 public:
  using scalar = T;
  constexpr explicit row(index_t width, Bound... operands) : Bound(operands)..., width_(width) {}

  constexpr index_t width() const { return width_; }

  template <typename F>
  constexpr void each(F&& f) const {
    each(width_, f);
  }

  template <typename F>
  constexpr void each(index_t n, F&& f) const {
    if constexpr (Lanes > 1) {
      const index_t whole = n - n % Lanes;
      loop(first(), whole, step(), [&](index_t j) {
        (load<Bound>(j), ...);
        begin_ = j;
        staged_ = true;
        each_lane([&](auto k) { f(channel{j + k(), k()}); });
        staged_ = false;
        (store<Bound>(j), ...);
      });
      if (whole < n and owns(whole)) loop(whole, n, 1, [&](index_t j) { f(memory_channel{j}); });
    } else {
      loop(first(), n, step(), [&](index_t j) { f(memory_channel{j}); });
    }
    Team::synchronize();
  }

  template <typename F>
  constexpr void at(index_t j, F&& f) const {
    if (owns(j)) f(memory_channel{j});
    Team::synchronize();
  }

  template <typename F>
  constexpr T sum(F&& f) const {
    return reduce(f, T(0), [](T a, T b) { return a + b; });
  }

  /// At least one channel.
  template <typename F>
  constexpr T max(F&& f) const {
    return reduce(f, f(memory_channel{0}), [](T a, T b) { return a < b ? b : a; });
  }

  template <typename Name>
  constexpr auto& operator()(Name, channel j) const {
    auto& operand = find<Name>();
    if constexpr (std::remove_cvref_t<decltype(operand)>::is_staged)
      return operand.give(j.lane);
    else
      return operand.data[j.value];
  }
  template <typename Name>
  constexpr const auto& operator()(Name, read_channel j) const {
    auto& operand = find<Name>();
    if constexpr (std::remove_cvref_t<decltype(operand)>::is_staged)
      return operand.held.lane[j.lane];
    else
      return operand.data[j.value];
  }
  template <typename Name>
  constexpr auto& operator()(Name, memory_channel j) const {
    return find<Name>().data[j.value];
  }
  template <typename Name, typename Channel>
  constexpr auto& operator()(Name, index_t k, Channel j) const {
    return find<Name>().data[k * width_ + static_cast<index_t>(j)];
  }
  template <typename Name>
  constexpr auto& operator()(Name, index_t j) const {
    auto& operand = find<Name>();
    if constexpr (not is_per_channel<Name> and count_of<Name> == 1)
      return as_given(operand, operand.value);
    else if constexpr (not is_per_channel<Name>)
      return as_given(operand, operand.values[j]);
    else {
      if constexpr (std::remove_cvref_t<decltype(operand)>::may_be_newer)
        if (staged_ and j >= begin_ and j < begin_ + Lanes) return operand.give(static_cast<int>(j - begin_));
      return operand.data[j];
    }
  }
  template <typename Name>
  constexpr auto& operator()(Name) const {
    return as_given(find<Name>(), find<Name>().value);
  }

  /// Writes the row's numbers back to memory.
  constexpr void finish() const {
    if (Team::rank() == 0) (write<Bound>(), ...);
  }

 private:
  static constexpr index_t first() { return static_cast<index_t>(Team::rank()) * Lanes; }
  static constexpr index_t step() { return static_cast<index_t>(Team::size()) * Lanes; }
  static constexpr bool owns(index_t j) {
    return static_cast<int>(static_cast<unsigned>(j / Lanes) % static_cast<unsigned>(Team::size())) == Team::rank();
  }

  /// Not unrolled: most threads iterate once, and unrolling triples the code and spills registers.
  template <typename F>
  static constexpr void loop(index_t begin, index_t end, index_t by, F&& f) {
#if defined(__CUDA_ARCH__)
#  pragma unroll 1
#endif
    for (index_t j = begin; j < end; j += by) f(j);
  }

  /// f(k) with k = 0 .. Lanes - 1 as constants, so that what they index stays in registers.
  template <typename F>
  static constexpr void each_lane(F&& f) {
    [&]<int... K>(std::integer_sequence<int, K...>) { (f(std::integral_constant<int, K>{}), ...); }
    (std::make_integer_sequence<int, Lanes>{});
  }

  template <typename F, typename Combine>
  constexpr T reduce(F& f, T start, Combine combine) const {
    T running[Lanes];
    each_lane([&](auto k) { running[k()] = start; });
    if constexpr (Lanes > 1) {
      const index_t whole = width_ - width_ % Lanes;
      loop(first(), whole, step(), [&](index_t j) {
        (load<Bound>(j), ...);
        each_lane([&](auto k) { running[k()] = combine(running[k()], f(read_channel{j + k(), k()})); });
      });
      if (whole < width_ and owns(whole))
        loop(whole, width_, 1, [&](index_t j) { running[0] = combine(running[0], f(memory_channel{j})); });
      each_lane([&](auto k) {
        if constexpr (k() > 0) running[0] = combine(running[0], running[k()]);
      });
    } else {
      loop(first(), width_, step(), [&](index_t j) { running[0] = combine(running[0], f(memory_channel{j})); });
    }
    return Team::reduce(running[0], combine);
  }

  template <typename B>
  constexpr void load(index_t j) const {
    if constexpr (B::is_staged) static_cast<const B&>(*this).load(j);
  }
  template <typename B>
  constexpr void store(index_t j) const {
    if constexpr (B::is_staged) static_cast<const B&>(*this).store(j);
  }
  template <typename B>
  constexpr void write() const {
    if constexpr (requires(const B& b) { *b.data = b.value; })
      *static_cast<const B&>(*this).data = static_cast<const B&>(*this).value;
    if constexpr (requires(const B& b) { *b.data = b.values[0]; })
      for (int k = 0; k < B::count; ++k) static_cast<const B&>(*this).data[k] = static_cast<const B&>(*this).values[k];
  }

  /// A copy in a register is const if the memory that it was loaded from is.
  template <typename Operand, typename V>
  static constexpr auto& as_given(const Operand& operand, V& held) {
    using given = std::remove_pointer_t<decltype(operand.data)>;
    return static_cast<given&>(held);
  }

  template <typename Name, typename U, int L>
  static constexpr const channels<Name, U, L>& operand_of(const channels<Name, U, L>& operand) {
    return operand;
  }
  template <typename Name, typename U, int L>
  static constexpr const staged_channels<Name, U, L>& operand_of(const staged_channels<Name, U, L>& operand) {
    return operand;
  }
  template <typename Name, typename U>
  static constexpr const row_number<Name, U>& operand_of(const row_number<Name, U>& operand) {
    return operand;
  }
  template <typename Name, typename U>
  static constexpr const row_numbers<Name, U>& operand_of(const row_numbers<Name, U>& operand) {
    return operand;
  }

  template <typename Name>
  constexpr const auto& find() const {
    constexpr bool is_bound = requires(const row& self) { operand_of<Name>(self); };
    static_assert(is_bound,
                  "this row function uses a name that is not bound here (see `Name` above); it may use its policy's "
                  "parameters, its scratch rows and the names in trimtab::name");
    return operand_of<Name>(*this);
  }

  index_t width_;
  mutable index_t begin_ = 0;
  mutable bool staged_ = false;

 public:
  /// Whether a name is bound. Below `operand_of`, which is looked up here and not when the class is complete.
  template <typename Name>
  static constexpr bool binds = requires(const row& self) {
    operand_of<Name>(self);
  };
};

}  // namespace trimtab::cuda
