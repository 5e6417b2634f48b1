// SPDX-License-Identifier: Apache-2.0
#include <trimtab/io/huggingface/model_folder.hpp>

#include "fuzz.hpp"
#include "support/random_weights.hpp"
#include "support/stored_model.hpp"

/// Reads `config.json`, in a folder with the weights of a small model of the family that it names.

using namespace trimtab;

namespace {

model_config small_config(const std::string& architecture) {
  model_config config = {
      .architecture = architecture, .layers = 1, .width = 4, .heads = 2, .hidden = 6, .context = 5, .vocabulary = 7};
  if (architecture == "gpt_neox") config.rotary_channels = 2;
  return config;
}

struct small_folder : fuzz::scratch_folder {
  explicit small_folder(const std::string& architecture) {
    test::write_model_folder(path(), test::random_weights(small_config(architecture)));
    std::filesystem::remove(path() / "config.json");  // each input is written in its place
  }
};

void check(const model_config& c) {
  for (const auto size : {c.layers, c.width, c.heads, c.hidden, c.context, c.vocabulary})
    fuzz::require(size > 0 and size < index_t{4} << 31);
  fuzz::require(c.width % c.heads == 0);
  fuzz::require(c.rotary_channels >= 0 and c.rotary_channels <= c.head_width() and c.rotary_channels % 2 == 0);
  fuzz::require(io::is_finite(c.layer_norm_epsilon) and c.layer_norm_epsilon >= 0);
  fuzz::require(io::is_finite(c.rotary_base) and c.rotary_base > 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const small_folder gpt2("gpt2"), neox("gpt_neox");
  static const fuzz::scratch_file first(gpt2, "config.json"), second(neox, "config.json");
  const auto text = fuzz::text_of(data, size);
  first.holding(text);
  const auto config = fuzz::accepted("config.json", [&] { return io::read_model_config(gpt2.path()); });
  if (not config) return 0;
  check(*config);

  const auto& folder = config->architecture == "gpt2" ? gpt2 : neox;
  if (&folder == &neox) second.holding(text);
  const auto model = fuzz::accepted(folder.path().string(), [&] { return io::model_folder(folder.path()); });
  if (not model) return 0;
  const auto outer = model->outer<float>();
  fuzz::require(outer.token_embedding.rows == config->vocabulary and outer.token_embedding.cols == config->width);
  for (index_t layer = 0; layer < config->layers; ++layer)
    fuzz::require(model->block<float>(layer).mlp_in.weight.cols == config->hidden);
  return 0;
}
