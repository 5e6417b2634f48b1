// SPDX-License-Identifier: Apache-2.0
#include <trimtab/compose.hpp>

#include "support/exchanged.hpp"
#include "support/refusal.hpp"

namespace trimtab::test::ablation_tests {

namespace {

using enum explain::ablation_kind;

/// Compares each place with a run of its own whose activations are `replacement(site, layer, prompt, token, heads)`.
template <typename Kind, typename T, typename Replacement>
void check_each_place(const std::vector<prompt_pair>& prompts, const explain::place_map& map, Replacement replacement) {
  const auto model = small_model<Kind, T>();
  for (std::size_t n = 0; n < prompts.size(); ++n) {
    const prompt_pair& p = prompts[n];
    const double untouched = plain_difference(model, p.ids, p);
    each_site<Kind>([&]<typename Site>(Site, const std::string& name, index_t heads) {
      CAPTURE(n, name);
      const parameter_block& block = map.block(name);
      for (index_t l = 0; l < 3; ++l)
        for (int i = 0; i < static_cast<int>(p.ids.size()); ++i) {
          const double ablated = steered_difference<Site>(model, p.ids, p, l, {i, i + 1}, explain::interchange{},
                                                          replacement(name, l, n, i, heads));
          CHECK(map.per_prompt[n][static_cast<std::size_t>(block.layer_offset(l) + i)] == untouched - ablated);
        }
    });
  }
}

}  // namespace

TEMPLATE_TEST_CASE("zero ablation is ActivScalar with alpha = -1", "", small_gpt2, small_neox_parallel,
                   small_neox_sequential) {
  const auto check = [&]<typename T>(T) {
    const auto model = small_model<TestType, T>();
    const auto prompts = random_prompts(model.config(), {4, 1, 3});
    const auto map = explain::ablation(model, prompts, {.sites = all_sites<TestType>(), .per_head = true});
    for (std::size_t n = 0; n < prompts.size(); ++n) {
      const prompt_pair& p = prompts[n];
      const double untouched = plain_difference(model, p.ids, p);
      each_site<TestType>([&]<typename Site>(Site, const std::string& name, index_t heads) {
        CAPTURE(n, name);
        for (index_t l = 0; l < 3; ++l)
          for (int i = 0; i < static_cast<int>(p.ids.size()); ++i)
            for (index_t head = 0; head < heads; ++head) {
              std::vector<double> alpha(static_cast<std::size_t>(heads));
              alpha[static_cast<std::size_t>(head)] = -1;
              const double ablated =
                  steered_difference<Site>(model, p.ids, p, l, {i, i + 1}, policy::activ_scalar{}, alpha);
              CHECK(map.per_prompt[n][static_cast<std::size_t>(map.block(name).layer_offset(l) + i * heads + head)] ==
                    untouched - ablated);
            }
      });
    }
    CHECK(std::isnan(map.corrupt));
  };
  check(double{});
  check(float{});
}

TEMPLATE_TEST_CASE("mean ablation takes the mean over the prompts that have the place", "", small_gpt2,
                   small_neox_parallel) {
  const auto model = small_model<TestType, double>();
  const auto prompts = random_prompts(model.config(), {4, 1, 3});
  const auto map = explain::ablation(model, prompts, {.sites = all_sites<TestType>(), .ablate = mean});
  std::vector<activation_map<double>> of;
  for (const prompt_pair& p : prompts) of.push_back(activations(model, std::span(&p.ids, 1), all_sites<TestType>()));
  check_each_place<TestType, double>(
      prompts, map, [&](const std::string& name, index_t l, std::size_t, int i, index_t heads) {
        std::vector<double> sum;
        int count = 0;
        for (std::size_t n = 0; n < prompts.size(); ++n) {
          if (i >= static_cast<int>(prompts[n].ids.size())) continue;
          const auto h = activations_of(of[n].at(name)[static_cast<std::size_t>(l)], i, heads);
          sum.resize(h.size());
          for (std::size_t j = 0; j < h.size(); ++j) sum[j] += h[j];
          ++count;
        }
        for (double& x : sum) x /= count;
        return sum;
      });
}

TEMPLATE_TEST_CASE("resampling takes another prompt's activations at the place", "", small_gpt2, small_neox_parallel) {
  const auto model = small_model<TestType, double>();
  const auto prompts = random_prompts(model.config(), {4, 3});
  const explain::options chosen{.sites = all_sites<TestType>(), .ablate = resample};
  const auto map = explain::ablation(model, prompts, chosen);
  const prompt_pair &longer = prompts[0], &shorter = prompts[1];
  CHECK(map.counts[3] == 0);  // only one prompt has a fourth token
  CHECK(std::isnan(map.scores[3]));
  const auto of_longer = activations(model, std::span(&longer.ids, 1), all_sites<TestType>());
  const auto of_shorter = activations(model, std::span(&shorter.ids, 1), all_sites<TestType>());
  // With two prompts, each gets the other's.
  const double untouched = plain_difference(model, shorter.ids, shorter);
  each_site<TestType>([&]<typename Site>(Site, const std::string& name, index_t heads) {
    CAPTURE(name);
    for (index_t l = 0; l < 3; ++l)
      for (int i = 0; i < 3; ++i) {
        const auto at = [&](const auto& of) {
          return activations_of(of.at(name)[static_cast<std::size_t>(l)], i, heads);
        };
        const auto place = static_cast<std::size_t>(map.block(name).layer_offset(l) + i);
        CHECK(map.per_prompt[1][place] == untouched - steered_difference<Site>(model, shorter.ids, shorter, l,
                                                                               {i, i + 1}, explain::interchange{},
                                                                               at(of_longer)));
        CHECK(map.per_prompt[0][place] == plain_difference(model, longer.ids, longer) -
                                              steered_difference<Site>(model, longer.ids, longer, l, {i, i + 1},
                                                                       explain::interchange{}, at(of_shorter)));
      }
  });
}

TEMPLATE_TEST_CASE("an ablation depends neither on other places, memory nor threads, resampling on its seed", "",
                   small_gpt2, small_neox_parallel) {
  const auto model = small_model<TestType, float>();
  const auto prompts = random_prompts(model.config(), {5, 3, 1, 6, 5});
  for (const auto kind : {zero, mean, resample}) {
    const explain::options chosen{.sites = all_sites<TestType>(), .positions = positions::from_end(), .ablate = kind};
    const auto whole = explain::ablation(model, prompts, chosen);
    auto fewer = chosen;
    fewer.sites = {"mlp_out"}, fewer.layers = layers::list({1});
    const auto part = explain::ablation(model, prompts, fewer);
    for (index_t i = 0; i < 5; ++i)
      CHECK(part.score(part.block("mlp_out"), 1, i) == whole.score(whole.block("mlp_out"), 1, i));
    auto tight = chosen;
    tight.memory = 150'000;
    CHECK(same_bits(explain::ablation(model, prompts, tight).scores, whole.scores));
    CHECK(same_bits(explain::ablation(small_model<TestType, float>(3), prompts, chosen).scores, whole.scores));
    auto other_seed = chosen;
    other_seed.seed = 2;
    CHECK(same_bits(explain::ablation(model, prompts, other_seed).scores, whole.scores) == (kind != resample));
  }
  CHECK_THAT(refusal(error_kind::bad_data,
                     [&] { explain::ablation(model, std::span(prompts).first(1), {.ablate = resample}); }),
             Catch::Matchers::ContainsSubstring("there is only one"));
}

}  // namespace trimtab::test::ablation_tests
