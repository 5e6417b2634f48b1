// SPDX-License-Identifier: Apache-2.0
#include <trimtab/compose.hpp>
#include <trimtab/train/sweep.hpp>

#include "support/compositions.hpp"
#include "support/refusal.hpp"
#include "support/thread_ranks.hpp"

#include <algorithm>
#include <cmath>
#include <set>

namespace trimtab::test::chunks_tests {

using Catch::Matchers::ContainsSubstring;
using objective::effectiveness, objective::faithfulness, objective::minimality;

namespace {

template <typename Kind>
const auto& model_of() {
  static const auto m = small_model<Kind, double>();
  return m;
}
const auto& model() { return model_of<small_gpt2>(); }

/// Interventions above the first layer, so that something runs below them.
template <typename Model>
auto composed(const Model& m, const position_key& key) {
  return steer(m, at(site::attn_out{}, policy::activ_scalar{}, layers::range(1, 2), key),
               at(site::resid_post{}, policy::steer_vec{}, layers::range(1, 1), key));
}
auto composed(const position_key& key = positions::from_end(2)) { return composed(model(), key); }

auto weighed() { return effectiveness{.margin = 1} + 0.5 * faithfulness{} + 0.002 * minimality{}; }

const std::vector<int> lengths{5, 3, 7, 4, 6, 3, 5};
std::vector<prompt_pair> seven_prompts() { return random_prompts(model().config(), lengths); }

/// What the tree should give: both halves of the largest power of two below the count, and the rest.
float sum_along_tree(std::span<const float> parts) {
  if (parts.size() == 1) return parts[0];
  std::size_t left = 1;
  while (2 * left < parts.size()) left *= 2;
  return sum_along_tree(parts.first(left)) + sum_along_tree(parts.subspan(left));
}

}  // namespace

TEST_CASE("Parts are added along a tree that depends on their number alone") {
  const eigen_backend<float> cpu(1);
  random_generator random(3);
  tree_sum<eigen_backend<float>> sum(cpu, 2);
  bool order_matters = false;
  for (std::size_t count = 1; count <= 19; ++count) {
    std::vector<float> parts;
    for (std::size_t k = 0; k < count; ++k) parts.push_back(static_cast<float>(random.normal()));
    sum.begin();
    float in_order = 0;
    for (float part : parts) {
      const float both[] = {part, -2 * part};
      sum.add({both, 1, 2});
      in_order += part;
    }
    float total[2];
    sum.total({total, 1, 2});
    CAPTURE(count);
    CHECK(total[0] == sum_along_tree(parts));
    CHECK(total[1] == -2 * sum_along_tree(parts));
    order_matters = order_matters or total[0] != in_order;
  }
  CHECK(order_matters);
  float none[] = {1, 1};
  sum.begin();
  sum.total({none, 1, 2});
  CHECK((none[0] == 0 and none[1] == 0));
}

TEST_CASE("Partial sums of runs of parts make the same tree") {
  const eigen_backend<float> cpu(1);
  random_generator random(5);
  std::vector<float> parts(13);
  for (float& part : parts) part = static_cast<float>(random.normal());
  for (index_t a = 0; a <= 13; ++a)
    for (index_t b = a; b <= 13; ++b) {
      tree_sum<eigen_backend<float>> all(cpu, 1);
      all.begin();
      for (const auto& [first, last] : {std::pair<index_t, index_t>(0, a), {a, b}, {b, 13}}) {
        tree_sum<eigen_backend<float>> own(cpu, 1);
        own.begin(first);
        for (index_t k = first; k < last; ++k) own.add({&parts[static_cast<std::size_t>(k)], 1, 1});
        const auto of = subtrees_of(first, last);
        std::size_t n = 0;
        own.each_partial([&](matrix_view<const float> sum) { all.add(sum, of.at(n++).level); });
        CHECK(n == of.size());
        CHECK(n <= 6);
      }
      float total[1];
      all.total({total, 1, 1});
      CAPTURE(a, b);
      CHECK(total[0] == sum_along_tree(parts));
    }
  CHECK(subtrees_of(3, 9) == std::vector<subtree>{{3, 0}, {4, 2}, {8, 0}});
}

TEST_CASE("Each epoch of mini-batches sees every prompt once, in an order of its own") {
  const mini_batches batches{.size = 4, .seed = 9};
  CHECK(batches.an_epoch(10) == 3);
  std::set<std::vector<index_t>> orders;
  for (index_t epoch = 0; epoch < 5; ++epoch) {
    std::vector<index_t> order;
    for (index_t b = 0; b < 3; ++b) {
      const auto batch = prompts_of_step(10, batches, 3 * epoch + b);
      CHECK(batch.size() == (b < 2 ? 4 : 2));
      CHECK(batch == prompts_of_step(10, batches, 3 * epoch + b));
      order.insert(order.end(), batch.begin(), batch.end());
    }
    orders.insert(order);
    CHECK(order != prompts_of_step(10, {.size = 10, .seed = 10}, epoch));
    std::ranges::sort(order);
    CHECK(order == prompts_of_step(10, {}, 7));
  }
  CHECK(orders.size() == 5);
  CHECK(prompts_of_step(3, {.size = 50, .seed = 1}, 4).size() == 3);
}

TEST_CASE("A baseline made again from the stream that left it has the same bits") {
  const auto prompts = ids_of(seven_prompts());
  for (index_t first : {0, 2}) {
    const baseline whole(model(), prompts, first);
    const baseline again(model(), prompts, first, whole.leaving());
    const auto& cpu = model().backend();
    CHECK(same_bits(cpu.download(again.logits()).values, cpu.download(whole.logits()).values));
    CHECK(same_bits(cpu.download(again.stream()).values, cpu.download(whole.stream()).values));
    CHECK(same_bits(cpu.download(again.leaving()).values, cpu.download(whole.leaving()).values));
  }
}

TEMPLATE_TEST_CASE("A fit in chunks is the fit of all prompts at once, up to rounding", "", small_gpt2,
                   small_neox_parallel, small_neox_sequential) {
  const auto& m = model_of<TestType>();
  const auto prompts = seven_prompts();
  for (const auto& key : {positions::from_end(2), positions::shared(), positions::role({"subject"})}) {
    const trainer t(composed(m, key), weighed(), adam{.learning_rate = 0.02});
    const auto whole = t.fit(prompts, {.steps = 6});
    CHECK(largest(whole.values.theta) > .01);
    for (index_t chunk : {1, 3, 6}) {
      const auto cut = t.fit(prompts, {.steps = 6, .chunk = chunk});
      CAPTURE(key.text(), chunk);
      CHECK(largest_difference(cut.values.theta, whole.values.theta) < 1e-11);
      REQUIRE(cut.history.size() == whole.history.size());
      for (std::size_t s = 0; s < whole.history.size(); ++s)
        for (std::size_t k = 0; k < 3; ++k)
          CHECK(std::abs(cut.history[s].terms[k].value - whole.history[s].terms[k].value) < 1e-11);
    }
    CHECK(same_bits(t.fit(prompts, {.steps = 6, .chunk = 7}).values.theta, whole.values.theta));
  }
}

TEST_CASE("The losses of sequences are in the order of prompts and strengths, however they are cut") {
  const trainer t(composed(), weighed());
  auto whole = t.start(seven_prompts()), cut = t.start(seven_prompts(), {.chunk = 3});
  whole.step();
  cut.step();
  for (std::size_t term : {0u, 1u}) {
    const auto &here = cut.loss().terms[term].per_sequence, &there = whole.loss().terms[term].per_sequence;
    REQUIRE(here.size() == 14);
    CHECK(largest_difference(here, there) < 1e-11);
    CHECK(std::set(here.begin(), here.end()).size() > 7);
  }
}

TEST_CASE("A fit in chunks has the same bits on any number of threads, beside others, and resumed") {
  const auto prompts = seven_prompts();
  const trainer t(composed(), weighed(), adam{.learning_rate = 0.02});
  const auto alone = t.fit(prompts, {.steps = 5, .chunk = 2});

  const auto with_two = small_model<small_gpt2, double>(2);
  REQUIRE(with_two.hash_of_weights() == model().hash_of_weights());
  CHECK(same_bits(trainer(composed(with_two, positions::from_end(2)), weighed(), adam{.learning_rate = 0.02})
                      .fit(prompts, {.steps = 5, .chunk = 2})
                      .values.theta,
                  alone.values.theta));

  // Replicas with fewer prompts and with more, cut elsewhere and in batches, that end earlier and later.
  auto others = random_prompts(model().config(), {4, 4, 6, 3, 5, 4, 4, 3, 8}, 5);
  others.push_back(prompts[2]);
  auto fewer = t.replica_of(std::span(prompts).first(2), {.chunk = 5}, 3);
  auto more = t.replica_of(others, {.chunk = 3, .batches = {.size = 7}}, 8);
  auto its_own = t.replica_of(prompts, {.chunk = 2}, 5);
  const auto together = t.fit_all({fewer, its_own, more});
  CHECK(same_bits(together[0].values.theta, t.fit_all({fewer})[0].values.theta));
  CHECK(same_bits(together[1].values.theta, alone.values.theta));
  CHECK(together[1].history == alone.history);
  CHECK(same_bits(together[2].values.theta, t.fit_all({more})[0].values.theta));
  CHECK(together[2].history == t.fit_all({more})[0].history);

  for (const fit_options& cut : {fit_options{.chunk = 2}, fit_options{.chunk = 2, .batches = {.size = 5, .seed = 3}}}) {
    auto run = t.start(prompts, cut);
    while (run.step() < 2) {
    }
    auto options = cut;
    options.resume_from = run.state();
    auto resumed = t.start(prompts, options);
    while (run.step() < 5) {
    }
    while (resumed.step() < 5) {
    }
    CHECK(same_bits(resumed.result().values.theta, run.result().values.theta));
    CHECK(resumed.result().history == run.result().history);

    options.chunk = 3;
    options.batches.seed = 4;
    const auto refused = refusal(error_kind::mismatch, [&] { t.start(prompts, options); });
    CHECK_THAT(refused, ContainsSubstring("prompts in a chunk was 2 and is now 3"));
    if (cut.batches.size > 0) CHECK_THAT(refused, ContainsSubstring("seed of the batches was 3 and is now 4"));
  }
}

TEST_CASE("Any number of ranks has the bits of one, and resumes what another number began") {
  const auto prompts = seven_prompts();
  for (const fit_options& options :
       {fit_options{.steps = 4, .chunk = 2}, fit_options{.steps = 4, .chunk = 1, .batches = {.size = 5}},
        fit_options{.steps = 4}}) {
    const auto fit_on = [&](const any_communicator& ranks) {
      return trainer(composed(), weighed(), adam{.learning_rate = 0.02}, ranks);
    };
    const auto alone_ = fit_on({}).fit(prompts, options);
    auto begun = fit_on({}).start(prompts, options);
    while (begun.step() < 2) {
    }
    auto resumed = options;
    resumed.resume_from = begun.state();
    for (int count : {1, 2, 3, 5}) {
      std::vector<char> same(static_cast<std::size_t>(count)), goes_on(same),
          history(same);  // not bool: no two share a byte
      thread_ranks::run(count, [&](const thread_ranks& own) {
        const auto result = fit_on(own).fit(prompts, options);
        const auto after = fit_on(own).fit(prompts, resumed);
        const auto n = static_cast<std::size_t>(own.rank());
        same[n] = same_bits(result.values.theta, alone_.values.theta);
        goes_on[n] = same_bits(after.values.theta, alone_.values.theta);
        history[n] = result.history == alone_.history and after.history == alone_.history;
      });
      CAPTURE(count, options.chunk);
      CHECK(same == std::vector<char>(same.size(), 1));
      CHECK(goes_on == same);
      CHECK(history == same);
    }
  }
}

TEST_CASE("After the first step there is the gradient of each replica where it started") {
  const auto prompts = random_prompts(model().config(), {4, 5, 4, 6});
  const index_t chunk = GENERATE(0, 2);
  const auto fits = trainer(composed(), weighed(), adam{.learning_rate = 0.1});
  auto low = fits.replica_of(prompts, {.chunk = chunk}), high = low;
  high.start = random_start(composed(), prompts, 0.2, 1);
  auto run = fits.start({low, high});
  const std::vector before{run.result(0).values, run.result(1).values};
  run.step();
  for (std::size_t r = 0; r < 2; ++r) {
    const auto own = run.first_gradient(r);
    const auto wanted = objective_and_gradient(composed(), weighed(), before[r], prompts).gradient;
    REQUIRE(own.size() == wanted.size());
    for (std::size_t i = 0; i < own.size(); ++i) CHECK(std::abs(own[i] - wanted[i]) < 1e-13);
  }
}

TEST_CASE("A step of a mini-batch is a step on its prompts alone") {
  const auto prompts = seven_prompts();
  const mini_batches batches{.size = 3, .seed = 5};
  const trainer t(composed(), weighed(), adam{.learning_rate = 0.02});
  const auto run = t.fit(prompts, {.steps = 4, .batches = batches});
  std::optional<parameters> at;
  for (index_t step = 0; step < 4; ++step) {
    std::vector<prompt_pair> seen;
    for (index_t n : prompts_of_step(7, batches, step)) seen.push_back(prompts[static_cast<std::size_t>(n)]);
    const auto here = t.fit(seen, {.steps = step == 0 ? 1 : 0, .start = at});
    CHECK(here.history.front() == run.history[static_cast<std::size_t>(step)]);
    at = t.fit(prompts, {.steps = step + 1, .batches = batches}).values;
    if (step == 0) CHECK(same_bits(here.values.theta, at->theta));
  }
  CHECK(same_bits(at->theta, run.values.theta));
}

TEST_CASE("A step that is broken off leaves the fit as it was") {
  const trainer t(composed(), weighed(), adam{.learning_rate = 0.02});
  const auto straight = t.fit(seven_prompts(), {.steps = 3, .chunk = 2});
  auto run = t.start(seven_prompts(), {.chunk = 2});
  run.step();
  const fit_state before = run.state();
  run.step();
  std::vector<index_t> seen;
  run.watch([&](const chunk_progress& now) {
    CHECK(now.chunks == 4);
    seen.push_back(now.done);
    return now.done < 2;
  });
  CHECK_THROWS_AS(run.step(), step_broken_off);
  CHECK_THROWS_AS(run.step(), step_broken_off);
  CHECK(seen == std::vector<index_t>{0, 1, 2, 0, 1, 2});
  CHECK(run.steps() == 2);
  run.watch({});
  run.step();
  CHECK(same_bits(run.result().values.theta, straight.values.theta));
  CHECK(run.result().history == straight.history);

  auto again = t.start(seven_prompts(), {.chunk = 2, .resume_from = before});
  again.step(), again.step();
  CHECK(same_bits(again.result().values.theta, straight.values.theta));
}

TEST_CASE("Where nobody sets a chunk, it is as many of the longest prompt as save the usual bytes") {
  const auto prompts = seven_prompts();
  const auto layout = composed(positions::shared()).layout(prompts);
  const std::vector<double> strengths{1, -1};
  const auto at = [&](std::span<const prompt_pair> some) {
    return bytes_of_step<float>(model().config(), layout, some, strengths).activations;
  };
  const index_t longest = at(std::span(prompts).subspan(2, 1));
  CHECK(longest > at(std::span(prompts).first(1)));
  CHECK(usual_chunk<float>(model().config(), layout, prompts, strengths, 5 * longest) == 5);
  CHECK(usual_chunk<float>(model().config(), layout, prompts, strengths, 5 * longest - 1) == 4);
  CHECK(usual_chunk<float>(model().config(), layout, prompts, strengths, 1) == 1);
  CHECK(usual_chunk<float>(model().config(), layout, prompts, strengths) == usual_chunk_bytes / longest);
  CHECK_THAT(refusal(error_kind::bad_argument, [&] { trainer(composed(), weighed()).fit(prompts, {.chunk = -1}); }),
             ContainsSubstring("in a chunk is negative"));
}

}  // namespace trimtab::test::chunks_tests
