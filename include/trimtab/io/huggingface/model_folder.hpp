// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/core/view.hpp>
#include <trimtab/io/files/safetensors.hpp>
#include <trimtab/io/huggingface/model_config_file.hpp>
#include <trimtab/io/huggingface/model_layout.hpp>
#include <trimtab/io/huggingface/tokenizer_options.hpp>
#include <trimtab/io/huggingface/weight_files.hpp>
#include <trimtab/model/hash.hpp>
#include <trimtab/model/weights.hpp>
#include <trimtab/text/joined.hpp>
#include <trimtab/text/utf8.hpp>

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

/// A Hugging Face model folder, `config.json` and safetensors weights, as a `weight_source`. Opening checks that the
/// folder holds the weights that its configuration describes, and in the model's parts no other; reading then converts
/// one block at a time out of the open files, so that the whole model need not lie in host memory.
///
/// A tensor that belongs to no part of the model, such as the head of a classifier, is ignored with a warning, as
/// transformers does. Inside a block, an embedding, the last norm or the unembedding, transformers ignores unknown
/// tensors as well; here they are refused, because they are probably meant to change what the part computes.

namespace trimtab::io {

struct model_folder_options {
  bool allow_non_finite = false;  ///< accept infinite and NaN weights, which otherwise are an error
  /// Called as progress(blocks read, blocks in total).
  std::function<void(index_t, index_t)> progress = {};
  tokenizer_options tokenizer = {};  ///< for from_pretrained, which reads the tokenizer as well
};

namespace detail {

/// Notes which weights of a layout a folder lacks or has otherwise.
class weight_checker {
 public:
  explicit weight_checker(const weight_files& files) : files_(files) {}

  void check(const stored_weight& weight) {
    if (not weight.is_stored) return;
    const auto& [name, shape, order, is_stored] = weight;
    used_.insert(name);
    if (not files_.contains(name)) {
      complain("'" + name + "' is missing");
    } else if (files_.shape(name) != shape) {
      complain("'" + name + "' has the shape " + shape_text(files_.shape(name)) + " instead of " + shape_text(shape));
    } else if (not is_real(files_.type(name))) {
      complain("'" + name + "' has the dtype " + std::string(name_of(files_.type(name))) +
               " instead of F64, F32, F16 or BF16");
    }
  }
  void check_nothing_else() {
    for (const auto& [name, place] : files_.places())
      if (not used_.contains(name)) complain(text::in_quotes(place.full_name, '\'') + " is unexpected");
  }

  /// Whether to stop: a configuration with a billion layers would have billions of complaints.
  bool enough() const { return complaints_.size() > 3; }
  void finish(const std::filesystem::path& folder) const {
    if (complaints_.empty()) return;
    throw error(error_kind::bad_file,
                "the weights in '" + folder.string() + "' are not those of the model that its config.json describes: " +
                    text::joined(std::span(complaints_).first(std::min(complaints_.size(), std::size_t{3})), ", ") +
                    (enough() ? ", and more" : ""));
  }

 private:
  void complain(std::string what) {
    if (not enough()) complaints_.push_back(std::move(what));
  }

  const weight_files& files_;
  std::set<std::string, std::less<>> used_ = {};
  std::vector<std::string> complaints_ = {};
};

/// The warning about tensors that are not read. It shows the first of them: a folder may have thousands.
inline std::string ignored(const std::filesystem::path& folder, std::span<const std::string> names) {
  const auto shown = names.first(std::min(names.size(), std::size_t{20}));
  return "'" + folder.string() + "' holds tensors that are no part of the model and are ignored: " +
         text::joined(shown, ", ", [](const std::string& name) { return text::in_quotes(name, '\''); }) +
         (shown.size() < names.size() ? ", and " + std::to_string(names.size() - shown.size()) + " more" : "");
}

}  // namespace detail

class model_folder {
  template <typename Visitor>
  auto with_layout(const Visitor& visitor) const {
    return file_.config.architecture == "gpt2" ? visitor(gpt2_layout{}) : visitor(gpt_neox_layout{});
  }

 public:
  /// Opens and checks the folder. Throws `error` of kind `io`, `bad_file` or `bad_config`.
  explicit model_folder(std::filesystem::path folder, model_folder_options options = {})
      : folder_(std::move(folder)),
        policy_(options.allow_non_finite ? non_finite::allow : non_finite::refuse),
        options_(std::move(options)),
        file_(read_model_config_file(folder_)),
        weights_(folder_, with_layout([](auto layout) { return layout.names; })) {
    with_layout([&](auto layout) { tie(layout), check(layout); });
    if (not weights_.others().empty()) warnings_.push_back(detail::ignored(folder_, weights_.others()));
  }

  const model_config& config() const { return file_.config; }
  const model_config_file& file() const { return file_; }
  const std::filesystem::path& path() const { return folder_; }
  const model_folder_options& options() const { return options_; }
  /// What is unusual about the folder, for the user: one sentence each.
  const std::vector<std::string>& warnings() const { return warnings_; }

  /// Throws `error(bad_file)` where a weight is not finite.
  template <readable_scalar T>
  block_weights<T> block(index_t layer) const {
    assert(layer >= 0 and layer < config().layers);
    block_weights<T> weights;
    each_of_block(layer, [&](const stored_weight& weight, auto member) { member(weights) = read<T>(weight); });
    if (options_.progress) options_.progress(layer + 1, config().layers);
    return weights;
  }
  template <readable_scalar T>
  outer_weights<T> outer() const {
    outer_weights<T> weights;
    each_of_outer([&](const stored_weight& weight, auto member) { member(weights) = read<T>(weight); });
    return weights;
  }

  /// The same with large matrices that are still in the files, which are open as long as the folder is.
  template <readable_scalar T>
  block_weights<T, unread_matrix<T>> unread_block(index_t layer) const {
    assert(layer >= 0 and layer < config().layers);
    block_weights<T, unread_matrix<T>> weights;
    each_of_block(layer, [&](const stored_weight& weight, auto member) { set(member(weights), weight, false); });
    return weights;
  }
  void took_block(index_t layer) const {
    if (options_.progress) options_.progress(layer + 1, config().layers);
  }
  template <readable_scalar T>
  outer_weights<T, unread_matrix<T>> unread_outer() const {
    outer_weights<T, unread_matrix<T>> weights;
    each_of_outer([&](const stored_weight& weight, auto member) { set(member(weights), weight, true); });
    return weights;
  }

  /// The weights of a block, and those outside of the blocks, as model_layout.hpp lists them.
  template <typename Visit>
  void each_of_block(index_t layer, Visit visit) const {
    with_layout([&](auto layout) { layout.each_of_block(file_, layer, visit); });
  }
  template <typename Visit>
  void each_of_outer(Visit visit) const {
    with_layout([&](auto layout) { layout.each_of_outer(file_, visit); });
  }
  /// Where each weight lies, by its name in those lists, and the type in which it is stored.
  const weight_files& files() const { return weights_; }

  /// The hash of the stored bytes as version 0.1 computed it, 16 hexadecimal digits: `byte_hash` over name (without
  /// prefix) and bytes of every weight in the order of names. Shards, prefixes and a stored copy of a tied unembedding
  /// do not change it; another precision does. Reads all weights.
  std::string stored_hash() const {
    const auto copy = with_layout([](auto layout) { return layout.unembedding; });
    byte_hash hash;
    for (const auto& [name, place] : weights_.places()) {
      if (file_.tied_embeddings and name == copy) continue;
      hash.add(name);
      hash.add(weights_.bytes(name));
    }
    return hash.text();
  }

 private:
  template <readable_scalar T>
  host_matrix<T> read(const stored_weight& weight) const {
    if (not weight.is_stored) return {1, weight.shape.back()};
    return in_memory(weights_.read<T>(weight.name, policy_), weight, config());
  }

  template <readable_scalar T>
  void set(host_matrix<T>& to, const stored_weight& weight, bool) const {
    to = read<T>(weight);
  }
  template <readable_scalar T>
  void set(unread_matrix<T>& to, const stored_weight& weight, bool is_embedding) const {
    to.convert = [this, weight] { return read<T>(weight); };
    const auto type = kept_type(weights_.type(weight.name));
    if (not type) return;
    to.file = as_map(weight, is_embedding, config());
    to.file.type = *type;
    to.file.read = weights_.reader(weight.name);
  }

  /// Of two tied matrices, a folder may hold either.
  template <typename Layout>
  void tie(Layout layout) {
    if (file_.tied_embeddings and weights_.contains(layout.unembedding) and not weights_.contains(layout.embedding))
      weights_.rename(layout.unembedding, layout.embedding);
  }
  template <typename Layout>
  void check(Layout layout) const {
    auto checker = detail::weight_checker(weights_);
    const auto compare = [&](const stored_weight& weight, auto) { checker.check(weight); };
    layout.each_of_outer(file_, compare);
    // A tied unembedding may be stored all the same, as a copy.
    const bool has_copy = file_.tied_embeddings and weights_.contains(layout.unembedding);
    if (has_copy) {
      const std::vector<index_t> shape{config().vocabulary, config().width};
      checker.check(stored_weight{layout.unembedding, shape});
    }
    for (index_t layer = 0; layer < config().layers and not checker.enough(); ++layer)
      layout.each_of_block(file_, layer, compare);
    checker.check_nothing_else();
    checker.finish(folder_);
    if (has_copy and not std::ranges::equal(weights_.bytes(layout.unembedding), weights_.bytes(layout.embedding)))
      throw error(error_kind::bad_file,
                  "the weights in '" + folder_.string() + "' hold an '" + layout.unembedding + "' that differs from '" +
                      layout.embedding + "', though config.json ties them; set tie_word_embeddings to false to use it");
  }

  std::filesystem::path folder_;
  non_finite policy_;
  model_folder_options options_;
  model_config_file file_;
  weight_files weights_;
  std::vector<std::string> warnings_ = {};
};

static_assert(unread_weight_source<model_folder, float> and unread_weight_source<const model_folder, double>);

}  // namespace trimtab::io
