// SPDX-License-Identifier: Apache-2.0
#include "support/compositions.hpp"

namespace trimtab::test::steered_tests {

namespace {

/// Sees activations, so that a pass runs each function and hook on all rows before the next.
struct spectator {
  static constexpr bool is_watching = true;

  template <hook_site, typename T>
  static void saw(index_t, matrix_view<const T>, matrix_view<const T>) {}
};

/// Logits and gradient of a pass that skips nothing: every token is a row, and everything is computed again. Checks that
/// passes without a backward pass give the same logits, whether hooks work in place and row by row or beside and on
/// whole matrices.
template <typename Steering>
auto in_full(const Steering& composition, std::span<const prompt_pair> prompts, const std::vector<double>& strengths,
             const std::vector<float>& theta, const std::vector<float>& d_logits) {
  using model_type = typename Steering::model_type;
  using B = typename model_type::backend_type;
  const model_type& model = composition.model();
  const auto layout = composition.layout(prompts);
  const auto sequences = every_strength(static_cast<index_t>(prompts.size()), strengths);
  const binding<B> bound(model.backend(), model.config(), {layout}, prompts, sequences, scored::last);
  std::ranges::copy(theta, bound.theta().data);
  std::vector<std::vector<int>> ids;
  for (const sequence& s : sequences) ids.push_back(prompts[static_cast<std::size_t>(s.prompt)].ids);
  const batch<B> rows(model.backend(), model.config(), ids);
  workspace<B> memory(model.backend());
  const auto stream = memory.take(rows.rows(), model.config().width);
  const auto logits = memory.take(rows.queries(), model.config().vocabulary);
  model.embed(rows, stream);
  using hooked_pass = pass<model_type, typename Steering::hooks_type>;
  const layer_interval layers{0, model.config().layers};
  hooked_pass run(model, rows, layers, composition.hooks(bound), pass_use::forward_and_backward);
  run.unembed(run.forward(stream), logits);
  const auto again = memory.take(rows.queries(), model.config().vocabulary);
  hooked_pass in_place(model, rows, layers, composition.hooks(bound), pass_use::forward_only);
  in_place.unembed(in_place.forward(stream), again);
  CHECK(std::equal(again.data, again.data + again.size(), logits.data));
  pass<model_type, typename Steering::hooks_type, spectator> watched(model, rows, layers, composition.hooks(bound));
  watched.unembed(watched.forward(stream), again);
  CHECK(std::equal(again.data, again.data + again.size(), logits.data));
  const auto d = memory.take(rows.queries(), model.config().vocabulary);
  std::ranges::copy(d_logits, d.data);
  run.backward(d);
  return std::pair(std::vector<float>(logits.data, logits.data + logits.size()),
                   std::vector<float>(bound.gradient().data, bound.gradient().data + layout.size()));
}

/// Compares steps with changing parameters with passes that skip nothing.
template <typename Kind, int Shift>
void check_steps(const hooked_places& places) {
  const auto model = small_model<Kind, float>();
  const auto prompts = random_prompts(model.config(), {4, 1, 12, 7});
  const auto composition = hook_all_sites<Kind, Shift>(model, places);
  const std::vector<double> strengths{1, -0.7};
  repeated_pass pass(composition, prompts, strengths);
  for (std::uint64_t seed : {1u, 2u, 3u}) {
    const auto host = random_parameters(pass.layout(), seed).theta;
    const std::vector<float> theta(host.begin(), host.end());
    const auto z = pass.logits(theta);
    const auto d_logits = random_matrix<float>(1, static_cast<index_t>(z.size()), 8).values;
    const auto [full_z, full_gradient] = in_full(composition, prompts, strengths, theta, d_logits);
    CHECK(same_bits(z, full_z));
    CHECK(same_bits(pass.gradient(theta, d_logits), full_gradient));
  }
}

}  // namespace

TEMPLATE_TEST_CASE("Reusing what parameters cannot change gives the same bits as computing it again", "", small_gpt2,
                   small_neox_parallel, small_neox_sequential) {
  const std::vector<position_key> keys{positions::shared(), positions::from_end(3), positions::role({"end"}),
                                       positions::role({"subject"})};
  for (std::size_t site = 0; site < std::tuple_size_v<sites_of<TestType>>; ++site)
    for (std::size_t k = 0; k < keys.size(); ++k)
      for (index_t layer : {0, 1, 2}) {
        CAPTURE(site, k, layer);
        check_steps<TestType, 0>(hooked_places::only<TestType>(site, layers::list({layer}), keys[k]));
      }
  check_steps<TestType, 1>(hooked_places::everywhere<TestType>({positions::from_end(2), positions::role({"end"})}));
  check_steps<TestType, 2>(hooked_places::everywhere<TestType>({positions::shared(), positions::from_end(2)}));
}

TEST_CASE("A composition in no layer can still be stepped") {
  auto places = hooked_places::everywhere<small_gpt2>({positions::shared()});
  for (layer_set& in : places.layers) in = layers::none();
  check_steps<small_gpt2, 0>(places);
}

}  // namespace trimtab::test::steered_tests
