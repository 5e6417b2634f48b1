// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "commands.hpp"
#include "model.hpp"

#include <trimtab/io/json/json.hpp>
#include <trimtab/measure/hypotheses.hpp>
#include <trimtab/report/picture/heat_map.hpp>
#include <trimtab/report/picture/line_chart.hpp>

#include <memory>
#include <string>
#include <utility>
#include <vector>

/// What the experiments of a study share. An experiment is a list of parts, each of them one command of this program,
/// and a function that makes tables, pictures and verdicts of the files that those wrote.

namespace trimtab::cli {

/// How large a study is.
struct study_settings {
  int train = 64, test = 64;  ///< prompts of each seed
  int seeds = 3;
  index_t steps = 200;
  int explained = 16;                                        ///< prompts whose places are ranked by other methods
  std::vector<std::string> rates = {"0.01", "0.03", "0.1"};  ///< in the table of hyperparameters
  std::vector<std::string> lambdas = {"0.003max", "0.01max", "0.03max"};
  std::string memory = {};  ///< of every fit; empty: the default
};

/// A model with a task.
struct study_subject {
  std::string model = {};  ///< as it was given
  std::string task = {};   ///< ioi, ccc, or a file of prompt pairs
  std::string model_name = {}, task_name = {};
  path folder = {};
  study_settings with = {};
  std::shared_ptr<const any_folder> about = {};
  std::vector<int> lengths = {};  ///< the numbers of tokens from 10 to 20 that prompts of the task have
  std::string templates = {};     ///< of the prompts of any length, "0,1,2"
  index_t usual_length = 0;       ///< of the prompts that most parts run on
  bool has_corrupt = true;        ///< whether prompts have corrupt ones, which patching needs

  bool is_file() const { return task != "ioi" and task != "ccc"; }
  path file(const std::string& name) const { return folder / name; }
  /// train.jsonl or test.jsonl of a seed
  std::string prompts(int seed, const std::string& set) const {
    return file("prompts-" + std::to_string(seed) + "/" + set + ".jsonl").string();
  }
  /// The key under which fits and rankings count places: prompts of a task have one length, those of a file any.
  std::string positions() const { return is_file() ? "from_end" : "absolute"; }
};

/// One command. What it prints with --json is kept in NAME.json, beside its files.
struct study_part {
  std::string name = {};                ///< "sites/all/activ-scalar-1"
  std::vector<std::string> words = {};  ///< of the command, without the program's name
  std::vector<path> files = {};         ///< that it writes besides
  double passes = 0;                    ///< about how often a prompt goes through the model, forward or backward
  bool one_by_one = false;              ///< whether prompts do so one at a time
};

/// A verdict of an experiment.
struct tested_hypothesis {
  std::string name = {}, model = {}, task = {};
  finding found = {};
};

/// The report of one subject while it grows; tables and pictures are written as files at once.
class study_report {
 public:
  explicit study_report(const study_subject& subject) : subject_(subject) {}

  const study_subject& subject() const { return subject_; }
  /// What the command of a part printed. Throws `io` where the part is missing.
  io::json output_of(const std::string& part) const;

  void heading(const std::string& text);
  void paragraph(const std::string& text);
  /// A table as NAME.csv and NAME.json, numbers in full, and on the page, rounded.
  void table(const std::string& name, const std::vector<std::string>& header,
             const std::vector<std::vector<std::string>>& rows, const std::string& note = {});
  /// A table that is only kept as NAME.csv.
  void data(const std::string& name, const std::vector<std::string>& header,
            const std::vector<std::vector<std::string>>& rows);
  /// Pictures as NAME.svg and on the page, charts side by side.
  void charts(const std::vector<std::pair<std::string, report::line_chart>>& charts);
  void maps(const std::string& name, const std::vector<report::map_group>& groups);
  void hypothesis(const std::string& name, const finding& found);
  /// The commands that make what was shown, one a line, folded.
  void commands(const std::vector<std::string>& lines);

  const std::string& html() const { return html_; }
  const std::vector<tested_hypothesis>& hypotheses() const { return hypotheses_; }
  const std::vector<path>& files() const { return files_; }

 private:
  void write(const std::string& name, const std::string& content);

  const study_subject& subject_;
  std::string html_ = {};
  std::vector<tested_hypothesis> hypotheses_ = {};
  std::vector<path> files_ = {};
};

struct study_experiment {
  std::string name = {};
  std::vector<study_part> (*parts)(const study_subject&) = nullptr;
  void (*show)(study_report&) = nullptr;
};

extern const study_experiment one_pair, against_steer_vec, over_lengths, norm_and_direction, other_methods,
    hyperparameters;

/// The first of all: the prompts that the untouched model answers.
std::vector<study_part> prompt_parts(const study_subject& subject);

/// The first `count` lines of a file.
study_part head_part(const std::string& name, int count, const path& from, const path& to);

/// The commands `fit` and `eval`; a fit on `prompts` prompts, an evaluation on so many.
study_part fit_part(const study_subject& subject, const std::string& name, const std::vector<std::string>& options,
                    int prompts);
study_part eval_part(const study_subject& subject, const std::string& name, const std::string& fit,
                     const std::vector<std::string>& data, int prompts);

/// The words of some lists in a row.
std::vector<std::string> all_words(std::initializer_list<std::vector<std::string>> lists);

/// The maps of one quantity that --heatmap FILE.json wrote, none where the fit has none; `centre` is the number where
/// nothing changes.
report::map_group maps_of(const path& file, const std::string& quantity, const std::string& title,
                          const std::string& note, double centre = 0);

/// 1 for each prompt of a set of an evaluation whose answer follows both strengths, else 0.
std::vector<double> follows_both(const io::json& set);

/// The KL divergence of each prompt with the answers left out, the mean of both strengths.
std::vector<double> kl_of_each(const io::json& set);

/// A number in full.
std::string cell(double x);

}  // namespace trimtab::cli
