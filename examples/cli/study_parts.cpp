// SPDX-License-Identifier: Apache-2.0

#include "study.hpp"

#include <algorithm>

/// The commands that the parts of a study are made of.

namespace trimtab::cli {

std::vector<std::string> all_words(std::initializer_list<std::vector<std::string>> lists) {
  std::vector<std::string> words;
  for (const auto& list : lists) words.insert(words.end(), list.begin(), list.end());
  return words;
}

study_part head_part(const std::string& name, int count, const path& from, const path& to) {
  return {name, {"head", "-n", std::to_string(count), from.string()}, {to}, 0};
}

study_part fit_part(const study_subject& subject, const std::string& name, const std::vector<std::string>& options,
                    int prompts) {
  const auto out = subject.file(name + ".safetensors");
  auto words = all_words({{"fit", "--model", subject.model}, options, {"--out", out.string()}});
  study_part part{name,
                  {},
                  {out},
                  4.0 * prompts * static_cast<double>(subject.with.steps),  // two strengths, each forward and backward
                  prompts == 1};
  if (const auto steps = std::ranges::find(words, "--steps"); steps == words.end())
    words.insert(words.end(), {"--steps", std::to_string(subject.with.steps)});
  else
    part.passes = 4.0 * prompts * std::stod(*(steps + 1));
  if (not subject.with.memory.empty()) words.insert(words.end(), {"--memory", subject.with.memory});
  if (const auto maps = std::ranges::find(words, "--heatmap"); maps != words.end())
    part.files.emplace_back(*(maps + 1));
  part.words = std::move(words);
  return part;
}

study_part eval_part(const study_subject& subject, const std::string& name, const std::string& fit,
                     const std::vector<std::string>& data, int prompts) {
  const auto csv = subject.file(name + ".csv");
  return {name,
          all_words({{"eval", "--model", subject.model, "--intervention", subject.file(fit + ".safetensors").string()},
                     data,
                     {"--per-prompt", "--per-prompt-csv", csv.string()}}),
          {csv},
          3.0 * prompts};  // two strengths and the untouched model
}

std::vector<study_part> prompt_parts(const study_subject& subject) {
  std::vector<study_part> parts;
  const auto prompts = [&](const std::string& name, const std::vector<std::string>& options, int others) {
    const auto out = subject.file(name);
    const auto from = subject.is_file() ? std::vector<std::string>{"task", "--data", subject.task}
                                        : std::vector<std::string>{"task", subject.task};
    parts.push_back(
        {name,
         all_words({from,
                    {"--model", subject.model, "--only", "right", "--train", std::to_string(subject.with.train),
                     "--test", std::to_string(subject.with.test)},
                    options,
                    {"--out", out.string()}}),
         {out / "train.jsonl", out / "test.jsonl", out / "other-lengths.jsonl"},
         // As if every second pair were answered; a prompt alone waits for the weights as long as two strengths.
         4.0 * (subject.with.train + subject.with.test + others),
         true});
  };
  for (int seed = 1; seed <= subject.with.seeds; ++seed)
    prompts("prompts-" + std::to_string(seed), {"--other-lengths", "0", "--seed", std::to_string(seed)}, 0);
  if (not subject.lengths.empty()) {
    std::string lengths;
    for (const int length : subject.lengths) lengths += (lengths.empty() ? "" : ",") + std::to_string(length);
    prompts("lengths/prompts",
            {"--templates", subject.templates, "--lengths", lengths, "--other-lengths",
             std::to_string(subject.with.test), "--seed", "1"},
            subject.with.test);
  }
  return parts;
}

}  // namespace trimtab::cli
