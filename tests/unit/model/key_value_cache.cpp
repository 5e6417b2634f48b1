// SPDX-License-Identifier: Apache-2.0
#include <trimtab/backend/eigen.hpp>
#include <trimtab/model/key_value_cache.hpp>
#include <trimtab/model/pass.hpp>
#include <trimtab/steer/baseline.hpp>

#include "support/refusal.hpp"
#include "support/small_models.hpp"

#include <algorithm>

namespace trimtab::test::key_value_cache_tests {

namespace {

template <typename Model>
class growing {
 public:
  using B = typename Model::backend_type;

  growing(const Model& model, index_t slots) : model_(model), cache_(model.backend(), model.config(), slots) {}

  /// Logits of the last token of each text, or of all rows; the texts' first `past` tokens are in the cache.
  host_matrix<typename B::scalar> logits(const std::vector<std::vector<int>>& texts, const std::vector<int>& past,
                                         const std::vector<int>& slots, scored where = scored::last) {
    const batch<B> rows(model_.backend(), model_.config(), texts, where, past, {&cache_, slots});
    workspace<B> memory(model_.backend());
    const auto stream = memory.take(rows.rows(), model_.config().width);
    const auto found = memory.take(rows.queries(), model_.config().vocabulary);
    model_.embed(rows, stream);
    pass<Model> run(model_, rows, {0, model_.config().layers});
    run.unembed(run.forward(stream), found);
    return model_.backend().download(found);
  }

 private:
  const Model& model_;
  key_value_cache<B> cache_;
};

std::vector<int> first(const std::vector<int>& ids, std::size_t count) {
  return {ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(count)};
}

}  // namespace

TEMPLATE_TEST_CASE("A text that grows has the logits of the whole text, bit for bit", "", small_gpt2,
                   small_neox_parallel, small_neox_sequential) {
  const auto config = TestType::config();
  for (int threads : {1, 2}) {
    using B = eigen_backend<float>;
    using model_type = typename TestType::template model<B>;
    const model_type model(random_weights(config, 1), B(threads));
    const auto prompts = random_prompts(config, {12, 9, 5});
    const auto &a = prompts[0].ids, &b = prompts[1].ids, &c = prompts[2].ids;
    const auto whole = [&](const std::vector<int>& ids) { return logits(model, std::span(&ids, 1)).values; };
    growing texts(model, 2);
    texts.logits({first(a, 5), first(b, 2)}, {0, 0}, {1, 0});
    for (std::size_t n = 0; n < 7; ++n) {
      const auto found =
          texts.logits({first(a, 6 + n), first(b, 3 + n)}, {static_cast<int>(5 + n), static_cast<int>(2 + n)}, {1, 0});
      CHECK(std::ranges::equal(std::span(found.view().row(0), found.view().row(1)), whole(first(a, 6 + n))));
      CHECK(std::ranges::equal(std::span(found.view().row(1), static_cast<std::size_t>(found.cols)),
                               whole(first(b, 3 + n))));
    }
    // One text ends, another takes its slot while the first has its last four tokens computed again.
    const auto found = texts.logits({c, a}, {0, 8}, {0, 1}, scored::all);
    CHECK(found.rows == 5 + 4);
    const auto all_of_c = logits(model, std::span(&c, 1), scored::all),
               all_of_a = logits(model, std::span(&a, 1), scored::all);
    CHECK(std::equal(all_of_c.values.begin(), all_of_c.values.end(), found.view().row(0)));
    CHECK(std::equal(all_of_a.view().row(8), all_of_a.view().row(0) + all_of_a.values.size(), found.view().row(5)));
  }
}

}  // namespace trimtab::test::key_value_cache_tests
