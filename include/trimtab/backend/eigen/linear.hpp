// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/backend/eigen/memory.hpp>
#include <trimtab/backend/eigen/pack_stored.hpp>
#include <trimtab/backend/eigen/panels.hpp>
#include <trimtab/backend/eigen/rows.hpp>
#include <trimtab/backend/eigen/target.hpp>
#include <trimtab/core/shared_weights.hpp>
#include <trimtab/core/stored.hpp>
#include <trimtab/core/stored_matrix.hpp>

#include <algorithm>
#include <cassert>
#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

/// Frozen matrices in the narrowest type that holds their numbers exactly: linear maps, and embeddings that share them.
/// The type is no part of theirs, so a program is compiled once for all checkpoints; products look at it once
/// (eigen/matmul.hpp).

namespace trimtab::eigen {
inline namespace TRIMTAB_TARGET {

/// The panels of a matrix in the types in which one may be stored: what a product in double or in dual numbers reads is
/// as wide as it computes.
template <typename T>
struct stored_panels {
  using type = std::variant<panels<T>>;
};
template <>
struct stored_panels<float> {
  using type = std::variant<panels<float>, panels<float, stored::float16>, panels<float, stored::bfloat16>>;
};

/// y = x W + b, frozen.
template <typename T>
class linear {
 public:
  using any_panels = typename stored_panels<T>::type;

  /// W is `weight` or its transpose. Unless it is kept `wide`, it is stored in the narrowest type that holds each of
  /// its numbers exactly.
  linear(int threads, matrix_view<const T> weight, matrix_view<const T> bias, bool transposed, bool wide)
      : linear(pack(threads, weight, transposed, wide), bias) {}

  /// The same from a file, in `shared` memory unless that is null. Nothing where a number is not finite, or where T is
  /// neither float nor double.
  static std::optional<linear> from_file(int threads, const stored_matrix& weight, matrix_view<const T> bias, bool wide,
                                         shared_weights* shared) {
    if constexpr (std::same_as<T, float>) {
      if (not wide and is_of(threads, weight, weight_type::float16))
        return filled<stored::float16>(threads, weight, bias, shared);
      if (not wide and is_of(threads, weight, weight_type::bfloat16))
        return filled<stored::bfloat16>(threads, weight, bias, shared);
    }
    if constexpr (std::same_as<T, float> or std::same_as<T, double>) return filled<T>(threads, weight, bias, shared);
    return std::nullopt;
  }

  index_t inputs() const {
    return visit([](const auto& w) { return w.depth(); });
  }
  index_t outputs() const {
    return visit([](const auto& w) { return w.columns(); });
  }
  const T* bias() const { return bias_.data(); }
  /// f(panels) with the type in which they are stored.
  template <typename F>
  decltype(auto) visit(F&& f) const {
    return std::visit(f, *panels_);
  }
  const std::shared_ptr<const any_panels>& shared_panels() const { return panels_; }

 private:
  linear(std::shared_ptr<const any_panels> panels_of_weight, matrix_view<const T> bias)
      : panels_(std::move(panels_of_weight)), bias_(panels<T>::whole_tiles(outputs()) * tile<T>::columns) {
    if (not bias.empty()) std::copy_n(bias.data, outputs(), bias_.data());
  }

  /// Whether the numbers of a file are of the type, or are floats that all fit in it.
  static bool is_of(int threads, const stored_matrix& weight, weight_type type) {
    if (weight.type != weight_type::float32) return weight.type == type;
    return type == weight_type::float16 ? all_held_as<stored::float16>(threads, weight)
                                        : all_held_as<stored::bfloat16>(threads, weight);
  }
  template <typename Stored>
  static std::optional<linear> filled(int threads, const stored_matrix& weight, matrix_view<const T> bias,
                                      shared_weights* shared) {
    const index_t bytes = panels<T, Stored>::bytes(weight.inputs, weight.outputs);
    const std::shared_ptr<void> room = shared != nullptr ? shared->room(bytes) : nullptr;
    panels<T, Stored> packed(weight.inputs, weight.outputs, room);
    bool finite = true;
    if (not room or shared->fills()) finite = fill_panels(threads, weight, packed);
    if (room) finite = shared->filled(finite);
    if (not finite) return std::nullopt;
    return linear(std::make_shared<const any_panels>(std::move(packed)), bias);
  }

  template <typename Stored>
  static bool all_fit(matrix_view<const T> m) {
    for (index_t i = 0; i < m.rows; ++i) {  // row by row, since a float that is none usually comes early
      std::uint32_t others = 0;
#pragma omp simd reduction(| : others)
      for (index_t j = 0; j < m.cols; ++j) others |= stored::holds<Stored>(m.row(i)[j]) ? 0u : 1u;
      if (others != 0) return false;
    }
    return true;
  }
  static std::shared_ptr<const any_panels> pack(int threads, matrix_view<const T> weight, bool transposed, bool wide) {
    const auto as = [&]<typename Stored>(std::type_identity<Stored>) {
      return std::make_shared<const any_panels>(std::in_place_type<panels<T, Stored>>, threads, weight, transposed);
    };
    if constexpr (std::same_as<T, float>) {
      if (not wide and all_fit<stored::float16>(weight)) return as(std::type_identity<stored::float16>{});
      if (not wide and all_fit<stored::bfloat16>(weight)) return as(std::type_identity<stored::bfloat16>{});
    }
    return as(std::type_identity<T>{});
  }

  std::shared_ptr<const any_panels> panels_;
  array<T> bias_;
};

/// An embedding: the columns of a matrix that a linear map has, or had, for its own. It shares them.
template <typename T>
class table {
 public:
  explicit table(const linear<T>& map) : panels_(map.shared_panels()) {}

  /// Sets row i of x to column ids[i].
  void look_up(int threads, const int* ids, matrix_view<T> x) const {
    std::visit(
        [&](const auto& w) {
          assert(x.cols == w.depth());
          parallel_for(threads, x.rows, x.size(), [&](index_t i) { w.copy_column(ids[i], x.row(i)); });
        },
        *panels_);
  }

 private:
  std::shared_ptr<const typename linear<T>::any_panels> panels_;
};

}  // namespace TRIMTAB_TARGET
}  // namespace trimtab::eigen
