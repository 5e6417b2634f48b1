// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/io/huggingface/model_folder.hpp>
#include <trimtab/io/huggingface/tokenizer_files.hpp>
#include <trimtab/text/tokenizer.hpp>
#include <trimtab/text/utf8.hpp>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>

/// A model and its tokenizer from a Hugging Face folder:
///
///     auto model = from_pretrained<gpt2<eigen_backend<float>>>("gpt2/");
///
/// `pretrained<Model>` is the model together with its folder and its tokenizer.

namespace trimtab {

/// A model of the type `Model` from a folder.
template <typename Model>
class pretrained : public Model {
 public:
  /// Throws `io`, `bad_file` or `bad_config` for a folder that holds no model of a supported family, `mismatch` for one
  /// of another architecture than `Model`.
  explicit pretrained(const std::filesystem::path& folder, typename Model::backend_type backend = {},
                      io::model_folder_options options = {})
      : pretrained(
            with_memory_for("open the model",
                            [&] { return std::make_shared<const io::model_folder>(folder, std::move(options)); }),
            std::move(backend)) {}

  /// The tokenizer. Throws the error of loading it; a model whose prompts are given as ids needs none.
  const text::tokenizer& tokenizer() const {
    if (complaint_) throw error(*complaint_);
    return *tokenizer_;
  }
  bool has_tokenizer() const { return tokenizer_ != nullptr; }

 private:
  pretrained(std::shared_ptr<const io::model_folder> folder, typename Model::backend_type backend)
      : Model(*folder, std::move(backend)), folder_(std::move(folder)) {
    this->origin_.stored_hash = [folder = folder_] { return folder->stored_hash(); };
    try {
      tokenizer_ = std::make_shared<const text::tokenizer>(io::read_tokenizer(folder_->path()));
      check_tokenizer();
    } catch (const error& problem) {
      complaint_ = problem;
    }
  }

  void check_tokenizer() {
    const auto last = static_cast<int>(tokenizer_->vocabulary_size()) - 1;
    const auto size = this->config().vocabulary;
    if (last < size) return;
    const auto token = text::in_quotes(tokenizer_->token(last));
    tokenizer_ = nullptr;
    throw error(error_kind::mismatch, "the tokenizer in '" + folder_->path().string() + "' has the token " + token +
                                          " with the id " + std::to_string(last) +
                                          ", but the model's vocabulary ends at " + std::to_string(size - 1));
  }

  std::shared_ptr<const io::model_folder> folder_;  // open, not read: it costs no memory
  std::shared_ptr<const text::tokenizer> tokenizer_ = {};
  std::optional<error> complaint_ = {};
};

/// The model in `folder`. Throws as the constructor of `pretrained` does.
template <typename Model>
pretrained<Model> from_pretrained(const std::filesystem::path& folder, typename Model::backend_type backend = {},
                                  io::model_folder_options options = {}) {
  return with_memory_for("load the model",
                         [&] { return pretrained<Model>(folder, std::move(backend), std::move(options)); });
}

}  // namespace trimtab
