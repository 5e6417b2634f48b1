// SPDX-License-Identifier: Apache-2.0
#include <trimtab/row/layer_norm.hpp>

#include "support/gradients.hpp"

#include <cmath>

namespace trimtab::test::layer_norm_tests {

TEST_CASE("The adjoint of LayerNorm is right") {
  for (index_t width : {1, 3, 17, 64}) check_row_function(layer_norm{1e-5}, width, layer_norm::gain, layer_norm::bias);
  check_row_function(layer_norm{0}, 17, layer_norm::gain, layer_norm::bias);
}

TEST_CASE("LayerNorm divides by the deviation of the population") {
  const auto h = random_matrix<double>(2, 5, 1, 3, 10), gain = random_matrix<double>(2, 5, 2),
             bias = random_matrix<double>(2, 5, 3);
  const auto out = checks::run_forward(layer_norm{0.1}, h, {gain, bias}, layer_norm::gain, layer_norm::bias);
  for (index_t i = 0; i < 2; ++i) {
    double mean = 0, variance = 0;
    for (index_t j = 0; j < 5; ++j) mean += h(i, j) / 5;
    for (index_t j = 0; j < 5; ++j) variance += (h(i, j) - mean) * (h(i, j) - mean) / 5;
    for (index_t j = 0; j < 5; ++j)
      CHECK(std::abs(out(i, j) - ((h(i, j) - mean) / std::sqrt(variance + 0.1) * gain(i, j) + bias(i, j))) < 1e-13);
  }
}

TEST_CASE("A row whose variance overflows becomes NaN, not zeros") {
  auto h = random_matrix<float>(1, 64, 1);
  const auto gain = random_matrix<float>(1, 64, 2, 0, 1), bias = random_matrix<float>(1, 64, 3, 0);
  for (const float scale : {1e18f, 1e19f, 1e20f, 1e38f}) {
    auto scaled = h;
    for (float& x : scaled.values) x *= scale;
    const auto out = checks::run_forward(layer_norm{}, scaled, {gain, bias}, layer_norm::gain, layer_norm::bias);
    const auto usual = checks::run_forward(layer_norm{0}, h, {gain, bias}, layer_norm::gain, layer_norm::bias);
    for (index_t j = 0; j < 64; ++j)
      CHECK((scale < 1e19f ? std::abs(out(0, j) - usual(0, j)) < 1e-4f : std::isnan(out(0, j))));
  }
}

TEST_CASE("LayerNorm is exact under a large common offset") {
  auto h = random_matrix<float>(1, 64, 1), shifted = h;
  for (float& x : shifted.values) x += 1024;
  const auto gain = random_matrix<float>(1, 64, 2, 0, 1), bias = random_matrix<float>(1, 64, 3, 0);
  const auto out = checks::run_forward(layer_norm{}, h, {gain, bias}, layer_norm::gain, layer_norm::bias);
  const auto out_shifted = checks::run_forward(layer_norm{}, shifted, {gain, bias}, layer_norm::gain, layer_norm::bias);
  for (index_t j = 0; j < 64; ++j)
    CHECK(std::abs(out(0, j) - out_shifted(0, j)) < 3e-4f);  // 1024 has a spacing of 1.2e-4
}

}  // namespace trimtab::test::layer_norm_tests
