// SPDX-License-Identifier: Apache-2.0
#include <trimtab/io/intervention_tensors.hpp>

#include "fuzz.hpp"

/// Reads an intervention file, checks whether it fits a model, writes it again and compares.

using namespace trimtab;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const fuzz::scratch_folder folder;
  static const fuzz::scratch_file first(folder, "f.safetensors"), second(folder, "again.safetensors");
  const auto& path = first.holding(fuzz::safetensors_of(fuzz::text_of(data, size)));
  const auto read = fuzz::accepted("f.safetensors", [&] { return io::read_intervention(path); });
  if (not read) return 0;

  static const model_config model = {.architecture = "gpt_neox",
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

  const auto again = [](const intervention_file& f) {
    const auto bytes = io::intervention_bytes(f);
    const auto text = std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return io::read_intervention(second.holding(text));
  };
  const auto written = again(*read);
  fuzz::require(written.interventions == read->interventions and written.model == read->model);
  fuzz::require(again(written) == written);
  return 0;
}
