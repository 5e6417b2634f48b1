// SPDX-License-Identifier: Apache-2.0

#include "parity/fixture.hpp"
#include "parity/models.hpp"
#include "parity/recorder.hpp"
#include "support/assets.hpp"
#include "support/catch.hpp"

#include <trimtab/io/files/safetensors.hpp>
#include <trimtab/steer/baseline.hpp>

namespace trimtab::test::nano_sort_tests {

// A trained model that sorts six digits: published weights, and published activations, which were computed in float32.

namespace {

/// [rows, n] -> softmax of each row.
host_matrix<double> softmax_of(host_matrix<double> logits) {
  for (index_t i = 0; i < logits.rows; ++i) {
    double sum = 0;
    for (index_t j = 0; j < logits.cols; ++j) sum += std::exp(logits(i, j));
    for (index_t j = 0; j < logits.cols; ++j) logits(i, j) = std::exp(logits(i, j)) / sum;
  }
  return logits;
}

}  // namespace

TEST_CASE("nano-sort has the activations that were published with it") {
  const auto folder = asset("nano-sort");
  if (not folder) {
    WARN(missing_asset("nano-sort"));
    return;
  }
  const io::safetensors_file golden(*folder / "activations.safetensors");
  const host_matrix<double> tokens = golden.read<double>("input_ids");
  std::vector<std::vector<int>> ids;
  for (index_t n = 0; n < tokens.rows; ++n) {
    std::vector<int>& prompt = ids.emplace_back();
    for (index_t i = 0; i < tokens.cols; ++i) prompt.push_back(static_cast<int>(tokens(n, i)));
  }
  const auto model = std::get<gpt2<eigen_backend<double>>>(read_model<double>(*folder));
  const auto found = record(model, ids);

  const host_matrix<double> places = golden.read<double>("pos_embed");
  host_matrix<double> embedded = golden.read<double>("embed");
  for (index_t i = 0; i < embedded.rows; ++i)
    for (index_t j = 0; j < embedded.cols; ++j) embedded(i, j) += places(i % places.rows, j);
  CHECK(difference(found.at.at("blocks.0.resid_pre"), embedded) <= 2e-6);

  int compared = 0;
  for (const auto& [place, h] : found.at) {
    if (not golden.contains(place)) continue;
    CAPTURE(place);
    CHECK(difference(h, golden.read<double>(place)) <= 2e-6);
    ++compared;
  }
  CHECK(compared == 9);  // the seven sites of block 0, and resid_post of the other two
  CHECK(difference(found.at.at("blocks.1.resid_pre"), golden.read<double>("blocks.0.resid_post")) <= 2e-6);
  CHECK(difference(found.at.at("blocks.2.resid_pre"), golden.read<double>("blocks.1.resid_post")) <= 2e-6);
  CHECK(difference(found.logits, golden.read<double>("logits")) <= 2e-6);
  CHECK(difference(softmax_of(found.logits), golden.read<double>("probs")) <= 2e-6);
}

TEST_CASE("nano-sort sorts") {
  const auto folder = asset("nano-sort");
  if (not folder) {
    WARN(missing_asset("nano-sort"));
    return;
  }
  // All inputs of six digits from {0, 1, 2}.
  std::vector<std::vector<int>> prompts;
  for (int number = 0; number < 729; ++number) {
    std::vector<int>& digits = prompts.emplace_back();
    for (int rest = number; digits.size() < 6; rest /= 3) digits.push_back(rest % 3);
  }
  auto expected = prompts;
  for (std::vector<int>& digits : expected) {
    const auto input = digits;
    std::ranges::sort(digits);
    digits.insert(digits.begin(), input.begin(), input.end());
  }

  // Greedy decoding.
  const auto model = std::get<gpt2<eigen_backend<float>>>(read_model<float>(*folder));
  for (int step = 0; step < 6; ++step) {
    const host_matrix<float> next = logits(model, prompts);
    for (std::size_t n = 0; n < prompts.size(); ++n) {
      const auto row = next.view().row(static_cast<index_t>(n));
      prompts[n].push_back(static_cast<int>(std::max_element(row, row + next.cols) - row));
    }
  }
  CHECK(prompts == expected);
}

}  // namespace trimtab::test::nano_sort_tests
