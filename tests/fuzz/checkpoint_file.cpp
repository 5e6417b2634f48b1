// SPDX-License-Identifier: Apache-2.0
#include <trimtab/io/checkpoint_file.hpp>

#include "fuzz.hpp"

#include <algorithm>
#include <bit>

/// The state of a fit, and the same state written anew.

using namespace trimtab;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  static fuzz::scratch_folder const folder;
  static fuzz::scratch_file const file(folder, "f.safetensors");
  auto const& path = file.holding(fuzz::safetensors_of(fuzz::text_of(data, size)));
  auto const state = fuzz::accepted("f.safetensors", [&] { return io::read_checkpoint(path); });
  if (not state) return 0;

  io::write_checkpoint(folder.path() / "again", *state);
  auto const again = io::read_checkpoint(folder.path() / "again");
  auto const is_same = [](std::vector<double> const& one, std::vector<double> const& other) {
    auto const bits = [](double x) { return std::bit_cast<std::uint64_t>(x); };
    return std::ranges::equal(one, other, {}, bits, bits);
  };
  fuzz::require(again.facts == state->facts and again.history == state->history);
  fuzz::require(is_same(again.theta, state->theta));
  fuzz::require(is_same(again.first_moment, state->first_moment));
  fuzz::require(is_same(again.second_moment, state->second_moment));
  return 0;
}
