// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/backend/eigen.hpp>
#include <trimtab/model/gpt2.hpp>
#include <trimtab/steer/baseline.hpp>

#include <support/random_weights.hpp>

#include <vector>

/// Logits of one small model, by whatever processor the source that includes this is compiled for.

using small_model = trimtab::gpt2<trimtab::eigen_backend<float>>;

namespace {

small_model make_small_model() {
  using namespace trimtab;
  const model_config config{
      .architecture = "gpt2", .layers = 2, .width = 48, .heads = 4, .hidden = 192, .context = 16, .vocabulary = 61};
  return small_model(test::random_weights{config}, eigen_backend<float>(1));
}

std::vector<float> logits_of(const small_model& model) {
  const std::vector<std::vector<int>> prompts{{1, 5, 9, 2, 7, 3, 11, 4, 60}};
  return trimtab::logits(model, prompts).values;
}

}  // namespace
