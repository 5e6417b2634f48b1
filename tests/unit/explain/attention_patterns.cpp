// SPDX-License-Identifier: Apache-2.0
#include <trimtab/compose.hpp>

#include "examples/circuits/known_circuits.hpp"
#include "support/explained.hpp"
#include "support/refusal.hpp"

namespace trimtab::test::attention_patterns_tests {

using namespace circuits;
using Catch::Matchers::ContainsSubstring;

namespace {

std::vector<explain::head_of_layer> all_heads(const model_config& config) {
  std::vector<explain::head_of_layer> heads;
  for (index_t l = 0; l < config.layers; ++l)
    for (index_t h = 0; h < config.heads; ++h) heads.push_back({l, h});
  return heads;
}

}  // namespace

TEMPLATE_TEST_CASE("a pattern times the values is what the head hands on", "", small_gpt2, small_neox_parallel,
                   small_neox_sequential) {
  const auto model = small_model<TestType, double>();
  using model_type = std::remove_const_t<decltype(model)>;
  const model_config& config = model.config();
  const auto prompts = random_prompts(config, {4, 1, 5});
  const auto heads = all_heads(config);
  const auto patterns = explain::attention_patterns(model, std::span<const prompt_pair>(prompts), heads);
  const auto z = activations(model, prompts, {"attn_z"}).at("attn_z");

  std::vector<host_matrix<double>> qkv;
  const batch<typename model_type::backend_type> rows(model.backend(), config, ids_of(prompts));
  workspace<typename model_type::backend_type> memory(model.backend());
  const auto x = memory.take(rows.rows(), config.width);
  model.embed(rows, x);
  pass<model_type> run(model, rows, {0, config.layers});
  run.forward(x, [&](index_t, auto of_layer) { qkv.push_back(model.backend().download(of_layer.as_const())); });

  index_t first = 0;
  for (std::size_t n = 0; n < prompts.size(); first += std::ssize(prompts[n++].ids))
    for (std::size_t k = 0; k < heads.size(); ++k) {
      const auto [layer, head] = heads[k];
      const auto& p = patterns[n][k];
      REQUIRE(p.rows == std::ssize(prompts[n].ids));
      for (index_t i = 0; i < p.rows; ++i) {
        double sum = 0;
        for (index_t j = 0; j < p.cols; ++j) {
          if (j > i) CHECK(p(i, j) == 0);
          sum += p(i, j);
        }
        CHECK(std::abs(sum - 1) < 1e-14);
        for (index_t c = 0; c < config.head_width(); ++c) {
          double read = 0;
          for (index_t j = 0; j <= i; ++j)
            read += p(i, j) *
                    qkv[static_cast<std::size_t>(layer)](first + j, 2 * config.width + head * config.head_width() + c);
          CHECK(std::abs(read - z[static_cast<std::size_t>(layer)]((first + i) * config.heads + head, c)) < 1e-13);
        }
      }
    }
}

TEST_CASE("a pattern does not depend on other prompts, other heads or the memory") {
  const auto model = small_model<small_neox_parallel, double>();
  const auto prompts = random_prompts(model.config(), {4, 3, 5});
  const std::span<const prompt_pair> all = prompts;
  const auto heads = all_heads(model.config());
  const auto together = explain::attention_patterns(model, all, heads);
  const auto apart = explain::attention_patterns(model, all, heads, 20'000);
  for (std::size_t n = 0; n < prompts.size(); ++n)
    for (std::size_t k = 0; k < heads.size(); ++k) {
      CHECK(apart[n][k].values == together[n][k].values);
      const auto alone = explain::attention_patterns(model, all.subspan(n, 1), std::span(heads).subspan(k, 1));
      CHECK(alone[0][0].values == together[n][k].values);
    }
}

TEMPLATE_TEST_CASE("the head that copies the subject looks at nothing else", "", gpt2<eigen_backend<double>>,
                   gpt_neox<eigen_backend<double>>) {
  const circuit_weights weights(circuit::copying, TestType::architecture::residual == residual_form::parallel);
  const TestType model(weights, eigen_backend<double>(1));
  const auto prompts = weights.prompts(6);
  const explain::head_of_layer copies{1, 0};
  const auto patterns = explain::attention_patterns(model, std::span<const prompt_pair>(prompts), {&copies, 1});
  for (std::size_t n = 0; n < prompts.size(); ++n)
    CHECK(patterns[n][0](patterns[n][0].rows - 1, prompts[n].roles.at("subject").first) == 1);
}

TEST_CASE("heads that the model lacks, and memory that does not do, are refused") {
  const auto model = small_model<small_gpt2, double>();
  const auto prompts = random_prompts(model.config(), {4});
  const auto refused = [&](error_kind kind, std::vector<explain::head_of_layer> heads, index_t memory = 0) {
    return refusal(kind,
                   [&] { explain::attention_patterns(model, std::span<const prompt_pair>(prompts), heads, memory); });
  };
  using enum error_kind;
  CHECK_THAT(refused(bad_argument, {}), ContainsSubstring("no heads"));
  CHECK_THAT(refused(bad_argument, {{0, 1}, {3, 0}}), ContainsSubstring("layers are 0 to 2"));
  CHECK_THAT(refused(bad_argument, {{0, 2}}), ContainsSubstring("no head 0.2; each layer has heads 0 to 1"));
  CHECK_THAT(refused(memory, {{0, 0}}, 100), ContainsSubstring("that are left for them"));
}

}  // namespace trimtab::test::attention_patterns_tests
