// SPDX-License-Identifier: Apache-2.0

#include <trimtab/explain/ablation.hpp>
#include <trimtab/explain/attention_patterns.hpp>
#include <trimtab/explain/attribution.hpp>
#include <trimtab/explain/direct_logit.hpp>
#include <trimtab/explain/logit_lens.hpp>
#include <trimtab/explain/patching.hpp>
#include <trimtab/io/files/safetensors.hpp>
#include <trimtab/io/json/json.hpp>

#include "parity/models.hpp"
#include "support/catch.hpp"

#include <cmath>

namespace trimtab::test::explain_tests {

// The scores of places against those of explain.py, whose head describes the files, and those of TransformerLens, which
// explain_elsewhere.py has stored in files of the same form.

namespace {

using enum explain::metric_kind;
using enum explain::attribution_kind;
using enum explain::patch_direction;

const std::filesystem::path root = TRIMTAB_SOURCE_DIR;

struct explained {
  std::vector<prompt_pair> prompts = {};
  index_t steps = 0;
  io::safetensors_file values;

  explicit explained(const std::filesystem::path& folder) : values(folder / "explain.safetensors") {
    const io::json from = io::read_json_file(folder / "explain.json");
    for (const io::json& p : from.at("prompts")) {
      prompt_pair pair;
      p.at("ids").get_to(pair.ids);
      p.at("corrupt_ids").get_to(pair.corrupt_ids);
      p.at("correct_id").get_to(pair.correct_id);
      p.at("wrong_id").get_to(pair.wrong_id);
      prompts.push_back(std::move(pair));
    }
    steps = from.value("steps", index_t{1});
  }

  std::vector<double> read(const std::string& name) const { return values.read<double>(name).values; }
};

/// Compares the scores of each prompt, and the mean of the untouched runs.
void check_map(const explain::place_map& map, const explained& from, const std::string& method) {
  CAPTURE(method);
  double largest = 0;
  for (std::size_t n = 0; n < from.prompts.size(); ++n)
    for (const parameter_block& block : map.places.blocks) {
      CAPTURE(n, block.site);
      const std::vector<double> expected = from.read(method + "/" + std::to_string(n) + "/" + block.site);
      const auto tokens = static_cast<std::size_t>(std::ssize(from.prompts[n].ids) * block.parts);
      REQUIRE(expected.size() == tokens * block.layers.size());
      double worst = 0;
      for (std::size_t l = 0; l < block.layers.size(); ++l)
        for (std::size_t i = 0; i < tokens; ++i) {
          const double found = map.per_prompt[n][static_cast<std::size_t>(block.layer_offset(block.layers[l])) + i];
          const double difference = std::abs(found - expected[l * tokens + i]);
          worst = std::max(worst, std::isnan(difference) ? HUGE_VAL : difference);
          largest = std::max(largest, std::abs(found));
        }
      CHECK(worst <= 1e-9);
    }
  CHECK(largest > 1e-3);
  const auto check_mean = [&](const std::string& run, double found) {
    const std::vector<double> expected = from.read(run + "/" + map.metric);
    CHECK(std::abs(explain::detail::mean_of(expected) - found) <= 1e-9);
  };
  check_mean("clean", map.clean);
  if (not std::isnan(map.corrupt)) check_mean("corrupt", map.corrupt);
}

template <typename Model>
void check_all(const Model& model, const explained& from) {
  std::vector<std::string> sites;
  for (const std::string_view name : site::texts(model.config().parallel_residual)) sites.emplace_back(name);
  const explain::options every{.sites = sites, .per_head = true, .steps = from.steps};
  const auto with = [&](auto... change) {
    auto chosen = every;
    (change(chosen), ...);
    return chosen;
  };
  const auto by = [](explain::metric_kind metric) { return [=](explain::options& o) { o.metric = metric; }; };
  const auto of = [](explain::attribution_kind kind) { return [=](explain::options& o) { o.attribute = kind; }; };
  const auto noise = [](explain::options& o) { o.direction = noising; };

  for (const auto& [metric, suffix] : {std::pair(logit_diff, ""), {probability, "/probability"}, {kl, "/kl"}}) {
    const auto attribute = [&](const std::string& name, auto... change) {
      check_map(explain::attribution(model, from.prompts, with(by(metric), change...)), from, name + suffix);
    };
    if (metric != kl) attribute("gradient", of(gradient));
    if (metric != kl) attribute("noising", noise);
    attribute("denoising");
    attribute("integrated-midpoint", of(integrated));
    check_map(explain::patching(model, from.prompts, with(by(metric))), from,
              std::string("patching-denoising") + suffix);
  }
  const auto along = [](explain::path_rule rule) { return [=](explain::options& o) { o.rule = rule; }; };
  using enum explain::path_rule;
  check_map(explain::attribution(model, from.prompts, with(of(integrated), along(left))), from, "integrated-left");
  check_map(explain::attribution(model, from.prompts, with(of(integrated), along(right))), from, "integrated-right");
  check_map(explain::patching(model, from.prompts, with(noise)), from, "patching-noising");
  check_map(explain::ablation(model, from.prompts, every), from, "zero");
  check_map(explain::ablation(model, from.prompts,
                              with([](explain::options& o) { o.ablate = explain::ablation_kind::mean; })),
            from, "mean");
}

template <typename Model>
void check_direct(const Model& model, const explained& from) {
  const explain::options chosen{.sites = {"attn_z", "attn_out", "mlp_out"}, .per_head = true};
  check_map(explain::direct_logit(model, from.prompts, chosen), from, "direct");
  for (std::size_t n = 0; n < from.prompts.size(); ++n) {
    const auto alone = explain::direct_logit(model, std::span(from.prompts).subspan(n, 1), chosen);
    for (const auto& [name, share] : alone.addends)
      CHECK(std::abs(share - from.read("direct/" + std::to_string(n) + "/" + name).front()) <= 1e-9);
  }
}

/// The probabilities of a reference may be rounded to float.
template <typename Model>
void check_lens(const Model& model, const explained& from, double probabilities = 1e-9) {
  for (std::size_t n = 0; n < from.prompts.size(); ++n) {
    const auto lens = explain::logit_lens(model, std::span(from.prompts).subspan(n, 1));
    const auto check = [&](const std::string& name, auto number, double within = 1e-9) {
      CAPTURE(n, name);
      const std::vector<double> expected = from.read("lens/" + std::to_string(n) + "/" + name);
      const std::size_t tokens = from.prompts[n].ids.size();
      for (std::size_t i = 0; i < expected.size(); ++i)
        CHECK(std::abs(number(lens.lens[i / tokens][i % tokens]) - expected[i]) <= within);
    };
    check("D", [](const explain::lens_reading& r) { return r.logit_diff; });
    check(
        "p_correct", [](const explain::lens_reading& r) { return r.probability_correct; }, probabilities);
    check(
        "p_wrong", [](const explain::lens_reading& r) { return r.probability_wrong; }, probabilities);
    check("rank_correct", [](const explain::lens_reading& r) { return r.rank_correct; });
    check("rank_wrong", [](const explain::lens_reading& r) { return r.rank_wrong; });
    check("top_id", [](const explain::lens_reading& r) { return static_cast<double>(r.top_id); });
  }
}

template <typename Model>
void check_attention(const Model& model, const explained& from) {
  std::vector<explain::head_of_layer> heads;
  for (index_t l = 0; l < model.config().layers; ++l)
    for (index_t h = 0; h < model.config().heads; ++h) heads.push_back({l, h});
  const auto found = explain::attention_patterns(model, std::span<const prompt_pair>(from.prompts), heads);
  for (std::size_t n = 0; n < from.prompts.size(); ++n) {
    const std::vector<double> expected = from.read("attention/" + std::to_string(n) + "/patterns");
    std::size_t at = 0;
    double worst = 0;
    for (const host_matrix<double>& pattern : found[n])
      for (double x : pattern.values) worst = std::max(worst, std::abs(x - expected.at(at++)));
    CHECK(at == expected.size());
    CHECK(worst <= 1e-12);
  }
}

}  // namespace

TEST_CASE("the scores of places are those of the reference") {
  const std::string name = GENERATE(as<std::string>{}, "gpt2-a", "gpt2-b", "neox-parallel", "neox-sequential");
  CAPTURE(name);
  const auto folder = root / "tests/parity/fixtures" / name;
  const explained from(folder);
  std::visit(
      [&](const auto& model) {
        check_all(model, from);
        check_direct(model, from);
        check_lens(model, from);
        check_attention(model, from);
      },
      read_model<double>(folder));
}

TEST_CASE("the scores of places are those of TransformerLens") {
  const std::string name = GENERATE(as<std::string>{}, "tiny-gpt2", "tiny-pythia");
  CAPTURE(name);
  const explained from(root / "tests/parity/fixtures" / name);
  std::visit(
      [&](const auto& model) {
        explain::options chosen{.sites = {"resid_pre", "attn_z", "attn_out", "mlp_out"}, .per_head = true};
        check_map(explain::patching(model, from.prompts, chosen), from, "patching-denoising");
        chosen.sites.emplace_back("resid_post");
        check_map(explain::attribution(model, from.prompts, chosen), from, "denoising");
        chosen.direction = noising;
        check_map(explain::attribution(model, from.prompts, chosen), from, "noising");
        chosen.attribute = gradient;
        check_map(explain::attribution(model, from.prompts, chosen), from, "gradient");
        check_direct(model, from);
        check_lens(model, from, 1e-6);  // which rounds them to float
        check_attention(model, from);
      },
      read_model<double>(root / "examples/models" / name));
}

}  // namespace trimtab::test::explain_tests
