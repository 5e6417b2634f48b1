// SPDX-License-Identifier: Apache-2.0

// The side of trimtab in versus_pytorch.py. It reads one JSON request from each line and answers with one line.
//
//     bench_train_step FOLDER THREADS          FOLDER is a Hugging Face model, GPT-2 or GPT-NeoX
//
//     {"do": "gradient", CASE, "theta": [...]}  ->  {"loss": x, "gradient": [...]}
//     {"do": "fit", CASE, "each": bool}         ->  {"parameters": n}; then, until {"do": "end"},
//     {"do": "steps", "count": n}               ->  {"ms": [...]}, the time of each of the next n steps
//
//     CASE  "prompts": [[id, ...], ...], "correct": [id, ...], "wrong": [id, ...], "layers": [first, last],
//           "positions": "absolute" | "from_end", "count": n, the number of tokens of from_end, 0 for all
//
// The intervention is activ_scalar at attn_out, mlp_out and resid_post of these layers, with β = ±1. With `"each":
// true` each prompt has a fit of its own, all in one pass; otherwise one fit has all prompts.

#include <trimtab/backend/eigen.hpp>
#include <trimtab/compose.hpp>
#include <trimtab/io/huggingface/model_folder.hpp>

#include <nlohmann/json.hpp>

#include <chrono>
#include <iostream>
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
  const auto [loss, gradient, logit_diffs] =
      objective_and_gradient(composition, objective_of_paper(), {layout, asked["theta"]}, prompts);
  return {{"loss", loss.total()}, {"gradient", gradient}};
}

/// Between steps, the fit waits for the next request, so that the two sides can take turns.
template <typename Model>
void fit(const Model& model, const json& asked) {
  using clock = std::chrono::steady_clock;
  const auto prompts = prompts_of(asked);
  const auto composition = composition_of(model, asked);
  const trainer learner(composition, objective_of_paper(), adam{});
  answer({{"parameters", composition.layout(prompts).size()}});
  std::vector<typename decltype(learner)::replica_type> replicas;
  if (asked.value("each", false))
    for (const prompt_pair& one : prompts) replicas.push_back(learner.replica_of(std::span(&one, 1)));
  else
    replicas.push_back(learner.replica_of(prompts));
  auto run = learner.start(std::move(replicas));
  run.losses();
  for (json next = request(); next["do"] == "steps"; next = request()) {
    std::vector<double> ms;
    for (int left = next["count"]; left > 0; --left) {
      const auto start = clock::now();
      run.step();
      run.losses();  // runs the forward pass at the new parameters, with which the next step begins
      ms.push_back(std::chrono::duration<double, std::milli>(clock::now() - start).count());
    }
    answer({{"ms", ms}});
  }
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
