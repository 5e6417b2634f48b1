// SPDX-License-Identifier: Apache-2.0

#include <trimtab/io/checkpoint_file.hpp>

#include "support/catch.hpp"
#include "support/refusal.hpp"
#include "support/temporary_folder.hpp"

#include <bit>
#include <cstdint>
#include <limits>

namespace trimtab::test::checkpoint_file_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

loss_values loss(double a, double b) { return {{{"effectiveness", 1, a, {}}, {"faithfulness", 0.1, b, {}}}}; }

/// A fit of six parameters after one step.
fit_state example() {
  return {.facts = {{"model", "small \"one\""}, {"prompts", "3"}},
          .theta = {1, 0, -0.5, 2, 0.25, -0.0},
          .first_moment = {1, 2, 3, 4, 5, 6},
          .second_moment = {0.1, 1e-320, 0, std::numeric_limits<double>::infinity(), 5, 6},
          .history = {loss(0.1, 1e-9), loss(7 / 3.0, 0)}};
}

std::vector<std::uint64_t> bits(const std::vector<double>& numbers) {
  std::vector<std::uint64_t> all;
  for (double x : numbers) all.push_back(std::bit_cast<std::uint64_t>(x));
  return all;
}

/// The sentence with which a checkpoint is refused after a change of its tensors and metadata.
template <typename Change>
std::string refused(Change change) {
  const auto folder = temporary_folder();
  const auto path = folder.path() / "c";
  io::write_checkpoint(path, example());
  std::map<std::string, std::string> metadata;
  std::map<std::string, io::stored_tensor> tensors;
  {
    const auto good = io::safetensors_file(path);
    metadata.insert(good.metadata().begin(), good.metadata().end());
    for (const auto& [name, entry] : good.tensors()) tensors[name] = {entry.type, entry.shape, good.bytes(name)};
  }
  change(metadata, tensors);
  io::write_safetensors(path, tensors, metadata);
  return refusal(error_kind::bad_file, [&] { io::read_checkpoint(path); });
}

}  // namespace

TEST_CASE("A checkpoint reads back as it was written, bit for bit") {
  const auto folder = temporary_folder();
  const auto path = folder.path() / "c.checkpoint";
  const auto state = example();
  io::write_checkpoint(path, state);
  const auto read = io::read_checkpoint(path);
  CHECK(read.facts == state.facts);
  CHECK(bits(read.theta) == bits(state.theta));
  CHECK(bits(read.first_moment) == bits(state.first_moment));
  CHECK(bits(read.second_moment) == bits(state.second_moment));
  CHECK(read.history == state.history);
  CHECK(read.steps() == 1);
  CHECK(read.name == "the checkpoint '" + path.string() + "'");
  CHECK(io::safetensors_file(path).tensors().at("theta").type == io::dtype::f32);
  CHECK(io::safetensors_file(path).tensors().at("history").type == io::dtype::f64);
}

TEST_CASE("A malformed checkpoint is refused with the reason") {
  using metadata = std::map<std::string, std::string>&;
  using tensors = std::map<std::string, io::stored_tensor>&;
  CHECK_THAT(refused([](metadata m, tensors) { m["format"] = "trimtab-intervention-1"; }),
             ContainsSubstring("is not a checkpoint") && ContainsSubstring("trimtab-checkpoint-2"));
  CHECK_THAT(refused([](metadata m, tensors) { m["format"] = "trimtab-checkpoint-1"; }),
             ContainsSubstring("is a checkpoint of trimtab 0.1; finish its fit with that version"));
  CHECK_THAT(refused([](metadata m, tensors) { m.erase("format"); }), ContainsSubstring("is not a checkpoint"));
  CHECK_THAT(refused([](metadata m, tensors) { m.erase("facts"); }), ContainsSubstring("lacks \"facts\""));
  CHECK_THAT(refused([](metadata m, tensors) { m["facts"] = "[]"; }), ContainsSubstring("should hold a JSON object"));
  CHECK_THAT(refused([](metadata m, tensors) { m["facts"] = "{\"model\": 1}"; }), ContainsSubstring("a string"));
  CHECK_THAT(refused([](metadata m, tensors) { m["terms"] = "x"; }), ContainsSubstring("not valid JSON"));
  CHECK_THAT(refused([](metadata m, tensors) { m["terms"] = "[[\"a\", \"b\"]]"; }), ContainsSubstring("has the terms"));
  CHECK_THAT(refused([](metadata m, tensors) { m["terms"] = "[[\"a\", 1]]"; }), ContainsSubstring("and 1 terms"));
  CHECK_THAT(refused([](metadata m, tensors) { m["terms"] = "[[\"" + std::string(1000, 'a') + "\", 1], [\"b\", 1]]"; }),
             ContainsSubstring("short names"));
  // A tensor with no data but a huge number of rows.
  CHECK_THAT(refused([](metadata m, tensors t) {
               m["terms"] = "[]";
               t["history"] = {io::dtype::f64, {2, index_t{1} << 50, 0}, {}};
             }),
             ContainsSubstring("has the terms"));
  CHECK_THAT(refused([](metadata, tensors t) {
               t["history"] = {io::dtype::f64, {1, 0, 2}, {}};
             }),
             ContainsSubstring("has the history [1, 0, 2]"));
  CHECK_THAT(refused([](metadata, tensors t) { t["history"].shape = {4}; }), ContainsSubstring("3 dimensions"));
  CHECK_THAT(refused([](metadata, tensors t) {
               t["history"] = {io::dtype::u8, {1, 2, 2}, std::vector<std::byte>(4)};
             }),
             ContainsSubstring("has the history as U8; expected F64 or F32"));
  CHECK_THAT(refused([](metadata m, tensors) { m["terms"] = "[[\"a\", 1e308], [\"b\", 1e308]]"; }),
             ContainsSubstring("has a loss in its history that is not finite"));
  CHECK_THAT(refused([](metadata, tensors t) { t.erase("second_moment"); }), ContainsSubstring("'second_moment'"));
  CHECK_THAT(refused([](metadata, tensors t) {
               t["history"] = {io::dtype::f64, {0, 2, 2}, {}};
             }),
             ContainsSubstring("has the history [0, 2, 2]"));
  CHECK_THAT(refused([](metadata, tensors t) {
               for (const auto name : {"theta", "first_moment", "second_moment"}) t[name].shape = {3, 2};
             }),
             ContainsSubstring("'theta' of shape [3, 2], which does not match a history of one fit"));
  CHECK_THAT(refused([](metadata, tensors t) {
               t["first_moment"] = t["history"], t["first_moment"].shape = {1, 4};
             }),
             ContainsSubstring("its 6 parameters"));
  CHECK_THAT(refused([](metadata, tensors t) { t["theta"] = t["second_moment"]; }), ContainsSubstring("not finite"));
}

}  // namespace trimtab::test::checkpoint_file_tests
