// SPDX-License-Identifier: Apache-2.0
// Hands a model, whose weights are packed for one processor, to a source that is compiled for another: that must not link.
// See processor_taker.cpp.

#include "small_logits.hpp"

std::vector<float> logits_elsewhere(const small_model& model);

int main() {
  const small_model model = make_small_model();
  return logits_elsewhere(model) == logits_of(model) ? 0 : 1;
}
