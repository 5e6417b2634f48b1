// SPDX-License-Identifier: Apache-2.0
// One of two sources of a program that are compiled for different processors: each must compute as if it were alone. See
// processor_two.cpp.

#include "small_logits.hpp"

#include <cmath>
#include <cstddef>
#include <cstdio>

std::vector<float> logits_for_any_processor();

int main() {
  const std::vector<float> here = logits_of(make_small_model()), there = logits_for_any_processor();
  float difference = 0, size = 0;
  for (std::size_t i = 0; i < here.size(); ++i) {
    difference = std::fmax(difference, std::fabs(here[i] - there[i]));
    size = std::fmax(size, std::fabs(here[i]));
  }
  std::printf("logits up to %g, which differ by at most %g\n", static_cast<double>(size),
              static_cast<double>(difference));
  return size > 0.1F and difference < 1e-4F ? 0 : 1;
}
