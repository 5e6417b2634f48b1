// SPDX-License-Identifier: Apache-2.0
#include <trimtab/backend/eigen.hpp>

#include "support/gradients.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace trimtab::test::linear_tests {

namespace {

/// Which types a linear map is stored in.
template <typename Stored>
bool is_stored_as(const eigen::linear<float>& w) {
  return w.visit([]<typename S>(const eigen::panels<float, S>&) { return std::is_same_v<S, Stored>; });
}

template <typename Stored>
host_matrix<float> rounded_matrix(index_t rows, index_t cols, std::uint64_t seed) {
  auto m = random_matrix<float>(rows, cols, seed);
  for (float& x : m.values) x = static_cast<float>(stored::nearest<Stored>(x));
  return m;
}

host_matrix<float> product(int threads, const eigen::linear<float>& w, const host_matrix<float>& x, bool back) {
  const eigen_backend<float> backend(threads);
  host_matrix<float> y(x.rows, back ? w.inputs() : w.outputs());
  back ? backend.multiply_backward(w, x.view(), y.view()) : backend.multiply(w, x.view(), y.view());
  return y;
}

}  // namespace

TEMPLATE_TEST_CASE("A matrix is stored in the narrowest type that holds it, and its products keep their bits", "",
                   stored::float16, stored::bfloat16) {
  using Stored = TestType;
  const eigen_backend<float> narrow(1), wide(1, weight_type::float32);
  const index_t deep = 2 * eigen::tile<float>::depth + 5, odd = 3 * eigen::tile<float>::columns + 1;
  for (const auto& [in, out] : {std::pair<index_t, index_t>{1, 1}, {33, 31}, {5, 130}, {deep, odd}, {odd, deep}})
    for (const bool transposed : {false, true}) {
      auto w = rounded_matrix<Stored>(transposed ? out : in, transposed ? in : out, 1);
      if constexpr (std::is_same_v<Stored, stored::bfloat16>) w(0, 0) = 0x1.02p-30f;  // too small for binary16
      const auto b = random_matrix<float>(1, out, 2);
      const auto kept = narrow.prepare(w.view(), b.view(), transposed);
      const auto widened = wide.prepare(w.view(), b.view(), transposed);
      CHECK(is_stored_as<Stored>(kept));
      CHECK(is_stored_as<float>(widened));
      for (const index_t rows : {1, 2, 5, 13, 14, 26, 27, 40, 150, 300}) {
        CAPTURE(in, out, transposed, rows);
        const auto x = random_matrix<float>(rows, in, 3), d_y = random_matrix<float>(rows, out, 4);
        for (const int threads : {1, 3}) {
          CHECK(same_bits(product(threads, kept, x, false), product(1, widened, x, false)));
          CHECK(same_bits(product(threads, kept, d_y, true), product(1, widened, d_y, true)));
        }
      }
    }
}

TEST_CASE("One number that a narrow type lacks keeps a matrix in float") {
  const eigen_backend<float> backend(1);
  for (const float odd : {1.0f + 0x1p-12f, 1e-30f, 3e38f, std::numeric_limits<float>::infinity(),
                          std::numeric_limits<float>::quiet_NaN()}) {
    auto w = rounded_matrix<stored::float16>(20, 30, 1);
    CHECK(is_stored_as<stored::float16>(backend.prepare(w.view(), {})));
    w(19, 29) = odd;
    CAPTURE(odd);
    CHECK(is_stored_as<float>(backend.prepare(w.view(), {})));
  }
  auto w = rounded_matrix<stored::float16>(20, 30, 1);
  w(3, 4) = 0x1p-24f;  // the smallest binary16
  CHECK(is_stored_as<stored::float16>(backend.prepare(w.view(), {})));
  w(3, 4) = -0.0f;
  const auto kept = backend.prepare(w.view(), {});
  CHECK(is_stored_as<stored::float16>(kept));
  host_matrix<float> unit(1, 20);
  unit(0, 3) = 1;
  CHECK(same_bits(product(1, kept, unit, false),
                  product(1, eigen_backend<float>(1, weight_type::float32).prepare(w.view(), {}), unit, false)));
}

TEST_CASE("A table gives the rows of an embedding, its own or those of a tied linear map") {
  const auto w = GENERATE(random_matrix<float>(50, 37, 1), rounded_matrix<stored::float16>(50, 37, 1),
                          rounded_matrix<stored::bfloat16>(50, 37, 1));
  const eigen_backend<float> backend(2);
  const std::vector<int> ids{49, 0, 7, 7, 33};
  host_matrix<float> expected(5, 37);
  for (std::size_t i = 0; i < ids.size(); ++i)
    std::copy_n(w.view().row(ids[i]), 37, expected.view().row(static_cast<index_t>(i)));
  const auto tied = backend.prepare(w.view(), {}, true);
  for (const auto* map : {&tied, static_cast<const eigen::linear<float>*>(nullptr)}) {
    host_matrix<float> x(5, 37);
    backend.look_up(backend.make_table(w.view(), map), ids.data(), x.view());
    CHECK(same_bits(x, expected));
  }
}

}  // namespace trimtab::test::linear_tests
