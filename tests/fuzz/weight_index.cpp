// SPDX-License-Identifier: Apache-2.0
#include <trimtab/io/huggingface/weight_files.hpp>

#include "fuzz.hpp"

/// Reads `model.safetensors.index.json`, in a folder with two shards: one has the tensors a and b, the other has c.

using namespace trimtab;

namespace {

io::stored_tensor number(float x) {
  host_matrix<float> one(1, 1);
  one(0, 0) = x;
  return io::store(one);
}

struct sharded_folder : fuzz::scratch_folder {
  fuzz::scratch_file index = {*this, "model.safetensors.index.json"};

  sharded_folder() {
    io::write_safetensors(path() / "1.safetensors", {{"a", number(1)}, {"gpt2.b", number(2)}});
    io::write_safetensors(path() / "2.safetensors", {{"c", number(3)}});
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const sharded_folder folder;
  folder.index.holding(fuzz::text_of(data, size));
  const auto weights = fuzz::accepted(folder.path().string(), [&] { return io::weight_files(folder.path(), "gpt2."); });
  if (not weights) return 0;
  // Only an index that is right is accepted, or one that is right about one of the shards.
  float sum = 0;
  for (const auto& [name, place] : weights->places()) {
    const auto x = weights->read<float>(name, io::non_finite::refuse);
    fuzz::require(x.values.size() == 1 and x(0, 0) == static_cast<float>(name[0] - 'a' + 1));
    sum += x(0, 0);
  }
  fuzz::require(sum == 0 or sum == 3 or sum == 6);
  return 0;
}
