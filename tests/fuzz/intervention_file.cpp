// SPDX-License-Identifier: Apache-2.0
#include <trimtab/io/intervention_tensors.hpp>

#include "fuzz.hpp"

/// An intervention file, whether it fits a model, and the same file written anew.

using namespace trimtab;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  static fuzz::scratch_folder const folder;
  static fuzz::scratch_file const first(folder, "f.safetensors"), second(folder, "again.safetensors");
  auto const& path = first.holding(fuzz::safetensors_of(fuzz::text_of(data, size)));
  auto const read = fuzz::accepted("f.safetensors", [&] { return io::read_intervention(path); });
  if (not read) return 0;

  static model_config const model = {.architecture = "gpt_neox",
                                     .layers = 2,
                                     .width = 4,
                                     .heads = 2,
                                     .hidden = 6,
                                     .context = 5,
                                     .vocabulary = 7,
                                     .parallel_residual = true};
  fuzz::accepted("f.safetensors", [&] {
    require_fits(*read, model, {}, "f.safetensors");
    return true;
  });

  auto const again = [](intervention_file const& f) {
    auto const bytes = io::intervention_bytes(f);
    auto const text = std::string_view(reinterpret_cast<char const*>(bytes.data()), bytes.size());
    return io::read_intervention(second.holding(text));
  };
  // The first writing adds the library's version to what is said of the making.
  auto const written = again(*read);
  fuzz::require(written.tensors == read->tensors and written.layers == read->layers and written.model == read->model and
                written.policy == read->policy and written.positions == read->positions);
  fuzz::require(again(written) == written);
  return 0;
}
