// SPDX-License-Identifier: Apache-2.0

// The side of trimtab in versus_pytorch.py: reads one request a line as JSON, answers with one line.
//
//     bench_train_step FOLDER THREADS          FOLDER is a Hugging Face model, GPT-2 or GPT-NeoX
//
//     {"do": "gradient", CASE, "theta": [...]}  ->  {"loss": x, "gradient": [...]}
//     {"do": "fit", CASE, "each": bool}         ->  {"parameters": n}, then until {"do": "end"}
//     {"do": "steps", "count": n}               ->  {"ms": [...]}, what each of the next n steps took
//
//     CASE  "prompts": [[id, ...], ...], "correct": [id, ...], "wrong": [id, ...], "layers": [first, last],
//           "positions": "absolute" | "from_end", "count": n, the tokens that from_end reaches, 0 for all
//
// activ_scalar at attn_out, mlp_out and resid_post of these layers, β = ±1; each is a fit of all prompts, or of each
// prompt alone (`"each": true`).

#include <trimtab/backend/eigen.hpp>
#include <trimtab/compose.hpp>
#include <trimtab/io/huggingface/model_folder.hpp>

#include <nlohmann/json.hpp>

#include <chrono>
#include <iostream>
#include <limits>
#include <string>

namespace {

using namespace trimtab;
using json = nlohmann::json;
using backend = eigen_backend<float>;

json request() {
  std::string line;
  return std::getline(std::cin, line) ? json::parse(line) : json{{"do", "quit"}};
}
void answer(const json& j) { std::cout << j.dump() << std::endl; }

std::vector<prompt_pair> prompts_of(const json& asked) {
  std::vector<prompt_pair> prompts;
  for (std::size_t n = 0; n < asked["prompts"].size(); ++n) {
    prompt_pair p;
    p.ids = asked["prompts"][n].get<std::vector<int>>();
    p.correct_id = asked["correct"][n];
    p.wrong_id = asked["wrong"][n];
    prompts.push_back(std::move(p));
  }
  return prompts;
}

auto objective_of_paper() {
  return objective::effectiveness{} + 1.0 * objective::faithfulness{} + 0.03 * objective::minimality{};
}

template <typename Model>
auto composition_of(const Model& model, const json& asked) {
  const policy::activ_scalar p;
  const auto in = layers::range(asked["layers"][0], asked["layers"][1]);
  const auto by = asked["positions"] == "from_end" ? positions::from_end(asked["count"]) : positions::absolute();
  return steer(model, at(site::attn_out{}, p, in, by), at(site::mlp_out{}, p, in, by),
               at(site::resid_post{}, p, in, by));
}

template <typename Model>
json gradient(const Model& model, const json& asked) {
  const auto prompts = prompts_of(asked);
  const auto composition = composition_of(model, asked);
  const auto layout = composition.layout(prompts);
  const std::vector<double> strengths{+1, -1};
  steered run(composition, layout, prompts, every_strength(static_cast<index_t>(prompts.size()), strengths), 1,
              tape_use::forward_and_backward);
  const loss objective(model.backend(), objective_of_paper(), prompts, run.sequences());
  const std::vector<double> theta = asked["theta"];
  composition.check(layout, theta.size());
  load(model.backend(), theta, run.theta());
  const auto logits = run.forward();
  const auto values = objective.values(logits, run.reference().logits(), layout, theta).front();
  objective.gradient(logits, run.reference().logits(), run.d_logits());
  run.backward();
  return {{"loss", values.total()}, {"gradient", model.backend().download(run.gradient()).values}};
}

/// Between two steps the fit waits for the next request, so that the other side can run in turn.
template <typename Model>
void fit(const Model& model, const json& asked) {
  using clock = std::chrono::steady_clock;
  const auto prompts = prompts_of(asked);
  const auto composition = composition_of(model, asked);
  const trainer learner(composition, objective_of_paper(), adam{});
  answer({{"parameters", composition.layout(prompts).lane_size()}});
  int left = 0;
  std::vector<double> ms;
  clock::time_point start;
  const auto before_step = [&](index_t, const loss_values&) {
    if (left > 0) {
      ms.push_back(std::chrono::duration<double, std::milli>(clock::now() - start).count());
      if (--left == 0) answer({{"ms", std::exchange(ms, {})}});
    }
    if (left == 0) {
      const json next = request();
      if (next["do"] != "steps") return false;
      left = next["count"];
    }
    start = clock::now();
    return true;
  };
  const fit_options options{.steps = std::numeric_limits<index_t>::max() - 1, .before_step = before_step};
  if (asked.value("each", false))
    learner.fit_each(prompts, options);
  else
    learner.fit(prompts, options);
}

template <typename Model>
void serve(const Model& model) {
  answer({{"ready", true}});
  for (json asked = request(); asked["do"] != "quit"; asked = request())
    if (asked["do"] == "gradient")
      answer(gradient(model, asked));
    else
      fit(model, asked);
}

}  // namespace

int main(int count, char** words) try {
  if (count != 3) throw error(error_kind::bad_argument, "usage: bench_train_step FOLDER THREADS");
  const io::model_folder folder(words[1]);
  const backend on(std::stoi(words[2]));
  if (folder.config().architecture == "gpt2")
    serve(gpt2<backend>(folder, on));
  else
    serve(gpt_neox<backend>(folder, on));
} catch (const std::exception& e) {
  std::cerr << e.what() << '\n';
  return 1;
}
