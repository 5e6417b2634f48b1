// SPDX-License-Identifier: Apache-2.0
#include <trimtab/io/checkpoint_file.hpp>

#include "fuzz.hpp"

#include <algorithm>
#include <bit>

/// Reads the state of a fit from a checkpoint, writes it again and compares.

using namespace trimtab;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const fuzz::scratch_folder folder;
  static const fuzz::scratch_file file(folder, "f.safetensors");
  const auto& path = file.holding(fuzz::safetensors_of(fuzz::text_of(data, size)));
  const auto state = fuzz::accepted("f.safetensors", [&] { return io::read_checkpoint(path); });
  if (not state) return 0;

  io::write_checkpoint(folder.path() / "again", *state);
  const auto again = io::read_checkpoint(folder.path() / "again");
  const auto is_same = [](const std::vector<double>& one, const std::vector<double>& other) {
    const auto bits = [](double x) { return std::bit_cast<std::uint64_t>(x); };
    return std::ranges::equal(one, other, {}, bits, bits);
  };
  fuzz::require(again.facts == state->facts and again.history == state->history);
  fuzz::require(is_same(again.theta, state->theta));
  fuzz::require(is_same(again.first_moment, state->first_moment));
  fuzz::require(is_same(again.second_moment, state->second_moment));
  return 0;
}
