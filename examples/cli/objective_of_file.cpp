// SPDX-License-Identifier: Apache-2.0

#include "objective_of_file.hpp"

#include "asked.hpp"
#include "option_values.hpp"
#include "talk.hpp"

#include <trimtab/core/error.hpp>
#include <trimtab/io/files/input_file.hpp>

namespace trimtab::cli {

namespace {

class objective_reader {
 public:
  objective_reader(const intervention_file& file, const path& name, const objective_options& asked, unsaid otherwise)
      : file_(file), name_(name), objective_(asked), otherwise_(otherwise) {}

  objective_options read() {
    auto& o = objective_;
    take("--lambda-f", "lambda_f", o.lambda_f);
    take("--margin", "margin", o.margin);
    if (says("lambda_r")) take("--lambda-r", "lambda_r", o.lambda_r);  // only a fit with --retain has them
    if (says("lambda_n")) take("--lambda-n", "lambda_n", o.lambda_n);
    take("--lambda-m", "lambda_m", o.lambda_m);
    take("--psi", "psi", o.psi, psi_words);
    take("--kl", "kl", o.kl, kl_words);
    take("--kl-direction", "kl_direction", o.kl_direction, kl_direction_words);
    take("--minimality", "minimality", o.minimality, minimality_words);
    if (not is_taken("--strengths", "strengths")) return o;
    o.strengths.clear();
    const std::string list = file_.made.at("strengths") + ",";
    for (std::size_t begin = 0, end = 0; (end = list.find(',', begin)) != list.npos; begin = end + 1)
      o.strengths.push_back(number_made(list.substr(begin, end - begin), "strengths", name_, "--strengths"));
    return o;
  }

 private:
  bool says(const char* key) const { return file_.made.contains(key); }
  /// Whether the file's value counts.
  bool is_taken(const char* option, const char* key) const {
    if (objective_.given.contains(option)) return false;
    if (not says(key) and otherwise_ == unsaid::is_an_error)
      throw error(error_kind::bad_argument,
                  "'" + name_.string() + "' does not say the " + key + " of its fit; give " + option);
    return says(key);
  }
  template <typename Number>
  void take(const char* option, const char* key, Number& to) const {
    if (is_taken(option, key)) to = number_made(file_.made.at(key), key, name_, option);
  }
  template <typename Word>
  void take(const char* option, const char* key, Word& to, const std::map<std::string, Word>& words) const {
    if (not is_taken(option, key)) return;
    const auto& word = file_.made.at(key);
    if (not words.contains(word)) throw unknown_word(word, key, name_, option);
    to = words.at(word);
  }

  const intervention_file& file_;
  const path& name_;
  objective_options objective_;
  unsaid otherwise_;
};

}  // namespace

objective_options objective_of(const intervention_file& file, const path& name, const objective_options& asked,
                               unsaid otherwise) {
  return objective_reader(file, name, asked, otherwise).read();
}

path retained_in_fit(const intervention_file& file, const path& name, const path& asked_for,
                     const objective_options& asked, unsaid otherwise) {
  if (not asked_for.empty()) return asked_for;
  const auto named = file.made.find("retain");
  if (named == file.made.end()) {
    if (asked.given.contains("--lambda-r"))
      throw error(error_kind::bad_argument, "--lambda-r goes with --retain, and the fit of '" + name.string() +
                                                "' retained no prompts; give --retain, or leave out --lambda-r");
    return {};
  }
  if (io::is_present(named->second)) return named->second;
  const auto is_gone = "'" + named->second + "', whose prompts the fit retained, is not there; give --retain";
  if (otherwise == unsaid::is_an_error) throw error(error_kind::io, is_gone);
  warn(is_gone + ", or read the objective as one without retention");
  return {};
}

void say(const objective_options& objective, bool retains, std::map<std::string, std::string>& made) {
  made["lambda_f"] = exact(objective.lambda_f);
  made["lambda_m"] = exact(*objective.lambda_m);
  made["margin"] = exact(objective.margin);
  made["psi"] = word_of(psi_words, objective.psi);
  made["kl"] = word_of(kl_words, objective.kl);
  made["kl_direction"] = word_of(kl_direction_words, objective.kl_direction);
  made["minimality"] = word_of(minimality_words, objective.minimality);
  made["strengths"] = list_of(objective.strengths);
  if (retains) made["lambda_r"] = exact(objective.lambda_r);
  made.erase("lambda_n");
  if (objective.hook_terms() > 0) made["lambda_n"] = exact(*objective.lambda_n);
}

}  // namespace trimtab::cli
