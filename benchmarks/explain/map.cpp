// SPDX-License-Identifier: Apache-2.0

// The side of trimtab in explain_versus_pytorch.py. It reads one JSON request from each line and answers with one line.
//
//     bench_explain_map FOLDER THREADS          FOLDER is a Hugging Face model, GPT-2 or GPT-NeoX
//
//     {"do": "patching", CASE}     ->  {"ms": x, "changes": {site: [...]}}, of all places, layer by layer
//     {"do": "attribution", CASE}  ->  the same, by attribution patching
//     {"do": "forward", CASE}      ->  {"ms": x}, of one run of the clean prompt to the logits of its last token
//
//     CASE  "ids": [id, ...], "corrupt_ids": [id, ...], "correct": id, "wrong": id, "sites": [name, ...]

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

/// Runs f once, and adds its time to the answer that it returns.
template <typename F>
json timed(F f) {
  const auto start = std::chrono::steady_clock::now();
  auto result = f();
  const double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  json answer = {{"ms", ms}};
  if constexpr (std::same_as<decltype(result), explain::place_map>)
    for (const parameter_block& block : result.places.blocks) {
      json& changes = answer["changes"][block.site];
      const std::vector<double>& all = result.per_prompt.front();
      for (index_t layer : block.layers)
        for (index_t i = 0; i < block.positions.count(); ++i)
          changes.push_back(all[static_cast<std::size_t>(block.layer_offset(layer) + i)]);
    }
  return answer;
}

template <typename Model>
void serve(const Model& model) {
  std::cout << R"({"ready": true})" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    const json asked = json::parse(line);
    const prompt_pair prompt{.ids = asked["ids"],
                             .correct_id = asked["correct"],
                             .wrong_id = asked["wrong"],
                             .corrupt_ids = asked["corrupt_ids"]};
    const std::span<const prompt_pair> prompts(&prompt, 1);
    const explain::options chosen{.sites = asked["sites"]};
    if (asked["do"] == "patching")
      std::cout << timed([&] { return explain::patching(model, prompts, chosen); });
    else if (asked["do"] == "attribution")
      std::cout << timed([&] { return explain::attribution(model, prompts, chosen); });
    else
      std::cout << timed([&] { return logits(model, std::span(&prompt.ids, 1)); });
    std::cout << std::endl;
  }
}

}  // namespace

int main(int count, char** words) try {
  if (count != 3) throw error(error_kind::bad_argument, "usage: bench_explain_map FOLDER THREADS");
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
