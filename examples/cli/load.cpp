// SPDX-License-Identifier: Apache-2.0

#include "load.hpp"

#include "talk.hpp"

#include <trimtab/core/error.hpp>
#include <trimtab/io/huggingface/hub_cache.hpp>
#include <trimtab/io/huggingface/model_config_file.hpp>
#include <trimtab/io/huggingface/tokenizer_files.hpp>
#include <trimtab/report/terminal/progress.hpp>
#include <trimtab/text/utf8.hpp>

#include <latch>
#include <optional>
#include <system_error>
#include <thread>
#include <vector>

namespace trimtab::cli {

namespace {

/// Throws if the system does not allow as many threads as --threads asks for. The library would silently use fewer.
void require_threads(int count) {
  std::latch all_tried(1);
  std::vector<std::jthread> started;
  try {
    while (static_cast<int>(started.size()) < count - 1) started.emplace_back([&] { all_tried.wait(); });
  } catch (const std::system_error& problem) {
    all_tried.count_down();
    throw error(error_kind::bad_argument, "cannot start " + std::to_string(count) + " threads, only " +
                                              std::to_string(started.size() + 1) + ": " + problem.code().message() +
                                              "; ask for fewer with --threads");
  }
  all_tried.count_down();
}

/// A folder whose weights stay on the disk.
class opened_folder final : public any_folder {
 public:
  opened_folder(const path& folder, const io::tokenizer_options& options)
      : config_(io::read_model_config_file(folder).config) {
    try {
      tokenizer_.emplace(io::read_tokenizer(folder, options));
    } catch (const error& problem) {
      complaint_.emplace(problem);
    }
  }

  const model_config& config() const override { return config_; }
  const text::tokenizer& tokenizer() const override {
    if (complaint_) throw error(*complaint_);
    return *tokenizer_;
  }
  bool has_tokenizer() const override { return tokenizer_.has_value(); }

 private:
  model_config config_;
  std::optional<text::tokenizer> tokenizer_ = {};
  std::optional<error> complaint_ = {};
};

}  // namespace

std::unique_ptr<any_folder> open_folder(const path& name, const common_options& options) {
  return std::make_unique<opened_folder>(io::model_path(name), options.tokenizer);
}

std::unique_ptr<any_model> load_model(const path& name, const common_options& options) {
  const stopwatch watch;
  const auto folder = io::model_path(name);
  const auto config = io::read_model_config_file(folder).config;
  report::progress_bar bar("load", config.layers, not options.quiet);
  const io::model_folder_options how{.allow_non_finite = options.allow_non_finite,
                                     .progress = [&](index_t done, index_t) { bar.show(done); },
                                     .tokenizer = options.tokenizer};
  const auto noted = [&](std::unique_ptr<any_model> model) {
    note(options, "read '" + folder.string() + "' (" + text_of(config) + ") in " + watch.text());
    for (const auto& warning : model->warnings()) warn(warning);
    if (model->has_tokenizer() and not model->tokenizer().after().empty())
      warn("the tokenizer of '" + folder.string() + "' puts " +
           text::in_quotes(model->tokenizer().decode(model->tokenizer().after())) +
           " after a text; prompts are read without it");
    return model;
  };
  if (options.backend == machine::cuda) {
#if defined(TRIMTAB_CLI_CUDA)
    return noted(load_cuda(folder, config, options.precision, how));
#else
    throw error(error_kind::device,
                "this trimtab was built without CUDA; build it with `cmake --preset cuda && cmake --build --preset "
                "cuda`, or leave out --backend cuda");
#endif
  }
  require_threads(options.threads);
  return noted(load_cpu(folder, config, options, how));
}

}  // namespace trimtab::cli
