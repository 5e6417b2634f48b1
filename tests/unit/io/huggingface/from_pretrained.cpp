// SPDX-License-Identifier: Apache-2.0

#include <trimtab/backend/eigen.hpp>
#include <trimtab/compose.hpp>
#include <trimtab/io/huggingface/from_pretrained.hpp>

#include "support/catch.hpp"
#include "support/hub_cache.hpp"
#include "support/random_weights.hpp"
#include "support/refusal.hpp"
#include "support/small_models.hpp"
#include "support/small_tokenizer_json.hpp"
#include "support/stored_model.hpp"
#include "support/temporary_folder.hpp"

namespace trimtab::test::from_pretrained_tests {

using Catch::Matchers::ContainsSubstring;
using cpu = eigen_backend<float>;

namespace {

const model_config small = {
    .architecture = "gpt2", .layers = 2, .width = 12, .heads = 3, .hidden = 20, .context = 9, .vocabulary = 400};

}  // namespace

TEST_CASE("A folder becomes the model that its weights make") {
  const auto folder = temporary_folder();
  const auto source = random_weights(small);
  write_model_folder(folder.path(), source);
  const auto model = from_pretrained<gpt2<cpu>>(folder.path(), cpu(1));
  const auto expected = gpt2<cpu>(source, cpu(1));

  const std::vector<std::vector<int>> prompts = {{1, 2, 3}, {7}};
  CHECK(logits(model, prompts).values == logits(expected, prompts).values);
  CHECK(model.hash_of_weights() == hash_of_weights<float>(io::model_folder(folder.path())));
  CHECK(model.origin().stored_hash() == io::model_folder(folder.path()).stored_hash());
  CHECK(model.backend().threads() == 1);
}

namespace {

/// A folder that hands all its weights out of memory.
struct read_first {
  const io::model_folder& folder;

  const model_config& config() const { return folder.config(); }
  template <typename T>
  block_weights<T> block(index_t layer) const {
    return folder.block<T>(layer);
  }
  template <typename T>
  outer_weights<T> outer() const {
    return folder.outer<T>();
  }
};

template <typename Model>
void check_types(const model_config& config, bool tied) {
  const auto source = random_weights(config, 5, tied);
  for (const io::dtype type : {io::dtype::f32, io::dtype::f16, io::dtype::bf16, io::dtype::f64})
    for (const weight_type kept : {weight_type::as_in_file, weight_type::float32, weight_type::bfloat16})
      for (const int threads : {1, 3}) {
        CAPTURE(config.architecture, tied, io::name_of(type), static_cast<int>(kept), threads);
        const auto folder = temporary_folder();
        write_model_folder(folder.path(), source, {.type = type});
        const io::model_folder opened(folder.path());
        const auto packed = Model(opened, typename Model::backend_type(threads, kept));
        const auto expected = Model(read_first{opened}, typename Model::backend_type(threads, kept));
        const std::vector<std::vector<int>> prompts = {{1, 2, 3}, {7}};
        CHECK(logits(packed, prompts).values == logits(expected, prompts).values);
        CHECK(packed.hash_of_weights() == expected.hash_of_weights());
        if (kept != weight_type::bfloat16)
          CHECK(packed.hash_of_weights() == hash_of_weights<typename Model::scalar>(opened));
      }
}

}  // namespace

TEST_CASE("Matrices that are packed out of the file are those that are read first, in every type and order") {
  for (const bool tied : {true, false}) {
    check_types<gpt2<cpu>>(small, tied);
    check_types<gpt_neox<cpu>>(small_neox_parallel::config(), tied);
    check_types<gpt2<eigen_backend<double>>>(small, tied);
    check_types<gpt_neox<eigen_backend<double>>>(small_neox_parallel::config(), tied);
  }
}

TEST_CASE("A folder without a tokenizer loads, and only using the tokenizer throws") {
  const auto folder = temporary_folder();
  write_model_folder(folder.path(), random_weights(small));
  const auto model = from_pretrained<gpt2<cpu>>(folder.path());
  CHECK_FALSE(model.has_tokenizer());
  CHECK_THAT(refusal(error_kind::io, [&] { model.tokenizer(); }), ContainsSubstring("holds no tokenizer"));

  folder.file("tokenizer.json", "{}");
  const auto broken = from_pretrained<gpt2<cpu>>(folder.path());
  CHECK_FALSE(broken.has_tokenizer());
  CHECK_THROWS_AS(broken.tokenizer(), error);
}

TEST_CASE("A folder with a tokenizer brings it along") {
  const auto folder = temporary_folder();
  write_model_folder(folder.path(), random_weights(small));
  folder.file("tokenizer.json", small_tokenizer_json().dump());
  const auto model = from_pretrained<gpt2<cpu>>(folder.path());
  REQUIRE(model.has_tokenizer());
  CHECK(model.tokenizer().decode(model.tokenizer().encode("hello")) == "hello");
}

TEST_CASE("A model of another family is refused with the type that fits") {
  const auto folder = temporary_folder();
  write_model_folder(folder.path(), random_weights(small));
  CHECK_THAT(refusal(error_kind::mismatch, [&] { from_pretrained<gpt_neox<cpu>>(folder.path()); }),
             ContainsSubstring("the model is a gpt2"));
}

TEST_CASE("A name becomes the model in the cache, and the folder's warnings come along") {
  const auto folder = temporary_folder();
  const auto source = random_weights(small);
  auto tensors = stored_weights(source);
  tensors["score.weight"] = io::store(host_matrix<float>(1, 1), {});
  write_model_folder(folder.path(), stored_config(small, true), tensors);
  const std::string commit(40, 'c');
  hub_cache cache;
  cache.add("owner/of-this-test", commit, folder.path());
  cache.refer("owner/of-this-test", "v1", commit);
  const environment_with where("HF_HUB_CACHE", cache.path());

  const auto model = from_pretrained<gpt2<cpu>>("owner/of-this-test@v1", cpu(1));
  CHECK(model.hash_of_weights() == gpt2<cpu>(source, cpu(1)).hash_of_weights());
  REQUIRE(model.warnings().size() == 1);
  CHECK_THAT(model.warnings().front(), ContainsSubstring("'score.weight'") and
                                           ContainsSubstring(cache.snapshot("owner/of-this-test", commit).string()));
  CHECK_THAT(refusal(error_kind::io, [] { from_pretrained<gpt2<cpu>>("owner/of-this-test"); }),
             ContainsSubstring("`hf download owner/of-this-test` downloads it"));
}

}  // namespace trimtab::test::from_pretrained_tests
