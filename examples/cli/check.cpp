// SPDX-License-Identifier: Apache-2.0

#include "check.hpp"

#include "commands.hpp"
#include "data.hpp"
#include "figures.hpp"

#include <trimtab/io/files/input_file.hpp>
#include <trimtab/io/prompt_check.hpp>
#include <trimtab/report/terminal/terminal.hpp>
#include <trimtab/text/utf8.hpp>

#include <algorithm>
#include <functional>

/// `trimtab check`: all problems of a file of prompt pairs at once.

namespace trimtab::cli {

namespace {

/// More would bury what matters; the same mistake is usually in every line.
constexpr std::size_t most = 20;

io::prompt_checker<model_encoder> checked(const any_model& model, const model_encoder& encoder,
                                          const std::vector<path>& files) {
  io::prompt_checker checker(encoder, {.vocabulary = model.config().vocabulary, .context = model.config().context});
  for (const auto& file : files)
    if (not file.empty()) checker.add(io::input_file(file).text(), file.string());
  return checker;
}

}  // namespace

std::vector<std::string> warnings_about(const any_model& model, const data_options& data) {
  if (data.train.empty()) return {};
  const model_encoder encoder{model};
  const auto checker = checked(model, encoder, {data.train, data.test});
  std::vector<std::string> sentences;
  std::size_t left_out = 0;
  for (const auto& problem : checker.problems()) {
    if (problem.kind == "lengths") continue;
    if (sentences.size() < most)
      sentences.push_back("'" + problem.file + "', line " + std::to_string(problem.line) + ": " + problem.message);
    else
      ++left_out;
  }
  if (left_out > 0) sentences.push_back("and " + counted(left_out, "more problem") + " of the prompts");
  return sentences;
}

output check(const check_command& command, const common_options& common) {
  const auto model = load_model(command.model, common);
  const model_encoder encoder{*model};
  const auto checker = checked(*model, encoder, {command.data, command.test});
  auto problems = checker.problems();
  if (problems.size() > most)  // warnings crowd out no error
    std::ranges::stable_sort(problems, std::greater<>{}, &io::prompt_problem::is_error);
  const auto errors = static_cast<std::size_t>(std::ranges::count_if(problems, &io::prompt_problem::is_error));
  output found;
  found.json["prompts"] = checker.prompts();
  found.json["problems"] = ordered_json::array();
  for (std::size_t k = 0; k < std::min(most, problems.size()); ++k) {
    const auto& one = problems[k];
    found.json["problems"].push_back({{"file", one.file},
                                      {"line", one.line},
                                      {"kind", one.kind},
                                      {"severity", one.is_error ? "error" : "warning"},
                                      {"message", one.message}});
    found.text += text::one_line(one.file + ":" + std::to_string(one.line) + ": " +
                                 (one.is_error ? "error: " : "warning: ") + one.message) +
                  " [" + one.kind + "]\n";
  }
  found.json["errors"] = errors;
  found.json["warnings"] = problems.size() - errors;
  found.json["left_out"] = problems.size() - std::min(most, problems.size());
  if (problems.size() > most) found.text += "... and " + std::to_string(problems.size() - most) + " more\n";
  found.text += counted(checker.prompts(), "prompt") + ", " + counted(errors, "error") + ", " +
                counted(problems.size() - errors, "warning") + "\n";
  found.status = errors > 0 ? 1 : 0;
  return found;
}

}  // namespace trimtab::cli
