// SPDX-License-Identifier: Apache-2.0

#include "study.hpp"

#include "data.hpp"
#include "figures.hpp"
#include "interrupt.hpp"
#include "provenance.hpp"
#include "talk.hpp"

#include <trimtab/io/files/atomic_file.hpp>
#include <trimtab/io/files/input_file.hpp>
#include <trimtab/io/json/json.hpp>
#include <trimtab/report/page/html.hpp>
#include <trimtab/report/picture/heat_map_csv.hpp>
#include <trimtab/report/table.hpp>
#include <trimtab/report/terminal/progress.hpp>
#include <trimtab/report/terminal/terminal.hpp>
#include <trimtab/report/text_table.hpp>
#include <trimtab/task/words.hpp>
#include <trimtab/text/csv_field.hpp>
#include <trimtab/text/joined.hpp>
#include <trimtab/text/utf8.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iterator>
#include <numeric>
#include <set>
#include <sstream>
#include <system_error>

/// `trimtab study paper`: the experiments of the paper on activation scaling, as parts that are commands of this
/// program.

namespace trimtab::cli {

namespace {

const study_experiment* const experiments[] = {&one_pair,           &against_steer_vec, &over_lengths,
                                               &norm_and_direction, &other_methods,     &hyperparameters};

study_settings settings_of(const study_command& command) {
  study_settings s;
  if (command.quick)
    s = {.train = 16,
         .test = 32,
         .seeds = 3,
         .steps = 60,
         .explained = 6,
         .rates = {"0.03", "0.1"},
         .lambdas = {"0.01max", "0.03max"}};
  s.train = command.train.value_or(s.train);
  s.test = command.test.value_or(s.test);
  s.seeds = command.seeds.value_or(s.seeds);
  s.steps = command.steps.value_or(s.steps);
  s.explained = std::min(command.explained.value_or(s.explained), s.test);
  s.memory = command.memory;
  return s;
}

void make_folder(const path& folder) {
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (failed) throw error(error_kind::io, "cannot make the folder '" + folder.string() + "': " + failed.message());
}

/// The last part of a path or of a hub name, without what a folder's name cannot have.
std::string short_name(const std::string& of) {
  auto name = path(of).lexically_normal();
  if (not name.has_filename()) name = name.parent_path();
  auto text = name.filename().string();
  if (text.ends_with(".jsonl")) text.resize(text.size() - 6);
  std::ranges::replace(text, '@', '-');
  return text.empty() or text == "." or text == ".." ? "model" : text;
}

/// The numbers of all templates of a task, as --templates takes them.
std::string all_templates(const std::string& task) {
  const auto count = task == "ioi"
                         ? task::words::ioi_templates.size()
                         : task::words::capital_templates.size() + task::words::capital_other_templates.size();
  std::vector<std::size_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), std::size_t{0});
  return text::joined(numbers, ",", [](std::size_t n) { return std::to_string(n); });
}

/// The numbers of tokens that prompts of a task have, over all templates.
std::set<int> lengths_of(const any_folder& model, const std::string& task, const std::string& templates) {
  data_options data{.task = task};
  std::istringstream numbers(templates);
  for (std::string number; std::getline(numbers, number, ',');) data.shape.templates.push_back(std::stoi(number));
  data.shape.any_length = true;
  const auto sets = make_task(model, data, 1, 0);
  std::set<int> lengths;
  for (const auto* pairs : {&sets.train, &sets.test})
    for (const auto& p : *pairs) lengths.insert(static_cast<int>(p.ids.size()));
  return lengths;
}

study_subject subject_of(const std::string& model, const std::string& task, const study_settings& with, const path& out,
                         const std::shared_ptr<const any_folder>& about) {
  study_subject s{.model = model, .task = task, .with = with, .about = about};
  s.model_name = short_name(model);
  s.task_name = short_name(task);
  s.folder = out / (s.model_name + "-" + s.task_name);
  if (s.is_file()) {
    const auto pairs = read_pairs(*about, task, {});
    s.has_corrupt = std::ranges::all_of(pairs, [](const prompt_pair& p) { return not p.corrupt_ids.empty(); });
    for (const auto& p : pairs) s.usual_length = std::max(s.usual_length, std::ssize(p.ids));
    return s;
  }
  s.templates = all_templates(task);
  const auto lengths = lengths_of(*about, task, s.templates);
  const auto is_inside = [](int length) { return length >= 10 and length <= 20; };
  std::ranges::copy_if(lengths, std::back_inserter(s.lengths), is_inside);
  if (std::ranges::all_of(lengths, is_inside)) s.lengths.clear();  // there is nothing to generalise to
  s.usual_length =
      std::ssize(make_task(*about, {.task = task, .train_count = 1, .test_count = 0}, 1, 0).train.front().ids);
  return s;
}

/// What happened to the prompts of a subject.
struct answered_pairs {
  int drawn = 0, right = 0;  ///< of those drawn, how many find the correct answer likelier than the wrong one
  int said = 0;              ///< how many find it the likeliest of all tokens
  int first_drawn = 0, first_right = 0;  ///< of the first draw alone: later ones may draw the same pairs again
  bool enough = true;                    ///< whether every set that the parts run on has a prompt

  /// Any model finds the correct answer likelier once in two times. It answers if it does so more often than a coin, or
  /// if it ever says the answer.
  bool any() const { return right > 0 and (said > 0 or within().low > 0.5); }
  int answered() const { return any() ? right : 0; }
  interval within() const {
    return first_drawn == 0 ? interval{0, 1} : wilson(static_cast<double>(first_right) / first_drawn, first_drawn);
  }
  bool can_be_studied() const { return any() and enough; }
};

class running_study {
 public:
  running_study(const study_command& command, const common_options& common) : command_(command), common_(common) {
    auto models = command.models;
    if (models.empty()) models = embedded_models();
    auto tasks = command.tasks;
    if (tasks.empty()) tasks = {"ioi", "ccc"};
    std::set<path> folders;
    for (const auto& model : models) {
      const std::shared_ptr<const any_folder> folder = open_folder(model, common);
      for (const auto& task : tasks) {
        subjects_.push_back(subject_of(model.string(), task, settings_of(command), command.out, folder));
        if (not folders.insert(subjects_.back().folder).second)
          throw error(error_kind::bad_argument, "two of the models or tasks are called '" +
                                                    subjects_.back().folder.filename().string() +
                                                    "'; run them with another --out each");
      }
    }
  }

  output run() {
    if (command_.plan) return plan();
    {
      const interrupt_watch watch("the study ends with this part");
      run_all();
    }
    if (const int signal = interrupt_watch::signal(); signal != 0) {
      tell("ended by " + interrupt_watch::name_of(signal) + "; the same command goes on from '" +
           command_.out.string() + "'");
      found_.json["interrupted"] = true;
      found_.status = interrupt_watch::status_of(signal);
      return std::move(found_);
    }
    describe();
    return std::move(found_);
  }

 private:
  static std::vector<path> embedded_models() {
    const path folder = TRIMTAB_EMBEDDED_MODELS;
    std::vector<path> models = {folder / "tiny-gpt2", folder / "tiny-pythia"};
    for (const auto& model : models)
      if (not std::filesystem::exists(model))
        throw error(error_kind::io, "the embedded models are not in '" + folder.string() +
                                        "', where this program was built; give --model");
    return models;
  }

  static std::vector<study_part> parts_of(const study_subject& subject) {
    std::vector<study_part> parts;
    for (const auto* experiment : experiments)
      for (auto& part : experiment->parts(subject)) parts.push_back(std::move(part));
    return parts;
  }

  void run_all() {
    std::vector<study_part> all;
    for (const auto& subject : subjects_)
      for (const auto& list : {prompt_parts(subject), parts_of(subject)})
        all.insert(all.end(), list.begin(), list.end());
    double passes = 0;
    for (const auto& part : all) passes += part.passes;
    report::progress_bar bar("study", static_cast<index_t>(passes), not common_.quiet);
    double done = 0;
    const auto run_parts = [&](const study_subject& subject, const std::vector<study_part>& parts) {
      for (const auto& part : parts) {
        if (interrupt_watch::signal() != 0) return;
        bar.show(static_cast<index_t>(done), subject.model_name + " " + subject.task_name + ", " + part.name);
        run_part(subject, part);
        done += part.passes;
      }
    };
    for (const auto& subject : subjects_) {
      const auto prompts = prompt_parts(subject);
      run_parts(subject, prompts);
      if (interrupt_watch::signal() != 0) return;
      answered_.push_back(answered_in(subject, prompts));
      if (answered_.back().can_be_studied()) run_parts(subject, parts_of(subject));
    }
  }

  /// The command of a part as a user would type it.
  std::string command_of(const study_part& part) const {
    if (part.words.front() == "head") return shell_line(part.words) + " > " + shell_line({part.files.front().string()});
    auto words = all_words({{"trimtab"}, part.words, {"--json"}});
    if (common_.precision != arithmetic::in_float)
      words.insert(words.end(), {"--precision", precision_name(common_.precision)});
    if (common_.backend == machine::cuda) words.insert(words.end(), {"--backend", "cuda"});
    return shell_line(words);
  }

  static path file_of(const study_subject& subject, const study_part& part) {
    return subject.file(part.name + ".json");
  }

  /// Runs a part unless its file says that it was run before. Its file is written last, as a whole.
  void run_part(const study_subject& subject, const study_part& part) {
    const auto file = file_of(subject, part);
    const auto command = command_of(part);
    if (std::filesystem::exists(file)) {
      const io::json_object before(io::read_json_file(file), file.string(), error_kind::bad_file);
      if (before.text("command") == command) return;
      throw error(error_kind::mismatch, "'" + file.string() + "' is of another command, `" + before.text("command") +
                                            "`, and not of `" + command +
                                            "`; give another --out, or repeat the options of that study");
    }
    make_folder(file.parent_path());
    note(common_, command);
    auto printed = ordered_json::object();
    if (part.words.front() == "head")
      copy_head(part);
    else
      printed = run_command(part);
    if (interrupt_watch::signal() != 0) return;  // it may have ended early
    io::write_file_atomically(file, ordered_json{{"command", command}, {"output", printed}}.dump(1) + "\n");
  }

  ordered_json run_command(const study_part& part) const {
    std::vector<const char*> words = {"trimtab"};
    for (const auto& word : part.words) words.push_back(word.c_str());
    words.push_back("--json");  // its answer is read as such
    auto line = parse(static_cast<int>(words.size()), words.data());
    line.common = common_;
    line.common.quiet = true;
    line.common.verbose = false;
    return cli::run(line).json;
  }

  static void copy_head(const study_part& part) {
    std::string lines;
    int left = std::stoi(part.words[2]);
    for (const char c : io::input_file(part.words[3]).text()) {
      if (left == 0) break;
      lines += c;
      left -= c == '\n';
    }
    io::write_file_atomically(part.files.front(), lines);
  }

  static answered_pairs answered_in(const study_subject& subject, const std::vector<study_part>& prompts) {
    answered_pairs counts;
    for (const auto& part : prompts) {
      const auto printed = io::read_json_file(file_of(subject, part))["output"];
      for (const auto& set : printed["files"]) {
        if (not set.contains("said"))
          throw error(error_kind::mismatch,
                      "'" + file_of(subject, part).string() +
                          "' is of an older trimtab, which did not count how often the model says "
                          "the answer; give another --out");
        const int kept = set["prompts"], drawn = set["drawn"];
        counts.drawn += drawn, counts.right += kept, counts.said += set["said"].get<int>();
        if (part.name == prompts.front().name) counts.first_drawn += drawn, counts.first_right += kept;
        const bool is_used =
            part.name == "lengths/prompts" or path(set["file"].get<std::string>()).filename() != "other-lengths.jsonl";
        counts.enough = counts.enough and (kept > 0 or not is_used);
      }
    }
    return counts;
  }

  /// Says how many pairs the untouched model answers, and what follows from that.
  static std::string sentence_of(const study_subject& subject, const answered_pairs& counts) {
    const auto drawn = std::to_string(counts.drawn),
               of = std::to_string(counts.right) + " of " + drawn + " prompt pairs";
    if (not counts.any()) {
      const auto none = "The untouched model answers none of " + drawn + " prompt pairs as the task says";
      const auto guesses = ": it finds the right answer likelier than the wrong one on " +
                           std::to_string(counts.right) +
                           ", no more than a coin would, and likelier than every other token on none";
      return none + (counts.right > 0 ? guesses : "") + ". There is nothing to steer: " + subject.model_name +
             " does not know this task.";
    }
    if (not counts.enough)
      return "The untouched model answers " + of +
             " as the task says, and none of some set of train or test prompts, so nothing was fitted; ask for more "
             "prompts with --train and --test.";
    const auto within = counts.within();
    std::string said = "The untouched model answers " + of + " as the task says; only those are used.";
    if (within.low <= 0.5 and within.high >= 0.5)
      said += " That is no more than a coin would: whether the model knows the task at all is doubtful.";
    return said;
  }

  // --- what is said in the end

  void describe() {
    std::vector<report::chapter> chapters = {{}};
    std::vector<tested_hypothesis> hypotheses;
    found_.json = {{"hypotheses", ordered_json::array()}, {"parts", ordered_json::array()}};
    found_.json["subjects"] = ordered_json::array();
    std::string missing;
    for (std::size_t k = 0; k < subjects_.size(); ++k) {
      const auto& subject = subjects_[k];
      const auto said = sentence_of(subject, answered_[k]);
      found_.json["subjects"].push_back({{"model", subject.model_name},
                                         {"task", subject.task_name},
                                         {"drawn", answered_[k].drawn},
                                         {"answered", answered_[k].answered()},
                                         {"sentence", said}});
      study_report report(subject);
      report.paragraph(said);
      report.commands(commands_of(prompt_parts(subject)));
      for (const auto* folder : {"tables", "figures"}) make_folder(subject.folder / folder);
      for (const auto& part : prompt_parts(subject)) add_part(subject, part);
      if (answered_[k].can_be_studied())
        for (const auto* experiment : experiments) {
          const auto parts = experiment->parts(subject);
          for (const auto& part : parts) add_part(subject, part);
          experiment->show(report);
          report.commands(commands_of(parts));
        }
      found_.json["parts"].push_back({{"name", subject.folder.filename().string() + "/tables and figures"},
                                      {"command", own_command()},
                                      {"files", names_of(report.files())}});
      found_.text += subject.model_name + " on " + subject.task_name + ": " + said + "\n";
      if (not answered_[k].can_be_studied())
        missing += report::element_of_text("p", subject.model_name + " on " + subject.task_name + ": " + said);
      chapters.push_back({subject.model_name + " on " + subject.task_name, {}, report.html()});
      hypotheses.insert(hypotheses.end(), report.hypotheses().begin(), report.hypotheses().end());
    }
    chapters.front() = {"What held", {}, missing + (hypotheses.empty() ? "" : table_of(hypotheses))};
    for (const auto& one : hypotheses) found_.json["hypotheses"].push_back(to_json(one));
    write_hypotheses(hypotheses);
    io::write_file_atomically(command_.out / "study.json", found_.json.dump(1) + "\n");
    report::write_html(command_.out / "study.html", "The paper's experiments", chapters, about);
    found_.text += "\n" + text_of(hypotheses) + "\nstudy.html, study.json and hypotheses.csv are in " +
                   text::one_line(command_.out.string()) + "\n";
    found_.json["interrupted"] = false;
  }

  static constexpr std::string_view about =
      "The experiments of Stoehr et al., Activation Scaling for Steering and Interpreting Language Models (2024), run "
      "anew. The paper's templates and figures are not public in numbers, so none is reproduced here: each finding is "
      "a hypothesis with a margin that was fixed beforehand. It is held if the whole 95 % interval of its figure is at "
      "or above the margin, not held if all of it is below, and otherwise not decided.";

  static ordered_json number(double x) { return std::isfinite(x) ? ordered_json(x) : ordered_json(); }

  static ordered_json to_json(const tested_hypothesis& h) {
    return {{"name", h.name},
            {"model", h.model},
            {"task", h.task},
            {"estimate", number(h.found.estimate)},
            {"interval", {number(h.found.within.low), number(h.found.within.high)}},
            {"margin", h.found.margin},
            {"verdict", trimtab::text_of(h.found.said)}};
  }

  void write_hypotheses(const std::vector<tested_hypothesis>& hypotheses) const {
    std::string csv = "model,task,hypothesis,estimate,low,high,margin,verdict\n";
    for (const auto& h : hypotheses) {
      for (const auto& field : {h.model, h.task, h.name}) csv += text::csv_field(field) + ",";
      for (const double x : {h.found.estimate, h.found.within.low, h.found.within.high, h.found.margin})
        csv += (std::isfinite(x) ? cell(x) : "") + ",";
      csv += std::string(trimtab::text_of(h.found.said)) + "\n";
    }
    io::write_file_atomically(command_.out / "hypotheses.csv", csv);
  }

  static std::vector<std::string> cells_of(const tested_hypothesis& h) {
    const auto text = [](double x) { return std::isfinite(x) ? report::readable(x) : std::string("–"); };
    return {h.name,
            h.model,
            h.task,
            text(h.found.estimate),
            text(h.found.within.low) + " to " + text(h.found.within.high),
            text(h.found.margin),
            std::string(trimtab::text_of(h.found.said))};
  }
  static inline const std::vector<std::string> columns_of_hypotheses = {
      "hypothesis", "model", "task", "estimate", "95 % interval", "at least", "verdict"};

  /// A row for each hypothesis, a column for each model and task.
  static std::string table_of(const std::vector<tested_hypothesis>& hypotheses) {
    report::text_table table{{"hypothesis", "at least"}, {}};
    std::vector<std::string> names;
    const auto place_in = [](std::vector<std::string>& list, const std::string& name) {
      const auto place = static_cast<std::size_t>(std::ranges::find(list, name) - list.begin());
      if (place == list.size()) list.push_back(name);
      return place;
    };
    for (const auto& h : hypotheses) {
      const auto cells = cells_of(h);
      const std::size_t row = place_in(names, h.name), column = place_in(table.header, h.model + ", " + h.task);
      if (row == table.rows.size()) table.rows.push_back({h.name, cells[5]});
      table.rows[row].resize(std::max(table.rows[row].size(), column + 1));
      table.rows[row][column] = cells[6] + ", " + cells[3] + " (" + cells[4] + ")";
    }
    for (auto& row : table.rows) row.resize(table.header.size());
    return report::html_of(table);
  }
  static std::string text_of(const std::vector<tested_hypothesis>& hypotheses) {
    report::table table(columns_of_hypotheses);
    for (const auto& h : hypotheses) table.add(cells_of(h));
    return table.text(report::wants_colour(STDOUT_FILENO));
  }

  std::string own_command() const {
    std::vector<std::string> words = {"trimtab", "study", "paper"};
    for (const auto& model : command_.models) words.insert(words.end(), {"--model", model.string()});
    for (const auto& task : command_.tasks) words.insert(words.end(), {"--task", task});
    words.insert(words.end(), {"--out", command_.out.string()});
    if (command_.quick) words.push_back("--quick");
    const auto add = [&](const char* option, const auto& value) {
      if (value) words.insert(words.end(), {option, std::to_string(*value)});
    };
    add("--train", command_.train), add("--test", command_.test), add("--seeds", command_.seeds);
    add("--steps", command_.steps), add("--explained", command_.explained);
    if (not command_.memory.empty()) words.insert(words.end(), {"--memory", command_.memory});
    return shell_line(words);
  }

  static ordered_json names_of(const std::vector<path>& files) {
    auto names = ordered_json::array();
    for (const auto& file : files) names.push_back(file.string());
    return names;
  }
  void add_part(const study_subject& subject, const study_part& part) {
    auto files = part.files;
    files.push_back(file_of(subject, part));
    found_.json["parts"].push_back({{"name", subject.folder.filename().string() + "/" + part.name},
                                    {"command", command_of(part)},
                                    {"files", names_of(files)}});
  }
  std::vector<std::string> commands_of(const std::vector<study_part>& parts) const {
    std::vector<std::string> lines;
    for (const auto& part : parts) lines.push_back(command_of(part));
    return lines;
  }

  // --- what is said before

  /// The plan of a fit on so many prompts, with vectors at all sites.
  ordered_json plan_of_fit(const study_subject& subject, int prompts) const {
    const auto from = subject.is_file()
                          ? std::vector<std::string>{"--data", subject.task}
                          : std::vector<std::string>{"--task", subject.task, "--train", std::to_string(prompts)};
    return run_command(fit_part(subject, "plan",
                                all_words({from,
                                           {"--policy", "steer-vec", "--sites", "attn_out,mlp_out,resid_post",
                                            "--positions", subject.positions(), "--plan"}}),
                                prompts));
  }

  /// How many lines of a file are not blank.
  static int lines_of(const path& file) {
    int lines = 0;
    bool is_blank = true;
    const io::input_file content(file);
    for (const char c : content.text()) {
      if (c == '\n') is_blank = true;
      const bool begins = is_blank and c != ' ' and c != '\t' and c != '\r' and c != '\n';
      if (begins) is_blank = false, ++lines;
    }
    return lines;
  }

  /// Time and memory, from the plans of the largest fit and of one on a single prompt: parts take time by how many
  /// prompts they run, and by whether these run together.
  output plan() {
    output planned;
    planned.json["subjects"] = ordered_json::array();
    std::vector<std::string> columns = {"model", "task", "prompts"};
    for (const auto* experiment : experiments)
      if (experiment != &norm_and_direction) columns.push_back(experiment->name);  // which runs nothing
    columns.insert(columns.end(), {"all", "memory"});
    report::table table(columns);
    double all_seconds = 0;
    for (const auto& subject : subjects_) {
      const auto largest = plan_of_fit(subject, subject.with.train);
      const auto seconds_of_pass = [&](const ordered_json& plan, int prompts) {
        return plan["seconds"].get<double>() / fit_part(subject, "plan", {}, prompts).passes;
      };
      // The plan of a file is that of all its prompts.
      const double together = seconds_of_pass(largest, subject.is_file() ? lines_of(subject.task) : subject.with.train),
                   alone = subject.is_file() ? together : seconds_of_pass(plan_of_fit(subject, 1), 1);
      std::size_t fits = 0;
      double bytes = 0, seconds = 0;
      for (const auto& [part, size] : largest["memory"].items()) bytes += size.get<double>();
      std::vector<std::string> cells = {subject.model_name, subject.task_name};
      auto by_experiment = ordered_json::object();
      const auto add = [&](const std::string& name, const std::vector<study_part>& parts) {
        double sum = 0;
        for (const auto& part : parts) {
          sum += part.passes * (part.one_by_one ? alone : together);
          fits += part.words.front() == "fit";
        }
        by_experiment[name] = sum;
        cells.push_back(report::duration(sum));
        seconds += sum;
      };
      add("prompts", prompt_parts(subject));
      for (const auto* experiment : experiments)
        if (experiment != &norm_and_direction) add(experiment->name, experiment->parts(subject));
      all_seconds += seconds;
      planned.json["subjects"].push_back({{"model", subject.model_name},
                                          {"task", subject.task_name},
                                          {"fits", fits},
                                          {"seconds", seconds},
                                          {"seconds_of_a_fit", largest["seconds"]},
                                          {"experiments", by_experiment},
                                          {"bytes", bytes}});
      cells.insert(cells.end(), {report::duration(seconds), bytes_text(bytes)});
      table.add(cells);
    }
    planned.json["seconds"] = all_seconds;
    planned.text = table.text(report::wants_colour(STDOUT_FILENO)) + "about " + report::duration(all_seconds) +
                   " in all on the CPU of this machine\n";
    return planned;
  }

  const study_command& command_;
  const common_options& common_;
  std::vector<study_subject> subjects_ = {};
  std::vector<answered_pairs> answered_ = {};
  output found_ = {};
};

}  // namespace

output study(const study_command& command, const common_options& common) {
  return running_study(command, common).run();
}

}  // namespace trimtab::cli
