// SPDX-License-Identifier: Apache-2.0
#include <trimtab/io/files/safetensors.hpp>

#include "fuzz.hpp"

#include <algorithm>
#include <functional>
#include <numeric>

/// Reads a safetensors file and its tensors, writes them again and compares.

using namespace trimtab;

namespace {

void check_tensor(const io::safetensors_file& file, const std::string& name, const io::tensor_entry& entry) {
  const auto size = std::accumulate(entry.shape.begin(), entry.shape.end(), index_t{1}, std::multiplies{});
  fuzz::require(file.bytes(name).size() == static_cast<std::size_t>(size) * io::bytes_of(entry.type));
  const auto numbers = fuzz::accepted("f.safetensors", [&] { return file.read<double>(name, io::non_finite::allow); });
  if (not numbers) return;
  fuzz::require(std::ssize(numbers->values) == size and numbers->rows * numbers->cols == size);
  const auto finite = fuzz::accepted("f.safetensors", [&] { return file.read<float>(name); });
  const auto is_finite = [](double x) { return io::is_finite(static_cast<float>(x)); };
  fuzz::require(finite.has_value() == std::ranges::all_of(numbers->values, is_finite));
}

bool is_same(const io::safetensors_file& one, const io::safetensors_file& other) {
  const auto is_same_tensor = [&](const auto& item) {
    const auto& [name, entry] = item;
    return other.contains(name) and other.tensors().find(name)->second.type == entry.type and
           other.shape(name) == entry.shape and std::ranges::equal(other.bytes(name), one.bytes(name));
  };
  return one.metadata() == other.metadata() and one.tensors().size() == other.tensors().size() and
         std::ranges::all_of(one.tensors(), is_same_tensor);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const fuzz::scratch_folder folder;
  static const fuzz::scratch_file first(folder, "f.safetensors"), second(folder, "again.safetensors");
  const auto content = fuzz::safetensors_of(fuzz::text_of(data, size));
  const auto bytes = std::as_bytes(std::span(content));
  // In memory of exactly its size, so that the address sanitizer finds reads beyond the end.
  const auto header =
      fuzz::accepted("f.safetensors", [&] { return io::parse_safetensors_header(bytes, "f.safetensors"); });
  if (not header) return 0;

  const io::safetensors_file file(first.holding(content));
  std::map<std::string, io::stored_tensor> tensors;
  for (const auto& [name, entry] : file.tensors()) {
    check_tensor(file, name, entry);
    const auto raw = file.bytes(name);
    tensors[name] = {entry.type, entry.shape, {raw.begin(), raw.end()}};
  }
  const auto written = io::safetensors_bytes(tensors, {file.metadata().begin(), file.metadata().end()});
  const auto text = std::string_view(reinterpret_cast<const char*>(written.data()), written.size());
  fuzz::require(is_same(file, io::safetensors_file(second.holding(text))));
  return 0;
}
