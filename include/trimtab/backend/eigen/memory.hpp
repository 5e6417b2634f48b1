// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/backend/eigen/target.hpp>
#include <trimtab/core/error.hpp>
#include <trimtab/core/view.hpp>

#include <sys/mman.h>

#include <memory>
#include <new>
#include <type_traits>
#include <utility>

/// Memory of the CPU backend: owned, move-only arrays, aligned for SIMD. New numbers are zero unless asked otherwise.
/// Large arrays ask for huge pages, from which large weights are read up to a fifth faster.

namespace trimtab::eigen {
inline namespace TRIMTAB_TARGET {

template <typename T>
class array {
 public:
  array() = default;
  explicit array(index_t count) : array(uninitialized(count)) { std::uninitialized_fill_n(values_.get(), count, T{}); }
  /// Numbers that are set before they are read, by several threads at once: the first to touch a page waits for it.
  static array uninitialized(index_t count) {
    array a;
    a.values_ = allocate(count);
    a.size_ = count;
    return a;
  }
  /// Memory that something else owns.
  static array at(const std::shared_ptr<void>& owned, index_t count) {
    array a;
    a.values_ = pointer(static_cast<T*>(owned.get()), {.owner = owned});
    a.size_ = count;
    return a;
  }
  array(array&& other) noexcept : values_(std::move(other.values_)), size_(std::exchange(other.size_, 0)) {}
  array& operator=(array&& other) noexcept {
    values_ = std::move(other.values_);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }

  T* data() { return values_.get(); }
  const T* data() const { return values_.get(); }
  index_t size() const { return size_; }
  matrix_view<T> view(index_t rows, index_t cols) { return {data(), rows, cols}; }
  matrix_view<const T> view(index_t rows, index_t cols) const { return {data(), rows, cols}; }

 private:
  static_assert(std::is_trivially_destructible_v<T>);

  struct aligned_delete {
    std::align_val_t alignment = {};
    std::shared_ptr<void> owner = {};  ///< of memory that is not deleted here
    void operator()(T* p) const {
      if (not owner) ::operator delete(p, alignment);
    }
  };
  using pointer = std::unique_ptr<T[], aligned_delete>;

  static pointer allocate(index_t count) {
    constexpr std::size_t cache_line = 64, huge_page = std::size_t{2} << 20;
    const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(T);
    const std::align_val_t alignment{bytes < huge_page ? cache_line : huge_page};
    void* const memory = ::operator new(bytes, alignment, std::nothrow);
    if (memory == nullptr) throw_no_memory(static_cast<double>(count) * sizeof(T));
    pointer p(static_cast<T*>(memory), {alignment});
#ifdef MADV_HUGEPAGE
    // Whole pages only, so that the last one wastes no memory. Only advice: nothing depends on it.
    if (bytes >= huge_page) ::madvise(p.get(), bytes / huge_page * huge_page, MADV_HUGEPAGE);
#endif
    return p;
  }

  pointer values_ = {};
  index_t size_ = 0;
};

/// Scratch for `count` numbers, kept by the calling thread from call to call, separate for each purpose.
template <typename Purpose, typename T>
T* scratch(index_t count) {
  thread_local array<T> memory;
  if (memory.size() < count) memory = array<T>(count);
  return memory.data();
}

}  // namespace TRIMTAB_TARGET
}  // namespace trimtab::eigen
