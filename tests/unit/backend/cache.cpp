// SPDX-License-Identifier: Apache-2.0
#include <trimtab/backend/eigen.hpp>

#include "support/gradients.hpp"

#include <algorithm>

namespace trimtab::test::cache_tests {

namespace {

constexpr index_t heads = 3, width = 3 * 7;  // 7 channels fill no register

/// A text in a slot of a cache: qkv of all its tokens, and how many are there already.
template <typename T>
struct text {
  host_matrix<T> qkv;
  int slot = 0;
  int length = 0;
};

template <typename T>
host_matrix<T> rows_of(const host_matrix<T>& m, index_t first, index_t count) {
  host_matrix<T> some(count, m.cols);
  std::copy_n(m.view().row(first), some.values.size(), some.values.data());
  return some;
}

/// z [tokens, D] of a whole text without a cache.
template <typename T>
host_matrix<T> whole(const text<T>& t) {
  const int offsets[] = {0, static_cast<int>(t.qkv.rows)};
  std::vector<int> positions;
  for (int i = 0; i < t.qkv.rows; ++i) positions.push_back(i);
  host_matrix<T> z(t.qkv.rows, width);
  eigen_backend<T>(1).attention({1, z.rows, z.rows, offsets, offsets, positions.data()}, heads, T(0.4), t.qkv.view(),
                                z.view());
  return z;
}

/// z of the next `counts` tokens of each text, from its position `past` on.
template <typename T>
host_matrix<T> extend(eigen::cache<T>& known, const std::vector<const text<T>*>& texts, const std::vector<int>& past,
                      const std::vector<int>& counts, int threads) {
  std::vector<int> offsets{0}, positions, slots;
  host_matrix<T> qkv(0, 3 * width);
  for (std::size_t s = 0; s < texts.size(); ++s) {
    for (int i = past[s]; i < past[s] + counts[s]; ++i) positions.push_back(i);
    const auto rows = rows_of(texts[s]->qkv, past[s], counts[s]);
    qkv.values.insert(qkv.values.end(), rows.values.begin(), rows.values.end());
    offsets.push_back(offsets.back() + counts[s]);
    slots.push_back(texts[s]->slot);
    known.reserve(texts[s]->slot, past[s] + counts[s]);
  }
  qkv.rows = offsets.back();
  host_matrix<T> z(qkv.rows, width);
  const ragged_shape shape{.sequences = static_cast<index_t>(texts.size()),
                           .keys = qkv.rows,
                           .queries = qkv.rows,
                           .offsets = offsets.data(),
                           .query_offsets = offsets.data(),
                           .query_positions = positions.data(),
                           .past = past.data(),
                           .slots = slots.data()};
  eigen_backend<T>(threads).attention(shape, heads, T(0.4), qkv.view(), known, z.view());
  return z;
}

template <typename T>
eigen::cache<T> empty_cache(index_t slots) {
  return eigen_backend<T>(1).make_cache(slots, heads, width / heads, 100);
}

}  // namespace

TEMPLATE_TEST_CASE("Attention over a cache has the bits of the whole text", "", float, double) {
  using T = TestType;
  const int threads = GENERATE(1, 2, 3);
  const text<T> first{random_matrix<T>(70, 3 * width, 1), 2}, second{random_matrix<T>(45, 3 * width, 2), 0};
  const auto z_first = whole(first), z_second = whole(second);
  auto known = empty_cache<T>(3);
  int i = 0, j = 0;
  for (const auto& [more, others] : {std::pair{9, 3}, {1, 1}, {1, 20}, {20, 1}, {1, 1}, {33, 1}, {1, 18}, {4, 0}}) {
    CAPTURE(threads, i, j);
    if (others > 0) {
      const auto z = extend<T>(known, {&first, &second}, {i, j}, {more, others}, threads);
      CHECK(same_bits(rows_of(z, 0, more), rows_of(z_first, i, more)));
      CHECK(same_bits(rows_of(z, more, others), rows_of(z_second, j, others)));
    } else {
      CHECK(same_bits(extend<T>(known, {&first}, {i}, {more}, threads), rows_of(z_first, i, more)));
    }
    i += more;
    j += others;
  }
}

TEMPLATE_TEST_CASE("Rows of a cache can be computed again, and a slot used for another text", "", float, double) {
  using T = TestType;
  text<T> changing{random_matrix<T>(40, 3 * width, 1)};
  auto known = empty_cache<T>(1);
  extend<T>(known, {&changing}, {0}, {40}, 1);
  const auto other = random_matrix<T>(40, 3 * width, 2);
  std::copy_n(other.view().row(30), 5 * other.cols, changing.qkv.view().row(30));  // from position 30 on
  changing.qkv = rows_of(changing.qkv, 0, 35);
  CHECK(same_bits(extend<T>(known, {&changing}, {30}, {5}, 1), rows_of(whole(changing), 30, 5)));

  const text<T> next{random_matrix<T>(33, 3 * width, 3)};
  CHECK(same_bits(extend<T>(known, {&next}, {0}, {33}, 1), whole(next)));
}

}  // namespace trimtab::test::cache_tests
