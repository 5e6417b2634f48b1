// SPDX-License-Identifier: Apache-2.0

#include <trimtab/backend/eigen.hpp>
#include <trimtab/core/error.hpp>
#include <trimtab/core/random.hpp>
#include <trimtab/core/stored_matrix.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <numeric>
#include <span>
#include <type_traits>
#include <vector>

namespace trimtab::test::pack_stored_tests {

namespace {

template <typename Number>
constexpr weight_type type_of_number = std::is_same_v<Number, stored::float16>    ? weight_type::float16
                                       : std::is_same_v<Number, stored::bfloat16> ? weight_type::bfloat16
                                                                                  : weight_type::float32;

/// `w` [in, out] as a file has it; where it holds outputs, in rows of the given order.
template <typename Number>
stored_matrix stored_as(const host_matrix<float>& w, bool by_output, std::vector<index_t> file_rows = {}) {
  std::vector<std::byte> bytes(w.values.size() * sizeof(Number));
  for (index_t i = 0; i < w.rows; ++i)
    for (index_t j = 0; j < w.cols; ++j) {
      const Number number = stored::nearest<Number>(w(i, j));
      const index_t row = file_rows.empty() ? j : file_rows[static_cast<std::size_t>(j)];
      const index_t place = by_output ? row * w.rows + i : i * w.cols + j;
      std::memcpy(bytes.data() + static_cast<std::size_t>(place) * sizeof number, &number, sizeof number);
    }
  return {.type = type_of_number<Number>,
          .inputs = w.rows,
          .outputs = w.cols,
          .by_output = by_output,
          .file_rows = std::move(file_rows),
          .read = [bytes = std::move(bytes)](std::size_t offset, std::span<std::byte> to) {
            std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(offset), to.size(), to.begin());
          }};
}

/// Numbers that the type holds exactly.
template <typename Number>
host_matrix<float> random_matrix(index_t rows, index_t cols) {
  host_matrix<float> m(rows, cols);
  random_generator random(static_cast<std::uint64_t>(rows * 1000 + cols));
  for (float& x : m.values) x = static_cast<float>(stored::nearest<Number>(random.normal()));
  return m;
}

template <typename T>
host_matrix<T> rows_of(const eigen_backend<T>& backend, const eigen::linear<T>& map) {
  host_matrix<T> rows(map.inputs(), map.outputs());
  const index_t half = rows.rows / 2;
  backend.copy_rows(map, 0, {rows.values.data(), half, rows.cols});
  backend.copy_rows(map, half, {rows.view().row(half), rows.rows - half, rows.cols});
  return rows;
}

/// Which alternative of the types holds the map's numbers: T itself, float16, bfloat16.
template <typename T>
std::size_t kept_as(const eigen::linear<T>& map) {
  return map.shared_panels()->index();
}

}  // namespace

TEMPLATE_TEST_CASE("A matrix in a file becomes the map that it is in memory", "", float, stored::float16,
                   stored::bfloat16) {
  const auto check = [](auto backend) {
    using T = typename decltype(backend)::scalar;
    for (const auto& [in, out] : {std::pair<index_t, index_t>{1, 1}, {5, 7}, {33, 70}, {64, 96}, {130, 64}, {300, 130}})
      for (const bool by_output : {false, true})
        for (const bool shuffled : {false, true}) {
          if (shuffled and not by_output) continue;
          CAPTURE(in, out, by_output, shuffled);
          const auto w = random_matrix<TestType>(in, out);
          std::vector<index_t> rows;
          if (shuffled) {  // in runs of three, as heads are
            rows.resize(static_cast<std::size_t>(out));
            std::iota(rows.begin(), rows.end(), 0);
            std::rotate(rows.begin(), rows.begin() + out / 2, rows.end());
            if (out > 6) std::swap_ranges(rows.begin(), rows.begin() + 3, rows.begin() + 3);
          }
          const auto stored = stored_as<TestType>(w, by_output, rows);
          host_matrix<T> bias(1, out), x(3, in), y(3, out), expected(3, out);
          std::copy_n(w.values.begin(), out, bias.values.begin());
          std::iota(x.values.begin(), x.values.end(), T(-2));
          const auto map = backend.prepare(stored, bias.view());
          REQUIRE(map);
          const auto kept = rows_of(backend, *map);
          CHECK(std::ranges::equal(kept.values, w.values, {}, {}, [](float number) { return static_cast<T>(number); }));
          CHECK(std::equal(bias.values.begin(), bias.values.end(), map->bias()));
          if constexpr (std::is_same_v<T, float>)
            CHECK(kept_as(*map) == (std::is_same_v<TestType, float>             ? 0
                                    : std::is_same_v<TestType, stored::float16> ? 1
                                                                                : 2));
          host_matrix<T> wide(in, out);
          std::ranges::transform(w.values, wide.values.begin(), [](float number) { return static_cast<T>(number); });
          backend.multiply(*map, x.view(), y.view());
          backend.multiply(backend.prepare(std::as_const(wide).view(), bias.view()), x.view(), expected.view());
          CHECK(y.values == expected.values);
          host_matrix<T> d_x(3, in), d_expected(3, in);
          backend.multiply_backward(*map, y.view(), d_x.view());
          backend.multiply_backward(backend.prepare(std::as_const(wide).view(), bias.view()), y.view(),
                                    d_expected.view());
          CHECK(d_x.values == d_expected.values);
        }
  };
  for (const int threads : {1, 3}) {
    check(eigen_backend<float>(threads));
    check(eigen_backend<double>(threads));
  }
}

TEST_CASE("A matrix of float is kept narrow where each of its numbers is, and wide where that is asked for") {
  const auto in_half = random_matrix<stored::float16>(300, 200);
  const auto in_file = stored_as<float>(in_half, true);
  CHECK(kept_as(*eigen_backend<float>(2).prepare(in_file, {})) == 1);
  CHECK(kept_as(*eigen_backend<float>(2, weight_type::float32).prepare(in_file, {})) == 0);
  const auto narrow = stored_as<stored::float16>(in_half, true);
  const auto widened = eigen_backend<float>(2, weight_type::float32).prepare(narrow, {});
  REQUIRE(widened);
  CHECK(kept_as(*widened) == 0);
  CHECK(rows_of(eigen_backend<float>(2), *widened).values == in_half.values);

  auto last_is_wide = in_half;
  last_is_wide.values.back() = 0.1f;
  CHECK(kept_as(*eigen_backend<float>(2).prepare(stored_as<float>(last_is_wide, true), {})) == 0);
}

TEMPLATE_TEST_CASE("A number that is not finite, and a type that rounds, need the matrix in memory", "", float,
                   stored::float16, stored::bfloat16) {
  for (const float strange : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()})
    for (const bool by_output : {false, true}) {
      auto w = random_matrix<TestType>(40, 50);
      const auto before = stored_as<TestType>(w, by_output);
      CHECK(eigen_backend<float>(2).prepare(before, {}));
      CHECK_FALSE(eigen_backend<float>(2, weight_type::float16).prepare(before, {}));
      CHECK_FALSE(eigen_backend<double>(2, weight_type::float32).prepare(before, {}));
      w(39, 49) = -strange;
      const auto in_file = stored_as<TestType>(w, by_output);
      CHECK_FALSE(eigen_backend<float>(2).prepare(in_file, {}));
      CHECK_FALSE(eigen_backend<double>(2).prepare(in_file, {}));
    }
}

TEST_CASE("An error of reading reaches the caller, whichever thread met it") {
  stored_matrix in_file = stored_as<stored::float16>(random_matrix<stored::float16>(500, 400), true);
  in_file.read = [](std::size_t offset, std::span<std::byte>) {
    if (offset > 300000) throw error(error_kind::io, "the file ended");
  };
  for (const int threads : {1, 3})
    CHECK_THROWS_WITH(eigen_backend<float>(threads).prepare(in_file, {}), "the file ended");
}

namespace {

/// The memory of two processes, of which the first one fills.
struct two_processes {
  std::vector<std::shared_ptr<void>> rooms = {};
  std::vector<bool> said = {};
};

class shared_by_two final : public shared_weights {
 public:
  shared_by_two(std::shared_ptr<two_processes> both, bool is_first) : both_(std::move(both)), is_first_(is_first) {}

  bool fills() const override { return is_first_; }
  std::shared_ptr<void> room(index_t bytes) override {
    if (is_first_)
      both_->rooms.push_back(std::shared_ptr<void>(new (std::align_val_t(64))
                                                       std::byte[static_cast<std::size_t>(bytes)],
                                                   [](void* p) { ::operator delete[](p, std::align_val_t(64)); }));
    return both_->rooms[asked_++];
  }
  bool filled(bool well) override {
    if (is_first_) both_->said.push_back(well);
    return both_->said[heard_++];
  }

 private:
  std::shared_ptr<two_processes> both_;
  bool is_first_;
  std::size_t asked_ = 0, heard_ = 0;
};

}  // namespace

TEST_CASE("Of processes that share weights one reads them, and the others find what it says") {
  const auto both = std::make_shared<two_processes>();
  const eigen_backend<float> first(2, weight_type::as_in_file, std::make_shared<shared_by_two>(both, true));
  const eigen_backend<float> second(2, weight_type::as_in_file, std::make_shared<shared_by_two>(both, false));
  auto w = random_matrix<stored::bfloat16>(70, 90);
  const auto in_file = stored_as<stored::bfloat16>(w, true);
  auto unread = in_file;
  unread.read = [](std::size_t, std::span<std::byte>) { throw error(error_kind::io, "read"); };
  const auto filled = first.prepare(in_file, {}), found = second.prepare(unread, {});
  REQUIRE((filled and found));
  CHECK(rows_of(second, *found).values == w.values);
  CHECK(rows_of(first, *filled).values == w.values);

  w(3, 4) = std::numeric_limits<float>::infinity();
  CHECK_FALSE(first.prepare(stored_as<stored::bfloat16>(w, true), {}));
  CHECK_FALSE(second.prepare(unread, {}));
}

TEST_CASE("Where there is no room to share, each process reads for itself") {
  class without_room final : public shared_weights {
   public:
    bool fills() const override { return false; }
    std::shared_ptr<void> room(index_t) override { return nullptr; }
    bool filled(bool) override { throw error(error_kind::io, "nothing was shared"); }
  };
  const auto w = random_matrix<stored::float16>(70, 90);
  const eigen_backend<float> backend(2, weight_type::as_in_file, std::make_shared<without_room>());
  const auto own = backend.prepare(stored_as<stored::float16>(w, true), {});
  REQUIRE(own);
  CHECK(rows_of(backend, *own).values == w.values);
}

}  // namespace trimtab::test::pack_stored_tests
