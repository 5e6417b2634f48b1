// SPDX-License-Identifier: Apache-2.0

#include "data.hpp"
#include "explained.hpp"
#include "figures.hpp"
#include "memory.hpp"
#include "report.hpp"
#include "talk.hpp"

#include <trimtab/report/page/html.hpp>
#include <trimtab/report/picture/attention_map.hpp>
#include <trimtab/report/picture/heat_map_csv.hpp>
#include <trimtab/report/picture/heat_map_svg.hpp>
#include <trimtab/report/terminal/terminal.hpp>
#include <trimtab/report/terminal/terminal_map.hpp>
#include <trimtab/report/token_names.hpp>
#include <trimtab/text/csv_field.hpp>

#include <string>
#include <string_view>
#include <vector>

/// `trimtab explain --method attention`: what heads look at.

namespace trimtab::cli {

namespace {

using patterns_of_heads = std::vector<host_matrix<double>>;

/// {"tokens", "patterns": {"5.1": a row for each token, as long as what it sees}}
ordered_json json_of(const std::vector<std::string>& tokens, std::span<const explain::head_of_layer> heads,
                     const patterns_of_heads& patterns) {
  ordered_json json = {{"tokens", tokens}, {"patterns", ordered_json::object()}};
  for (std::size_t k = 0; k < heads.size(); ++k) {
    auto& rows = json["patterns"][explain::text_of(heads[k])] = ordered_json::array();
    for (index_t i = 0; i < patterns[k].rows; ++i) {
      auto& row = rows.emplace_back(ordered_json::array());
      for (index_t j = 0; j <= i; ++j) row.push_back(patterns[k](i, j));
    }
  }
  return json;
}

/// A line for each prompt, head, token that reads and token that it sees.
std::string csv_of(std::span<const std::vector<std::string>> tokens, std::span<const explain::head_of_layer> heads,
                   std::span<const patterns_of_heads> patterns) {
  std::string out = "prompt,layer,head,token,reads,seen,from,weight\n";
  for (std::size_t n = 0; n < patterns.size(); ++n)
    for (std::size_t k = 0; k < heads.size(); ++k)
      for (index_t i = 0; i < patterns[n][k].rows; ++i)
        for (index_t j = 0; j <= i; ++j)
          out += std::to_string(n) + "," + std::to_string(heads[k].layer) + "," + std::to_string(heads[k].head) + "," +
                 std::to_string(i) + "," + text::csv_field(tokens[n][static_cast<std::size_t>(i)]) + "," +
                 std::to_string(j) + "," + text::csv_field(tokens[n][static_cast<std::size_t>(j)]) + "," +
                 report::exact(patterns[n][k](i, j)) + "\n";
  return out;
}

constexpr std::string_view about_attention =
    "What attention heads of a model look at. Each row is a token, in reading order downward, and each column a token "
    "that it may read from; the numbers of a row sum to 1.";

}  // namespace

output attention(const explain_command& command, const common_options& common, const any_model& model) {
  const auto prompts = read_explained(model, command.data, false);
  const std::span<const prompt_pair> shown = std::span(prompts).first(command.per_prompt ? prompts.size() : 1);
  const stopwatch time;
  const auto patterns = model.attention(shown, command.heads, left_for_work(command.memory, common));
  note(common, "read " + counted(command.heads.size(), "head") + " on " + counted(shown.size(), "prompt") + " in " +
                   time.text());
  std::vector<std::vector<std::string>> tokens;
  for (const auto& prompt : shown) tokens.push_back(report::tokens_of(model, prompt.ids));

  output found;
  found.json = {{"method", "attention"}, {"prompts", prompts.size()}};
  found.json.update(json_of(tokens.front(), command.heads, patterns.front()));
  if (command.per_prompt) {
    found.json["per_prompt"] = ordered_json::array();
    for (std::size_t n = 0; n < shown.size(); ++n)
      found.json["per_prompt"].push_back(json_of(tokens[n], command.heads, patterns[n]));
  }
  found.json["warnings"] = ordered_json::array();

  const std::vector<report::fact> facts = {
      {"model", command.model.string()},
      {"data", command.data.task.empty() ? command.data.train.string() : command.data.task},
      {"prompt", "the first of " + std::to_string(prompts.size())}};
  for (const auto& [name, value] : facts) found.text += columns({name, value});
  report::map_group group{"Attention", "How much each token, a row, reads from each column's token.", "attention", {}};
  for (std::size_t k = 0; k < command.heads.size(); ++k)
    group.maps.push_back(
        report::attention_map("head " + explain::text_of(command.heads[k]), patterns.front()[k], tokens.front()));
  if (not common.quiet)
    for (const auto& one : group.maps)
      found.text += "\n" + report::text_of(one, report::wants_colour(STDOUT_FILENO), report::width_of(STDOUT_FILENO));
  const auto title = "Attention in " + name_of(command.model);
  report::fit_report whole{.name = "attention", .asked = facts, .maps = {group}};
  whole.asked.insert(whole.asked.begin(), {"command", common.typed});
  if (not command.report.empty()) report::write_html(command.report, title, {{title, {whole}}}, about_attention);
  write_picture(command.heatmap,
                {[&](double width) { return report::svg_of(title, whole.maps, width); },
                 [&] { return csv_of(tokens, command.heads, patterns); }, [&] { return found.json.dump(1) + "\n"; }});
  return found;
}

}  // namespace trimtab::cli
