// SPDX-License-Identifier: Apache-2.0
#include <trimtab/io/huggingface/weight_files.hpp>

#include "fuzz.hpp"

#include <array>
#include <string_view>

/// Reads `model.safetensors.index.json`, in a folder with two shards: one has the tensors a and h.0.b, the other has c
/// and two that belong to no part of the model. No shard has the unembedding u.

using namespace trimtab;

namespace {

io::stored_tensor number(float x) {
  host_matrix<float> one(1, 1);
  one(0, 0) = x;
  return io::store(one);
}

constexpr auto parts = std::to_array<std::string_view>({"a", "c", "u"});
constexpr io::weight_names names = {"gpt2.", "h.", parts, "u"};

struct sharded_folder : fuzz::scratch_folder {
  fuzz::scratch_file index = {*this, "model.safetensors.index.json"};

  sharded_folder() {
    io::write_safetensors(path() / "1.safetensors", {{"a", number(1)}, {"gpt2.h.0.b", number(2)}});
    io::write_safetensors(path() / "2.safetensors",
                          {{"c", number(3)}, {"score", number(4)}, {"gpt2.score", number(5)}});
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const sharded_folder folder;
  folder.index.holding(fuzz::text_of(data, size));
  const auto weights = fuzz::accepted(folder.path().string(), [&] { return io::weight_files(folder.path(), names); });
  if (not weights) return 0;
  // Only an index that is right is accepted, or one that is right about one of the shards.
  float sum = 0;
  for (const auto& [name, place] : weights->places()) {
    const auto x = weights->read<float>(name, io::non_finite::refuse);
    fuzz::require(x.values.size() == 1 and x(0, 0) == static_cast<float>(name.back() - 'a' + 1));
    sum += x(0, 0);
  }
  fuzz::require(sum == 0 or sum == 3 or sum == 6);
  fuzz::require(weights->others().size() == (weights->contains("c") ? 2u : 0u));
  return 0;
}
