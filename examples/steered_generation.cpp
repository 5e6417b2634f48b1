// SPDX-License-Identifier: Apache-2.0

// What text does a steered model generate? The untouched model and the steered model at both strengths continue the
// same prompt, always with the most probable token.

#include <trimtab/trimtab.hpp>

#include <cstdio>
#include <string>
#include <vector>

using namespace trimtab;

int main() try {
  const auto model = from_pretrained<gpt2<eigen_backend<float>>>(TRIMTAB_EXAMPLE_MODELS "/tiny-gpt2");
  const auto prompts = task::ioi(model.tokenizer(), {.train = 32, .seed = 1});

  // Positions are counted from the end, because the text grows there.
  const auto steering = steer(model, at(site::attn_out{}, policy::steer_vec{}, layers::all(), positions::from_end(1)),
                              at(site::mlp_out{}, policy::steer_vec{}, layers::all(), positions::from_end(1)));
  const auto objective = objective::effectiveness{} + 1.0 * objective::faithfulness{} + 0.003 * objective::minimality{};
  const auto result = trainer(steering, objective, adam{.learning_rate = 0.01}).fit(prompts.train, {.steps = 150});

  const std::string opening = "When Mary and John went to the store, John gave a drink to";
  const std::vector<prompt_pair> prompt{{.ids = model.tokenizer().encode_prompt(opening)}};
  const auto texts = generate(steering, result.values, prompt, {.strengths = {0, +1, -1}, .new_tokens = 8});
  std::vector<std::string> said;
  for (const generated_text& text : texts) {
    said.push_back(model.tokenizer().decode(text.ids));
    std::printf("%+.0f  %s%s\n", text.strength, opening.c_str(), said.back().c_str());
  }
  return said[1].starts_with(" Mary") and said[2].starts_with(" John") ? 0 : 1;
} catch (const error& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}
