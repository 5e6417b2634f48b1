// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model.hpp"

#include <trimtab/core/position.hpp>
#include <trimtab/core/prompt_pair.hpp>
#include <trimtab/task/prompt_pair.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// What the commands that load a model share: prompts from tasks and files, and interventions from files.

namespace trimtab::cli {

/// A model's tokenizer in the form that tasks and file readers expect; throws on use if the model has none.
struct model_encoder {
  const any_folder& model;

  std::vector<int> encode(std::string_view text) const { return model.tokenizer().encode(text); }
  std::vector<int> encode_prompt(std::string_view text) const { return model.tokenizer().encode_prompt(text); }
  std::string decode(std::span<const int> ids) const { return model.tokenizer().decode(ids); }
};

/// The text of the tokens that the model's tokenizer puts before every prompt, empty without any.
std::string before_prompts(const any_folder& model);

/// The ids of a text on the command line. Throws `bad_text`, naming --prompt.
std::vector<int> prompt_ids(const any_folder& model, const std::string& prompt);

/// A set of prompt pairs with its name in the output.
struct named_prompts {
  std::string name;
  std::vector<prompt_pair> pairs;
};

/// The prompts of a task.
task::prompt_sets make_task(const any_folder& model, const data_options& data, std::uint64_t seed, int other_lengths);

/// Whether the untouched model gets a prompt right, or wrong, as asked.
bool is_kept(kept_prompts which, const any_model& model, const prompt_pair& pair);

/// The sets of a task or of files: "train", "test", and for a task "test_other_lengths" unless a position key is
/// absolute. `only` is what one file of prompts is called that has no test set beside it: "train" for a fit. Absolute
/// positions require one length for all prompts: the key's count, or if that is 0 the length of the first prompt.
std::vector<named_prompts> read_data(const any_folder& model, const data_options& data, std::uint64_t seed,
                                     const std::vector<position_key>& keys, const std::string& only = "train");

/// The prompts of a file that are to stay as they are, none for an empty name. For absolute positions they are as long
/// as `prompts`.
std::vector<prompt_pair> read_retained(const any_folder& model, const path& file, const std::vector<position_key>& keys,
                                       const std::vector<prompt_pair>& prompts);

/// Prompts to steer, and after them those that are to stay as they are: what a fit's loss is over.
std::vector<prompt_pair> with_retained(std::vector<prompt_pair> pairs, const std::vector<prompt_pair>& retained);

/// A warning if some prompt's answers leave at most one other token, where the KL without the answers is always 0.
std::optional<std::string> empty_masked_kl(const any_model& model, const objective_options& objective,
                                           const std::vector<named_prompts>& sets);

/// The prompt pairs of a file, checked against the model and these position keys.
std::vector<prompt_pair> read_pairs(const any_folder& model, const path& file, const std::vector<position_key>& keys);

/// The prompt pairs that places are explained on: a task's test set, or those of a file; `corrupt`: each needs a
/// corrupt prompt.
std::vector<prompt_pair> read_explained(const any_folder& model, const data_options& data, bool corrupt);

/// The interventions of a file.
std::vector<chosen_at> chosen_in(const intervention_file& file);

/// An intervention from a file, composed with its model.
struct steered_model {
  intervention_file file;
  std::unique_ptr<any_composition> composition;
  parameters values;
};
steered_model read_steering(const any_model& model, const path& file, const common_options& common);

/// The absolute key among these, or nothing.
std::optional<position_key> absolute_of(const std::vector<position_key>& keys);
bool has_roles(const std::vector<position_key>& keys);

/// The seed that was asked for, else that of the file: only the seed of the fit gives test prompts that the fit was not
/// trained on. `name` is the file's path, for an error.
std::uint64_t seed_of(const data_options& data, const intervention_file& file, const path& name);

/// A number in the metadata of an intervention file. Throws `bad_file` for other text, and says which option replaces
/// it.
double number_made(const std::string& digits, const std::string& key, const path& name, const std::string& option);
/// The error for a word there that is none of those that it may be.
error unknown_word(const std::string& word, const std::string& key, const path& name, const std::string& option);

/// Throws `io` for a file that cannot be written. Called before the work begins, so that hours of it are not lost
/// because a folder does not exist.
void require_writable(const path& file);

/// The strength as a key: "+1", "-0.5", "0".
std::string strength_text(double strength);

}  // namespace trimtab::cli
