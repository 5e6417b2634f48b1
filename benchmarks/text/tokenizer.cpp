// SPDX-License-Identifier: Apache-2.0

// Tokenizing in MB/s: a repeated page of prose, with the tokenizers of the embedded models, and with those of GPT-2 and
// GPT-NeoX if TRIMTAB_TEST_ASSETS names a folder that has them.

#include <trimtab/io/huggingface/tokenizer_files.hpp>

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace {

using namespace trimtab;

constexpr std::string_view page =
    "When Mary and John went to the store, John gave a drink to Mary. It was the 3rd of October, and the shop - an old "
    "one, with 12,500 bottles - didn't close before half past nine.\n\nTúl a folyón, über dem Fluß, 川の向こうに: the "
    "river ran on, as it had for longer than anybody could say, and nobody's clock was right. \"Why,\" she asked, "
    "\"would anyone keep two?\"\n";

std::string book() {
  std::string text;
  while (text.size() < 200'000) text += page;
  return text;
}

void encode(benchmark::State& state, const std::filesystem::path& folder) {
  const text::tokenizer tokenizer = io::read_tokenizer(folder);
  const std::string text = book();
  for (auto _ : state) benchmark::DoNotOptimize(tokenizer.encode(text));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}

/// One short prompt at a time.
void encode_prompts(benchmark::State& state, const std::filesystem::path& folder) {
  const text::tokenizer tokenizer = io::read_tokenizer(folder);
  const std::string_view prompt = page.substr(0, 53);
  for (auto _ : state) benchmark::DoNotOptimize(tokenizer.encode(prompt));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(prompt.size()));
}

void add(const std::string& name, const std::filesystem::path& folder) {
  benchmark::RegisterBenchmark((name + "/book").c_str(), [folder](benchmark::State& state) {
    encode(state, folder);
  })->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark((name + "/prompt").c_str(), [folder](benchmark::State& state) {
    encode_prompts(state, folder);
  })->Unit(benchmark::kMicrosecond);
}

}  // namespace

int main(int count, char** words) {
  add("tiny-gpt2", TRIMTAB_EXAMPLE_MODELS "/tiny-gpt2");
  add("tiny-pythia", TRIMTAB_EXAMPLE_MODELS "/tiny-pythia");
  if (const char* assets = std::getenv("TRIMTAB_TEST_ASSETS"))
    for (std::string name : {"gpt2", "gpt-neox/20B_tokenizer.json"})
      if (const auto path = std::filesystem::path(assets) / "tokenizers" / name; std::filesystem::exists(path))
        add(name, path);
  benchmark::Initialize(&count, words);
  benchmark::RunSpecifiedBenchmarks();
}
