// SPDX-License-Identifier: Apache-2.0
#include "support/compositions.hpp"

namespace trimtab::test::batch_mates_tests {

namespace {

/// A model that is large enough for the work to be divided among threads.
template <typename Kind>
model_config wide_config() {
  auto config = Kind::config();
  config.width = 70;
  config.hidden = 210;
  config.vocabulary = 301;
  config.context = 40;
  return config;
}

template <typename Kind, typename T>
auto wide_model(int threads) {
  return typename Kind::template model<eigen_backend<T>>(random_weights(wide_config<Kind>(), 3),
                                                         eigen_backend<T>(threads));
}

std::vector<prompt_pair> ragged_prompts(const model_config& config) {
  return random_prompts(config, {7, 31, 1, 40, 13, 2, 33, 18, 26, 5, 40, 38});
}

template <typename T>
bool equal_rows(const host_matrix<T>& some, const host_matrix<T>& all, index_t first) {
  return std::memcmp(some.values.data(), all.view().row(first), some.values.size() * sizeof(T)) == 0;
}

template <typename Kind, typename T>
void check_batch_mates() {
  const auto model = wide_model<Kind, T>(1);
  const auto prompts = ragged_prompts(model.config());
  const auto composition =
      hook_all_sites<Kind, 1>(model, hooked_places::everywhere<Kind>({positions::from_end(9), positions::shared()}));
  const auto values = random_parameters(composition.layout(prompts));
  for (scored where : {scored::last, scored::all}) {
    const auto untouched = logits(model, ids_of(prompts), where);
    const auto steered_together = steered_logits(composition, values, prompts, 0.8, where);
    index_t row = 0;
    for (const auto& p : prompts) {
      const std::vector<prompt_pair> alone{p};
      CAPTURE(p.ids.size(), where == scored::all);
      CHECK(equal_rows(logits(model, ids_of(alone), where), untouched, row));
      CHECK(equal_rows(steered_logits(composition, values, alone, 0.8, where), steered_together, row));
      row += where == scored::all ? static_cast<index_t>(p.ids.size()) : 1;
    }
    CHECK(row == untouched.rows);
  }
}

template <typename Kind, typename T>
void check_thread_numbers() {
  const auto run = [](int threads) {
    const auto model = wide_model<Kind, T>(threads);
    const auto prompts = ragged_prompts(model.config());
    const auto composition =
        hook_all_sites<Kind, 1>(model, hooked_places::everywhere<Kind>({positions::from_end(9), positions::shared()}));
    repeated_pass pass(composition, prompts, {1, -1});
    const auto host = random_parameters(pass.layout()).theta;
    const std::vector<T> theta(host.begin(), host.end());
    const auto z = pass.logits(theta);
    return std::pair(z, pass.gradient(theta, z));
  };
  const auto [z, gradient] = run(1);
  for (int threads : {2}) {
    const auto [other_z, other_gradient] = run(threads);
    CHECK(same_bits(other_z, z));
    CHECK(same_bits(other_gradient, gradient));
  }
}

}  // namespace

TEMPLATE_TEST_CASE("Fact 5: a prompt's logits do not depend on its batch mates, bit for bit", "", small_gpt2,
                   small_neox_parallel, small_neox_sequential) {
  check_batch_mates<TestType, float>();
}

TEST_CASE("Fact 5: nor do they in double precision") { check_batch_mates<small_gpt2, double>(); }

TEMPLATE_TEST_CASE("Logits and gradients do not depend on the number of threads, bit for bit", "", small_gpt2,
                   small_neox_parallel, small_neox_sequential) {
  check_thread_numbers<TestType, float>();
}

}  // namespace trimtab::test::batch_mates_tests
