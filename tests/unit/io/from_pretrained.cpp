// SPDX-License-Identifier: Apache-2.0

#include <trimtab/backend/eigen.hpp>
#include <trimtab/compose.hpp>
#include <trimtab/io/from_pretrained.hpp>

#include "support/catch.hpp"
#include "support/random_weights.hpp"
#include "support/refusal.hpp"
#include "support/small_tokenizer_json.hpp"
#include "support/stored_model.hpp"
#include "support/temporary_folder.hpp"

using namespace trimtab;
using namespace trimtab::test;
using Catch::Matchers::ContainsSubstring;
using cpu = eigen_backend<float>;

namespace {

model_config const small = {
    .architecture = "gpt2", .layers = 2, .width = 12, .heads = 3, .hidden = 20, .context = 9, .vocabulary = 400};

}  // namespace

TEST_CASE("A folder becomes the model that its weights make") {
  auto const folder = temporary_folder();
  auto const source = random_weights(small);
  write_model_folder(folder.path(), source);
  auto const model = from_pretrained<gpt2<cpu>>(folder.path(), cpu(1));
  auto const expected = gpt2<cpu>(source, cpu(1));

  std::vector<std::vector<int>> const prompts = {{1, 2, 3}, {7}};
  CHECK(logits(model, prompts).values == logits(expected, prompts).values);
  CHECK(model.weights_hash() == io::model_folder(folder.path()).weights_hash());
  CHECK(model.backend().threads() == 1);
}

TEST_CASE("A folder without tokenizer loads; only who asks for the tokenizer learns that there is none") {
  auto const folder = temporary_folder();
  write_model_folder(folder.path(), random_weights(small));
  auto const model = from_pretrained<gpt2<cpu>>(folder.path());
  CHECK_FALSE(model.has_tokenizer());
  CHECK_THAT(refusal(error_kind::io, [&] { model.tokenizer(); }), ContainsSubstring("holds no tokenizer"));

  folder.file("tokenizer.json", "{}");
  auto const broken = from_pretrained<gpt2<cpu>>(folder.path());
  CHECK_FALSE(broken.has_tokenizer());
  CHECK_THROWS_AS(broken.tokenizer(), error);
}

TEST_CASE("A folder with a tokenizer brings it along") {
  auto const folder = temporary_folder();
  write_model_folder(folder.path(), random_weights(small));
  folder.file("tokenizer.json", small_tokenizer_json().dump());
  auto const model = from_pretrained<gpt2<cpu>>(folder.path());
  REQUIRE(model.has_tokenizer());
  CHECK(model.tokenizer().decode(model.tokenizer().encode("hello")) == "hello");
}

TEST_CASE("A model of another family is refused with the type that fits") {
  auto const folder = temporary_folder();
  write_model_folder(folder.path(), random_weights(small));
  CHECK_THAT(refusal(error_kind::mismatch, [&] { from_pretrained<gpt_neox<cpu>>(folder.path()); }),
             ContainsSubstring("the model is a gpt2"));
}
