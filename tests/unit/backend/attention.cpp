// SPDX-License-Identifier: Apache-2.0
#include <trimtab/backend/eigen/attention.hpp>

#include "support/gradients.hpp"

#include <cmath>

namespace trimtab::test::attention_tests {

namespace {

/// Sequences of the given lengths, with the given positions of each as queries (all, if none are given).
struct ragged {
  std::vector<int> offsets{0}, query_offsets{0}, query_positions;

  explicit ragged(const std::vector<int>& lengths, const std::vector<std::vector<int>>& queries = {}) {
    for (std::size_t s = 0; s < lengths.size(); ++s) {
      offsets.push_back(offsets.back() + lengths[s]);
      for (int i = 0; i < lengths[s]; ++i)
        if (queries.empty() or std::ranges::count(queries[s], i) > 0) query_positions.push_back(i);
      query_offsets.push_back(static_cast<int>(query_positions.size()));
    }
  }
  index_t sequences() const { return static_cast<index_t>(offsets.size()) - 1; }
  index_t rows() const { return offsets.back(); }
  index_t queries() const { return static_cast<index_t>(query_positions.size()); }
  ragged_shape shape() const {
    return {sequences(), rows(), queries(), offsets.data(), query_offsets.data(), query_positions.data()};
  }
};

/// The scale of most tests: 1 / √4.
constexpr double usual_scale = 0.5;

/// The formula of attention, computed one number at a time.
host_matrix<double> naive(const ragged& r, index_t heads, double scale, const host_matrix<double>& qkv) {
  const index_t width = qkv.cols / 3, head_width = width / heads;
  host_matrix<double> z(r.queries(), width);
  for (std::size_t s = 0; s + 1 < r.offsets.size(); ++s)
    for (int k = r.query_offsets[s]; k < r.query_offsets[s + 1]; ++k)
      for (index_t head = 0; head < heads; ++head) {
        const index_t first = r.offsets[s], i = r.query_positions[static_cast<std::size_t>(k)], c0 = head * head_width;
        std::vector<double> p;
        double sum = 0;
        for (index_t j = 0; j <= i; ++j) {
          double score = 0;
          for (index_t c = c0; c < c0 + head_width; ++c) score += qkv(first + i, c) * qkv(first + j, width + c);
          sum += p.emplace_back(std::exp(scale * score));
        }
        for (index_t j = 0; j <= i; ++j)
          for (index_t c = c0; c < c0 + head_width; ++c)
            z(k, c) += p[static_cast<std::size_t>(j)] / sum * qkv(first + j, 2 * width + c);
      }
  return z;
}

template <typename T>
host_matrix<T> attend(const ragged& r, index_t heads, const host_matrix<T>& qkv, int threads = 1,
                      double scale = usual_scale) {
  host_matrix<T> z(r.queries(), qkv.cols / 3);
  std::ranges::fill(z.values, T(std::numeric_limits<double>::quiet_NaN()));
  eigen_backend<T>(threads).attention(r.shape(), heads, static_cast<T>(scale), qkv.view(), z.view());
  return z;
}

template <typename T>
host_matrix<T> attend_adjoint(const ragged& r, index_t heads, const host_matrix<T>& qkv, const host_matrix<T>& d_z,
                              int threads = 1, double scale = usual_scale) {
  host_matrix<T> d_qkv(qkv.rows, qkv.cols);
  std::ranges::fill(d_qkv.values, T(std::numeric_limits<double>::quiet_NaN()));
  eigen_backend<T>(threads).attention_backward(r.shape(), heads, static_cast<T>(scale), qkv.view(), d_z.view(),
                                               d_qkv.view());
  return d_qkv;
}

std::vector<ragged> every_shape() {
  return {ragged({1}),
          ragged({5}),
          ragged({3, 1, 6}),
          ragged({3, 1, 6}, {{2}, {0}, {5}}),
          ragged({4, 5, 2}, {{}, {0, 3}, {1}}),
          ragged({19})};
}

}  // namespace

TEST_CASE("Attention agrees with its formula, ragged, for all positions or some") {
  for (const ragged& r : every_shape())
    for (const auto& [heads, scale] : {std::pair<index_t, double>{1, usual_scale}, {2, 1.0}, {3, 0.1}}) {
      const auto qkv = random_matrix<double>(r.rows(), 3 * heads * 5, 1);
      const auto expected = naive(r, heads, scale, qkv);
      CAPTURE(r.offsets, r.query_positions, heads, scale);
      CHECK(largest_difference(attend(r, heads, qkv, 1, scale).values, expected.values) < 1e-14);
      const auto single = converted<double>(attend(r, heads, converted<float>(qkv), 1, scale));
      CHECK(largest_difference(single.values, expected.values) < 1e-5);
    }
}

TEST_CASE("The adjoint of attention is right") {
  const double scale = GENERATE(usual_scale, 1.0, 0.1);
  for (const ragged& r : every_shape()) {
    if (r.rows() > 12) continue;
    const index_t heads = 2, width = 6;
    const auto qkv = random_matrix<double>(r.rows(), 3 * width, 1), d_z = random_matrix<double>(r.queries(), width, 2);
    CAPTURE(r.offsets, r.query_positions, scale);
    const auto weighted_output = [&]<typename T>(const std::vector<T>& x) {
      host_matrix<T> m(qkv.rows, qkv.cols);
      m.values = x;
      const auto z = attend(r, heads, m, 1, scale);
      T sum = 0;
      for (std::size_t i = 0; i < z.values.size(); ++i) sum += z.values[i] * d_z.values[i];
      return sum;
    };
    check_gradient(weighted_output, qkv.values, attend_adjoint(r, heads, qkv, d_z, 1, scale).values);
  }
}

TEMPLATE_TEST_CASE("A sequence alone, in company, and with fewer queries has the same bits", "", float, double) {
  using T = TestType;
  const ragged together({7, 20, 3}), last_only({7, 20, 3}, {{6}, {19}, {2}}), alone({20});
  const auto qkv = random_matrix<T>(30, 3 * 32, 1);
  host_matrix<T> own(20, 3 * 32);
  std::copy_n(qkv.view().row(7), own.values.size(), own.values.data());
  const auto z = attend(together, 4, qkv), z_last = attend(last_only, 4, qkv), z_alone = attend(alone, 4, own);
  CHECK(std::equal(z_alone.values.begin(), z_alone.values.end(), z.view().row(7)));
  for (index_t s : {0, 1, 2}) {
    const auto* const last = z.view().row(together.offsets[static_cast<std::size_t>(s) + 1] - 1);
    CHECK(std::equal(last, last + 32, z_last.view().row(s)));
  }

  host_matrix<T> d_own(20, 32);
  const auto d_z = random_matrix<T>(30, 32, 2);
  std::copy_n(d_z.view().row(7), d_own.values.size(), d_own.values.data());
  const auto d = attend_adjoint(together, 4, qkv, d_z), d_alone = attend_adjoint(alone, 4, own, d_own);
  CHECK(std::equal(d_alone.values.begin(), d_alone.values.end(), d.view().row(7)));
}

TEMPLATE_TEST_CASE("Attention has the same bits on any number of threads", "", float, double) {
  using T = TestType;
  const ragged r({30, 7, 41, 12});
  const auto qkv = random_matrix<T>(r.rows(), 3 * 48, 1), d_z = random_matrix<T>(r.rows(), 48, 2);
  for (int threads : {2, 3, 8}) {
    CHECK(same_bits(attend(r, 4, qkv, threads), attend(r, 4, qkv)));
    CHECK(same_bits(attend_adjoint(r, 4, qkv, d_z, threads), attend_adjoint(r, 4, qkv, d_z)));
  }
}

TEMPLATE_TEST_CASE("NaN in one sequence does not reach the next", "", float, double) {
  using T = TestType;
  const ragged together({20, 5}), alone({5});
  auto qkv = random_matrix<T>(25, 3 * 24, 1), d_z = random_matrix<T>(25, 24, 2);
  std::fill_n(qkv.values.data(), 20 * qkv.cols, std::numeric_limits<T>::quiet_NaN());
  host_matrix<T> own(5, qkv.cols), d_own(5, 24);
  std::copy_n(qkv.view().row(20), own.values.size(), own.values.data());
  std::copy_n(d_z.view().row(20), d_own.values.size(), d_own.values.data());
  const auto z = attend(together, 2, qkv), z_alone = attend(alone, 2, own);
  CHECK(std::equal(z_alone.values.begin(), z_alone.values.end(), z.view().row(20)));
  const auto d = attend_adjoint(together, 2, qkv, d_z), d_alone = attend_adjoint(alone, 2, own, d_own);
  CHECK(std::equal(d_alone.values.begin(), d_alone.values.end(), d.view().row(20)));
}

}  // namespace trimtab::test::attention_tests
