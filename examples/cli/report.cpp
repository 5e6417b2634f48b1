// SPDX-License-Identifier: Apache-2.0

#include "report.hpp"

#include "commands.hpp"
#include "provenance.hpp"

#include <trimtab/core/error.hpp>
#include <trimtab/io/files/atomic_file.hpp>
#include <trimtab/report/page/html.hpp>
#include <trimtab/report/picture/heat_map_csv.hpp>
#include <trimtab/report/picture/heat_map_svg.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <stdexcept>
#include <system_error>

/// `trimtab report`: interventions from files, measured and shown side by side.

namespace trimtab::cli {

namespace {

ordered_json to_json(const report::heat_map& map) {
  ordered_json places = ordered_json::array(), values = ordered_json::array();
  for (std::size_t c = 0; c < map.columns.size(); ++c) places.push_back(map.place(c));
  for (const auto& row : map.values) {
    auto& line = values.emplace_back(ordered_json::array());
    for (const double x : row) line.push_back(std::isnan(x) ? ordered_json() : ordered_json(x));
  }
  return {{"site", map.title}, {"layers", map.rows}, {"places", places}, {"tokens", map.columns}, {"values", values}};
}

[[noreturn]] void refuse_picture(const path& file) {
  throw error(error_kind::io, "cannot write '" + file.string() + "': a " + file.extension().string() +
                                  " needs the program rsvg-convert (librsvg; on Debian librsvg2-bin); install it, or "
                                  "write .svg");
}

/// Writes a picture as PDF or PNG, as the ending of `file` says, with the program rsvg-convert of librsvg. Throws `io`
/// where there is no such program, or it fails.
void convert(const std::string& svg, const path& file) {
  const auto ending = file.extension().string();
  auto unfinished = file;
  unfinished += ".unfinished";
  const auto command =
      shell_line({"rsvg-convert", "--format", ending.substr(1), "--output", unfinished.string()}) + " 2>/dev/null";
  std::signal(SIGPIPE, SIG_IGN);  // the shell may end before it has read the picture
  auto* const to = ::popen(command.c_str(), "w");
  bool done = to != nullptr;
  if (done) std::fwrite(svg.data(), 1, svg.size(), to);
  done = done and ::pclose(to) == 0;
  std::error_code failed;
  if (done) std::filesystem::rename(unfinished, file, failed);
  if (done and not failed) return;
  std::filesystem::remove(unfinished, failed);
  refuse_picture(file);
}

/// The shape and the choice of the prompts that a fit with these arguments drew; nothing else of the result counts.
data_options drawing_of(const std::vector<std::string>& arguments, const std::string& task, const path& name) {
  std::vector<std::string> words = {"trimtab", "fit", "--model=folder", "--task=" + task};  // the folder is not read
  std::ranges::copy_if(arguments, std::back_inserter(words), [](const std::string& word) {
    return word.starts_with("--templates=") or word.starts_with("--lengths=") or word.starts_with("--only=");
  });
  std::vector<const char*> pointers;
  for (const auto& word : words) pointers.push_back(word.c_str());
  try {
    return parse(static_cast<int>(pointers.size()), pointers.data()).fit.data;
  } catch (const std::runtime_error& problem) {  // usage_error, or trimtab's own
    throw error(error_kind::bad_file, "'" + name.string() + "', metadata made.arguments: " + problem.what() +
                                          "; give prompts by --task or --data");
  }
}

/// Where the prompts for an intervention file's report come from: the command line, else the task that it was fitted
/// on. A path that the file names is not opened: whoever made the file must not choose which files are read here.
data_options data_of(const report_command& command, const intervention_file& file, const path& name) {
  auto data = command.data;
  data.seed = seed_of(data, file, name);
  if (not data.task.empty() or not data.train.empty()) return data;
  if (const auto task = file.made.find("task"); task != file.made.end()) data.task = task->second;
  if (data.task != "ioi" and data.task != "ccc")
    throw error(error_kind::bad_argument,
                "'" + name.string() + "' does not say on which task it was fitted; give prompts by --task or --data");
  const auto count = [&](const char* key) -> std::optional<int> {
    int n = 0;
    const auto found = file.made.find(key);
    if (found == file.made.end()) return std::nullopt;
    const auto* const end = found->second.data() + found->second.size();
    const bool is_number = std::from_chars(found->second.data(), end, n) == std::from_chars_result{end, std::errc()};
    return is_number and n >= 0 and n <= task::prompt_limit ? std::optional(n) : std::nullopt;
  };
  data.train_count = count("train");
  data.test_count = count("test");
  if (file.made.contains("arguments")) {
    const auto drawn = drawing_of(arguments_in(file.made, name.string()), data.task, name);
    if (not data.shape.is_chosen()) data.shape = drawn.shape;
    if (data.only == kept_prompts::all) data.only = drawn.only;
  }
  return data;
}

bool needs_converter(const path& file) { return file.extension() == ".pdf" or file.extension() == ".png"; }

}  // namespace

void require_heatmap(const picture_options& picture) {
  const auto& file = picture.file;
  require_writable(file);
  if (needs_converter(file) and std::system("command -v rsvg-convert > /dev/null 2>&1") != 0) refuse_picture(file);
}

report::fit_report describe(const any_composition& composition, const parameters& values,
                            const std::vector<named_prompts>& sets, const std::string& task,
                            std::vector<loss_values> history, const std::string& name,
                            const std::map<std::string, std::string>& made, const std::vector<std::string>& warnings) {
  report::describe_options options{.name = name, .warnings = warnings};
  // The settings that a reader looks for first come first.
  for (const std::string key : {"model", "task", "data"})
    if (made.contains(key)) options.asked.push_back({key, made.at(key)});
  for (const auto& [key, value] : made)
    if (key != "model" and key != "task" and key != "data" and key != "sites" and key != "version" and
        key != "arguments")
      options.asked.push_back({key, value});
  const bool at_absolute = std::ranges::any_of(values.layout.blocks, [](const parameter_block& block) {
    return block.positions.by() == position_key::kind::absolute;
  });
  if (not task.empty() and at_absolute)
    options.asked.push_back({"not measured", "other lengths: absolute positions take prompts of one length"});
  if (const auto line = line_that_repeats(made, name); not line.empty()) options.asked.push_back({"repeat it", line});
  std::vector<report::prompt_set> views;
  for (const auto& set : sets)
    views.push_back({set.name == "test_other_lengths" ? "test, other lengths" : set.name, set.pairs});
  return composition.describe(values, views, std::move(history), options);
}

std::string name_of(const path& folder) {
  const auto whole = folder.lexically_normal();
  return (whole.has_filename() ? whole : whole.parent_path()).filename().string();
}

std::string json_of(const std::vector<report::fit_report>& fits) {
  ordered_json all = ordered_json::array();
  for (const auto& fit : fits)
    for (const auto& group : fit.maps)
      for (const auto& map : group.maps) {
        ordered_json one = {{"fit", fit.name}, {"quantity", group.quantity}, {"title", group.title}};
        one.update(to_json(map));
        all.push_back(one);
      }
  return all.dump(1) + "\n";
}

void write_picture(const picture_options& picture, const picture_forms& forms) {
  const auto& file = picture.file;
  if (file.empty()) return;
  const auto width = picture.width ? static_cast<double>(*picture.width) : report::svg_width;
  if (needs_converter(file)) return convert(forms.svg(width), file);
  io::write_file_atomically(file, file.extension() == ".svg"   ? forms.svg(width)
                                  : file.extension() == ".csv" ? forms.csv()
                                                               : forms.json());
}

void write_reports(const std::vector<report::fit_report>& fits, const std::string& title, const path& page,
                   const picture_options& heatmap) {
  if (not page.empty()) report::write_html(page, title, {{title, fits}});
  write_picture(heatmap, {[&](double width) { return report::svg_of(title, fits, width); },
                          [&] { return report::csv_of(fits); }, [&] { return json_of(fits); }});
}

output report(const report_command& command, const common_options& common) {
  require_writable(command.out);
  require_heatmap(command.heatmap);
  const auto model = load_model(command.model, common);
  std::vector<report::fit_report> fits;
  output found;
  found.json["fits"] = ordered_json::array();
  for (const auto& name : command.interventions) {
    const auto [file, composition, values] = read_steering(*model, name, common);
    const auto data = data_of(command, file, name);
    auto made = file.made;
    made["model"] = command.model.string();
    made["intervention"] = name.string();
    made["shown by"] = common.typed;
    const auto sets = read_data(*model, data, *data.seed, file.keys(), "data");
    warn_of_other_train(made, name, data, sets.front().pairs);
    fits.push_back(describe(*composition, values, sets, data.task, {}, name.stem().string(), made));
    found.json["fits"].push_back(name.string());
  }
  const auto title = fits.size() == 1 ? fits.front().name + " on " + name_of(command.model)
                                      : std::to_string(fits.size()) + " interventions on " + name_of(command.model);
  write_reports(fits, title, command.out, command.heatmap);
  for (const auto& written : {command.out, command.heatmap.file})
    if (not written.empty()) found.json["written"].push_back(written.string());
  return found;
}

}  // namespace trimtab::cli
