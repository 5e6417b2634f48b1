// SPDX-License-Identifier: Apache-2.0

#include "program.hpp"

#include <trimtab/io/intervention_file.hpp>

#include "support/occurrences.hpp"
#include "support/small_intervention.hpp"

#include <cmath>
#include <filesystem>
#include <fstream>

namespace trimtab::test::generate_tests {

using Catch::Matchers::ContainsSubstring;

/// `trimtab generate`.

namespace {

std::vector<std::string> generate(const model_for_cli& model, std::vector<std::string> more) {
  std::vector<std::string> all = {"generate", "--model", model.path()};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

/// The samples of a run with --json.
io::json samples(const model_for_cli& model, std::vector<std::string> more) {
  more.emplace_back("--json");
  return run_trimtab(generate(model, std::move(more))).json()["samples"];
}
io::json sample(const model_for_cli& model, std::vector<std::string> more) {
  const auto all = samples(model, std::move(more));
  CHECK(all.size() == 1);
  return all.at(0);
}

/// An intervention at mlp_out, whose last two tokens have parameters in layer 1 alone.
std::string last_two_tokens(const model_for_cli& model) {
  const auto file = model.name("last.safetensors");
  io::write_intervention(
      file, small_intervention("activ-scalar", positions::from_end(2), {{"mlp_out.alpha", {{2, 2}, {0, 0, 2, -3}}}}));
  return file;
}

}  // namespace

TEST_CASE("generate continues a prompt as logits say, and stops where the context ends") {
  const model_for_cli model;
  const std::vector<std::string> prompt = {"--prompt", "abcd"};
  const auto found = sample(model, prompt);
  auto ids = found["prompt_ids"].get<std::vector<int>>();
  CHECK(found["stopped"] == "context");
  CHECK(ids.size() + found["ids"].size() == 12);
  CHECK(found["strength"] == 0);
  CHECK(found["touched"].empty());
  for (const int id : found["ids"]) {
    const auto so_far = io::json(ids).dump();
    const auto top = run_trimtab({"logits", "--model", model.path(), "--ids", so_far.substr(1, so_far.size() - 2),
                                  "--top", "1", "--json"})
                         .json()["top"];
    CHECK(top[0]["id"] == id);
    ids.push_back(id);
  }
  CHECK(sample(model, prompt) == found);
  const auto run = run_trimtab(generate(model, {"--prompt", "abcd", "--max-new-tokens", "4000"}));
  CHECK_THAT(run.err,
             ContainsSubstring("the model reads at most 12 tokens") and ContainsSubstring("the 4000 asked for"));
}

TEST_CASE("generate draws each sample with random numbers of its own") {
  const model_for_cli model;
  const std::vector<std::string> drawn = {"--prompt",         "abcd", "--temperature", "3", "--seed", "5",
                                          "--max-new-tokens", "3",    "--samples",     "4"};
  const auto found = samples(model, drawn);
  REQUIRE(found.size() == 4);
  CHECK(found[0]["ids"].size() == 3);
  CHECK((found[0] != found[1] or found[0] != found[2]));
  CHECK(samples(model, drawn) == found);
  auto narrow = drawn;
  narrow.insert(narrow.end(), {"--top-k", "1"});
  const auto greedy = sample(model, {"--prompt", "abcd", "--max-new-tokens", "3"});
  for (const auto& one : samples(model, narrow)) CHECK(one["ids"] == greedy["ids"]);
  CHECK_THAT(run_trimtab(generate(model, {"--prompt", "abcd", "--top-p", "0.5"})).err,
             ContainsSubstring("at temperature 0 the most probable token is taken"));
}

TEST_CASE("generate ends at the tokens that the folder states, and takes ids") {
  const model_for_cli model(false, false);  // without a tokenizer
  const std::vector<std::string> asked = {"--ids", "3,1,2", "--max-new-tokens", "4"};
  const auto whole = sample(model, asked);
  REQUIRE(whole["ids"].size() == 4);
  CHECK(whole["prompt_ids"] == std::vector{3, 1, 2});
  CHECK(whole["text"].is_null());
  CHECK(whole["stopped"] == "length");
  const auto ends_with = [&](const std::string& file, const std::string& ids) {
    model.file(file, ids);
    const auto found = sample(model, asked);
    std::filesystem::remove(model.name(file));
    return found;
  };
  const auto first = whole["ids"][0].dump();
  for (const auto& ids : {first, "[299, " + first + "]"}) {
    const auto found = ends_with("generation_config.json", "{\"eos_token_id\": " + ids + "}");
    CHECK(found["ids"].empty());
    CHECK(found["stopped"] == "end");
  }
  CHECK(ends_with("generation_config.json", "{\"eos_token_id\": null}") == whole);
  model.file("generation_config.json", "{\"do_sample\": true, \"top_k\": 50, \"_from\": 1}");
  CHECK_THAT(run_trimtab(generate(model, asked)).err,
             ContainsSubstring("warning: what the model's folder says of generation is not used: do_sample, top_k;"));
  CHECK(run_trimtab(generate(model, {"--ids", "3", "--stop", "x"})).status == 1);  // a text needs a tokenizer
}

TEST_CASE("generate takes prompts from a file and from standard input") {
  const model_for_cli model;
  const auto file = model.file("texts.jsonl", "\"ab\"\n{\"prompt\": \"abc\"}\n{\"ids\": [3, 1, 2]}\n");
  const auto found = samples(model, {"--prompts", file, "--max-new-tokens", "2"});
  REQUIRE(found.size() == 3);
  CHECK(found[0] == sample(model, {"--prompt", "ab", "--max-new-tokens", "2"}));
  CHECK(found[2] == sample(model, {"--ids", "3,1,2", "--max-new-tokens", "2"}));
  const auto piped = run_trimtab(generate(model, {"--prompt", "-", "--max-new-tokens", "2", "--json"}), "abc\n");
  CHECK(piped.json()["samples"][0] == found[1]);
  const auto text = run_trimtab(generate(model, {"--prompts", file, "--max-new-tokens", "0"})).out;
  CHECK(text.starts_with("prompt 1:\nab\nprompt 2:\nabc\nprompt 3:\n"));
}

TEST_CASE("generate steers at several strengths, and says which tokens it touched") {
  const model_for_cli model;
  const auto file = last_two_tokens(model);
  const auto steered = [&](std::vector<std::string> more) {
    more.insert(more.end(), {"--prompt", "abcd", "--max-new-tokens", "4", "--intervention", file});
    return samples(model, std::move(more));
  };
  const auto found = steered({"--strengths", "0,1,-1"});
  REQUIRE(found.size() == 3);
  CHECK(found[0]["strength"] == 0);
  CHECK(found[2]["strength"] == -1);
  CHECK(found[0]["ids"] == sample(model, {"--prompt", "abcd", "--max-new-tokens", "4"})["ids"]);
  CHECK(found[1] == steered({})[0]);
  CHECK(found[2] == steered({"--strength", "-1"})[0]);
  const auto in_layer_1 = [](int prompt, int generated) {
    return io::json{{"mlp_out", {{{"prompt", 0}, {"generated", 0}}, {{"prompt", prompt}, {"generated", generated}}}}};
  };
  const int prompt = found[0]["prompt_ids"].size() > 1 ? 2 : 1;
  CHECK(found[0]["touched"] == in_layer_1(0, 0));
  CHECK(found[1]["touched"] == in_layer_1(prompt, 3));  // the last new token is not run
  CHECK(steered({"--phase", "prompt"})[0]["touched"] == in_layer_1(prompt, 0));
  CHECK(steered({"--phase", "generated"})[0]["touched"] == in_layer_1(0, 3));
  CHECK(steered({"--as-processed"})[0]["touched"] == in_layer_1(prompt, 3));
  const auto run =
      run_trimtab(generate(model, {"--prompt", "abcd", "--max-new-tokens", "4", "--intervention", file, "--verbose"}));
  CHECK_THAT(run.err, ContainsSubstring("touched at mlp_out in layer 1: ") and ContainsSubstring(" 3 generated") and
                          ContainsSubstring("generated 4 tokens in "));
}

TEST_CASE("generate refuses an intervention that can touch nothing") {
  const model_for_cli model;
  const auto file = last_two_tokens(model);
  const auto refused = run_trimtab(
      generate(model, {"--prompt", "abcd", "--intervention", file, "--phase", "generated", "--max-new-tokens", "1"}));
  CHECK(refused.status == 1);
  CHECK(refused.out.empty());
  CHECK_THAT(refused.err,
             ContainsSubstring("touches no token of prompt 1") and ContainsSubstring("mlp_out on the last 2 tokens"));
  const auto absolute = model.name("absolute.safetensors");
  io::write_intervention(absolute, small_intervention("activ-scalar", positions::absolute(3),
                                                      {{"mlp_out.alpha", {{2, 3}, {1, 1, 1, 1, 1, 1}}}}));
  const std::vector<std::string> asked = {"--ids", "3,1,2", "--intervention", absolute, "--max-new-tokens", "3"};
  CHECK_THAT(run_trimtab(generate(model, asked)).err, ContainsSubstring("generated text has no fixed length"));
  auto on_prompt = asked;
  on_prompt.insert(on_prompt.end(), {"--phase", "prompt"});
  CHECK(sample(model, on_prompt)["touched"]["mlp_out"][0] == io::json{{"prompt", 3}, {"generated", 0}});
}

TEST_CASE("generate ends before a stop text, and gives log probabilities") {
  const model_for_cli model;
  const auto whole = sample(model, {"--prompt", "abcd", "--max-new-tokens", "6", "--logprobs"});
  REQUIRE(whole["logprobs"].size() == 6);
  const auto first =
      run_trimtab({"logits", "--model", model.path(), "--prompt", "abcd", "--top", "1", "--json"}).json();
  CHECK(std::abs(std::exp(whole["logprobs"][0].get<double>()) - first["top"][0]["probability"].get<double>()) < 1e-12);

  const auto story = [](std::vector<std::string> more) {
    std::vector<std::string> all = {"generate",
                                    "--model",
                                    TRIMTAB_EXAMPLE_MODELS "/tiny-gpt2",
                                    "--prompt",
                                    "When Mary and John went to the store, John gave a drink to",
                                    "--json"};
    all.insert(all.end(), more.begin(), more.end());
    return run_trimtab(all).json()["samples"][0];
  };
  const auto told = story({});
  CHECK(told["text"] == " Mary.");
  CHECK(told["stopped"] == "end");
  const auto ended = story({"--stop", "not there", "--stop", "ry."});
  CHECK(ended["stopped"] == "stop_text");
  CHECK(ended["text"] == " Ma");
  CHECK(ended["ids"] == told["ids"]);
}

TEST_CASE("A page shows texts at several strengths, their answers and their perplexity under the untouched model") {
  const model_for_cli model;
  const auto prompts = model.name("prompts.jsonl"), page = model.name("texts.html");
  const auto texts_after = [&](const std::string& answers, const std::vector<std::string>& more = {}) {
    std::ofstream(prompts) << "{\"ids\": [1, 2, 3]" + answers + "}\n{\"ids\": [3, 2]}\n";
    std::vector<std::string> arguments = {"--prompts",
                                          prompts,
                                          "--max-new-tokens",
                                          "6",
                                          "--intervention",
                                          last_two_tokens(model),
                                          "--strengths",
                                          "0,-1",
                                          "--temperature",
                                          "2",
                                          "--samples",
                                          "2",
                                          "--perplexity",
                                          "--report",
                                          page};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return samples(model, std::move(arguments));
  };
  const auto before = texts_after("");
  CHECK(occurrences(content_of(page), "<mark") == 0);
  const int correct = before[0]["ids"][0].get<int>(), wrong = before[0]["ids"][1].get<int>();
  REQUIRE(correct != wrong);
  const auto stated = ", \"correct_id\": " + std::to_string(correct) + ", \"wrong_id\": " + std::to_string(wrong);
  const auto found = texts_after(stated);
  CHECK(found == before);
  REQUIRE(found.size() == 8);
  int answers = 0;
  for (const auto& sample : found) {
    const auto from = sample["prompt_ids"].size();
    auto ids = sample["prompt_ids"].get<std::vector<int>>();
    for (const int id : sample["ids"]) {
      ids.push_back(id);
      answers += from == 3 and (id == correct or id == wrong) ? 1 : 0;
    }
    const auto so_far = io::json(ids).dump();
    const auto logits = run_trimtab({"logits", "--model", model.path(), "--ids", so_far.substr(1, so_far.size() - 2),
                                     "--all", "--json"})
                            .json()["logits"];
    double surprise = 0;
    for (auto t = from; t < ids.size(); ++t) {
      double sum = 0;
      for (const double z : logits[t - 1]) sum += std::exp(z);
      surprise += std::log(sum) - logits[t - 1][static_cast<std::size_t>(ids[t])].get<double>();
    }
    const auto expected = std::exp(surprise / static_cast<double>(ids.size() - from));
    CHECK(std::abs(sample["perplexity"].get<double>() / expected - 1) < 1e-4);
  }
  const auto html = content_of(page);
  CHECK(occurrences(html, "<div class=\"texts\">") == 2);
  CHECK(occurrences(html, ", sample 2</figcaption>") == 4);
  CHECK(answers >= 2);
  CHECK(occurrences(html, "<mark") == answers);

  // What a stop text cuts off is not shown: here an answer that is the stop text.
  std::string said;
  for (const auto& sample : before)
    if (sample["prompt_ids"].size() == 3) said += sample["text"].get<std::string>();
  const auto letter = std::ranges::find_if(said, [](char c) { return c >= 'a' and c <= 'z'; });
  REQUIRE(letter != said.end());
  const std::string stop(1, *letter);
  const int its_id = sample(model, {"--prompt", stop, "--max-new-tokens", "0"})["prompt_ids"].back();
  const auto ends_with_it = ", \"correct_id\": " + std::to_string(its_id) +
                            ", \"wrong_id\": " + std::to_string(its_id == correct ? wrong : correct);
  texts_after(ends_with_it);
  CHECK(occurrences(content_of(page), "the correct answer\">") > 0);
  texts_after(ends_with_it, {"--stop", stop});
  CHECK(occurrences(content_of(page), "the correct answer\">") == 0);
  CHECK_THAT(run_trimtab(generate(model, {"--prompt", "abcd", "--max-new-tokens", "3", "--perplexity"})).out,
             ContainsSubstring("\nperplexity ") and ContainsSubstring(" under the untouched model\n"));
  CHECK_THAT(run_trimtab(generate(model, {"--prompt", "abcd", "--report", "nowhere/texts.html"})).err,
             ContainsSubstring("nowhere/texts.html"));
}

TEST_CASE("On a terminal a text is shown while it grows, and several strengths stand beside each other") {
  const model_for_cli model;
  const auto file = last_two_tokens(model);
  const auto plain = run_trimtab(generate(model, {"--prompt", "abcd", "--max-new-tokens", "3"})).out;
  const auto live = run_on_terminal(generate(model, {"--prompt", "abcd", "--max-new-tokens", "3", "--quiet"}));
  CHECK(live.starts_with("abcd"));
  CHECK(plain.starts_with("abcd"));
  const auto columns = run_on_terminal(generate(
      model, {"--prompt", "abcd", "--max-new-tokens", "3", "--intervention", file, "--strengths", "1,-1", "--quiet"}));
  const auto titles = columns.substr(0, columns.find('\n'));
  CHECK_THAT(titles, ContainsSubstring("strength 0 ") and ContainsSubstring("strength +1 ") and
                         ContainsSubstring("strength -1"));
}

}  // namespace trimtab::test::generate_tests
