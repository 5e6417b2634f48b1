// SPDX-License-Identifier: Apache-2.0

// Loads a model with blocks of the shape of Pythia-160m's (4 layers, width 768) from a Hugging Face folder into packed
// weights (`load`), and only reads the folder (`read`). Bytes are those of the file, which is in the system's cache.

#include "support/random_weights.hpp"
#include "support/stored_model.hpp"
#include "support/temporary_folder.hpp"

#include <trimtab/backend/eigen.hpp>
#include <trimtab/io/huggingface/model_folder.hpp>
#include <trimtab/model/gpt_neox.hpp>

#include <benchmark/benchmark.h>

namespace {

using namespace trimtab;

struct stored {
  test::temporary_folder folder;
  std::int64_t bytes;

  explicit stored(io::dtype type) {
    const model_config config{.architecture = "gpt_neox",
                              .layers = 4,
                              .width = 768,
                              .heads = 12,
                              .hidden = 3072,
                              .context = 64,
                              .vocabulary = 8000,
                              .rotary_channels = 16,
                              .nonlinearity = activation::gelu_erf,
                              .parallel_residual = true};
    test::write_model_folder(folder.path(), test::random_weights(config), {.type = type});
    bytes = static_cast<std::int64_t>(std::filesystem::file_size(folder.path() / "model.safetensors"));
  }
};

void load(benchmark::State& state, io::dtype type) {
  const stored s(type);
  for (auto _ : state)
    benchmark::DoNotOptimize(
        gpt_neox<eigen_backend<float>>(io::model_folder(s.folder.path()), eigen_backend<float>(1)));
  state.SetBytesProcessed(state.iterations() * s.bytes);
}

void read(benchmark::State& state, io::dtype type) {
  const stored s(type);
  for (auto _ : state) {
    const io::model_folder folder(s.folder.path());
    benchmark::DoNotOptimize(folder.outer<float>());
    for (index_t l = 0; l < folder.config().layers; ++l) benchmark::DoNotOptimize(folder.block<float>(l));
  }
  state.SetBytesProcessed(state.iterations() * s.bytes);
}

}  // namespace

BENCHMARK_CAPTURE(load, float32, io::dtype::f32)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(load, float16, io::dtype::f16)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(read, float32, io::dtype::f32)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(read, float16, io::dtype::f16)->Unit(benchmark::kMillisecond);
