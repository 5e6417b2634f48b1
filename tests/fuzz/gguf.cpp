// SPDX-License-Identifier: Apache-2.0
#include <trimtab/io/control_vector.hpp>

#include "fuzz.hpp"

/// Reads a GGUF file and its tensors, and as a control vector, which it writes again and compares.

using namespace trimtab;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const fuzz::scratch_folder folder;
  static const fuzz::scratch_file first(folder, "f.gguf"), second(folder, "again.gguf");
  const auto content = fuzz::text_of(data, size);
  // In memory of exactly its size, so that the address sanitizer finds reads beyond the end.
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto header = fuzz::accepted("f.gguf", [&] { return io::parse_gguf_header(bytes, size, "f.gguf"); });
  if (not header) return 0;
  const auto& path = first.holding(content);
  const io::gguf_file file(path);
  for (const auto& [name, tensor] : file.tensors())
    if (tensor.type == io::gguf_type::f32) file.read(tensor);

  static const model_facts model{.architecture = "gpt_neox", .residual = "parallel", .layers = 4, .width = 3};
  for (const auto number : {io::direction_numbers::block, io::direction_numbers::one_late}) {
    const auto read = fuzz::accepted("f.gguf", [&] { return io::read_control_vector(path, model, number); });
    if (not read) continue;
    const auto written = fuzz::accepted("", [&] { return io::control_vector_bytes(*read); });
    if (not written) continue;  // of layer 0, or zeros
    const auto text = std::string_view(reinterpret_cast<const char*>(written->data()), written->size());
    const auto again = io::read_control_vector(second.holding(text), model);
    fuzz::require(io::stream_vectors(again) == io::stream_vectors(*read));
  }
  return 0;
}
