// SPDX-License-Identifier: Apache-2.0

#include "commands.hpp"
#include "data.hpp"
#include "figures.hpp"

#include <trimtab/io/prompt_file.hpp>
#include <trimtab/text/utf8.hpp>

#include <filesystem>
#include <system_error>
#include <utility>

/// `trimtab task`: the prompts of a task as files.

namespace trimtab::cli {

output task(const task_command& command, const common_options& common) {
  const auto model = load_model(command.model, common);
  const auto sets = make_task(*model, command.data, command.data.seed.value_or(1), command.other_lengths);
  std::error_code failed;
  std::filesystem::create_directories(command.out, failed);
  if (failed) throw error(error_kind::io, "cannot make the folder '" + command.out.string() + "': " + failed.message());
  output found;
  found.json["files"] = ordered_json::array();
  for (const auto& [name, pairs] : {std::pair("train.jsonl", &sets.train), std::pair("test.jsonl", &sets.test),
                                    std::pair("other-lengths.jsonl", &sets.test_other_lengths)}) {
    const auto file = command.out / name;
    io::write_prompts(file, *pairs);
    found.json["files"].push_back({{"file", file.string()}, {"prompts", pairs->size()}});
    found.text += text::one_line(file.string()) + ": " + counted(pairs->size(), "prompt") + "\n";
  }
  return found;
}

}  // namespace trimtab::cli
