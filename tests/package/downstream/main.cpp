// SPDX-License-Identifier: Apache-2.0
// A program that uses trimtab: it includes the library, composes an intervention, and gets a one-sentence error because
// there is no model. Linking trimtab::trimtab alone must be enough to find the headers of the library and of each
// dependency.

#include <trimtab/trimtab.hpp>

#include <cstdio>

using namespace trimtab;

metrics steer_folder(const char* folder) {
  const auto model = from_pretrained<gpt2<eigen_backend<float>>>(folder);
  const auto prompts = task::ioi(model.tokenizer(), {.train = 8, .test = 8});
  const auto steering = steer(model, at(site::attn_out{}, policy::activ_scalar{}));
  const auto objective = objective::effectiveness{} + 1.0 * objective::faithfulness{} + 0.03 * objective::minimality{};
  const auto result = trainer(steering, objective, adam{}).fit(prompts.train, {.steps = 10});
  return evaluate(result, prompts.test);
}

int main(int argc, char** argv) {
  try {
    std::printf("flipped %.2f\n", steer_folder(argc > 1 ? argv[1] : "no-such-folder").flip_rate_both);
    return argc > 1 ? 0 : 1;
  } catch (const error& e) {
    std::printf("%s\n", e.what());
    return argc > 1 or e.kind() != error_kind::io ? 1 : 0;
  }
}
