// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/io/huggingface/end_tokens.hpp>
#include <trimtab/io/huggingface/hub_cache.hpp>
#include <trimtab/io/huggingface/model_folder.hpp>
#include <trimtab/io/huggingface/tokenizer_files.hpp>
#include <trimtab/text/tokenizer.hpp>

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

/// A model and its tokenizer from a Hugging Face folder, or by its name from the cache of what was downloaded
/// (hub_cache.hpp):
///
///     auto model = from_pretrained<gpt2<eigen_backend<float>>>("gpt2/");
///     auto model = from_pretrained<gpt2<eigen_backend<float>>>("openai-community/gpt2");
///
/// `pretrained<Model>` is the model together with its folder and its tokenizer.

namespace trimtab {

/// A model of the type `Model` from a folder.
template <typename Model>
class pretrained : public Model {
 public:
  /// Throws `io`, `bad_file` or `bad_config` for a folder that holds no model of a supported family, `mismatch` for one
  /// of another architecture than `Model`; and as `io::model_path` for a name.
  explicit pretrained(const std::filesystem::path& folder, typename Model::backend_type backend = {},
                      io::model_folder_options options = {})
      : pretrained(
            with_memory_for(
                "open the model",
                [&] { return std::make_shared<const io::model_folder>(io::model_path(folder), std::move(options)); }),
            std::move(backend)) {}

  /// The tokenizer. Throws the error of loading it; a model whose prompts are given as ids needs none.
  const text::tokenizer& tokenizer() const {
    if (complaint_) throw error(*complaint_);
    return *tokenizer_;
  }
  bool has_tokenizer() const { return tokenizer_ != nullptr; }
  /// What is unusual about the folder, for the user: one sentence each.
  const std::vector<std::string>& warnings() const { return warnings_; }

  /// The tokens that end a generated text, and what the folder says of generation and nothing uses. Throws `bad_file`
  /// or `bad_config` where the folder's files are wrong.
  const io::end_tokens& end_tokens() const {
    if (end_complaint_) throw error(*end_complaint_);
    return end_tokens_;
  }

 private:
  pretrained(std::shared_ptr<const io::model_folder> folder, typename Model::backend_type backend)
      : Model(*folder, std::move(backend)), folder_(std::move(folder)), warnings_(folder_->warnings()) {
    this->origin_.stored_hash = [folder = folder_] { return folder->stored_hash(); };
    std::map<std::string, int> named;
    complaint_ = problem_of([&] {
      auto stored = io::open_tokenizer(folder_->path(), folder_->options().tokenizer);
      named = std::move(stored.named);
      warnings_.insert(warnings_.end(), stored.warnings.begin(), stored.warnings.end());
      tokenizer_ = std::make_shared<const text::tokenizer>(std::move(stored.tokenizer));
    });
    end_complaint_ = problem_of([&] { end_tokens_ = io::read_end_tokens(folder_->path(), named); });
  }

  /// What `read` throws, so that it is thrown only where the result is needed.
  template <typename Read>
  static std::optional<error> problem_of(Read read) {
    try {
      read();
      return std::nullopt;
    } catch (const error& problem) {
      return problem;
    }
  }

  std::shared_ptr<const io::model_folder> folder_;  // open, not read: it costs no memory
  std::shared_ptr<const text::tokenizer> tokenizer_ = {};
  std::optional<error> complaint_ = {}, end_complaint_ = {};
  io::end_tokens end_tokens_ = {};
  std::vector<std::string> warnings_;
};

/// The model in `folder`, or of that name. Throws as the constructor of `pretrained` does.
template <typename Model>
pretrained<Model> from_pretrained(const std::filesystem::path& folder, typename Model::backend_type backend = {},
                                  io::model_folder_options options = {}) {
  return with_memory_for("load the model",
                         [&] { return pretrained<Model>(folder, std::move(backend), std::move(options)); });
}

}  // namespace trimtab
