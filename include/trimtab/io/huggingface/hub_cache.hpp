// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/io/files/input_file.hpp>
#include <trimtab/io/huggingface/weight_files.hpp>
#include <trimtab/text/utf8.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

/// Models by their names, such as `openai-community/gpt2`, from the cache in which Hugging Face's libraries keep what
/// they download (https://huggingface.co/docs/hub/local-cache):
///
///     CACHE/models--OWNER--NAME/refs/REVISION     the commit hash of a branch or tag
///                               snapshots/HASH/   the files of a commit, each a link into blobs/
///                               blobs/            the contents; X.incomplete while X is being downloaded
///
/// Nothing is downloaded here: for what is not in the cache, the error says how to get it.

namespace trimtab::io {

/// What a snapshot must hold to be of use.
enum class snapshot_use { model, tokenizer };

namespace detail {

/// A model on the Hub.
struct hub_name {
  std::string id = {};                             ///< NAME or OWNER/NAME
  std::optional<std::string> asked_revision = {};  ///< what stands after the '@'

  /// models--OWNER--NAME
  std::string cache_folder() const {
    auto folder = "models--" + id;
    if (const auto slash = folder.find('/'); slash != folder.npos) folder.replace(slash, 1, "--");
    return folder;
  }
  std::string revision() const { return asked_revision.value_or("main"); }
  std::string download_command() const {
    return "`hf download " + id + (asked_revision ? " --revision " + *asked_revision : "") + "`";
  }
};

/// Whether `id` is NAME or OWNER/NAME as huggingface_hub's validate_repo_id() allows them.
inline bool is_hub_id(std::string_view id) {
  const auto is_allowed = [](char c) {
    return (c >= 'a' and c <= 'z') or (c >= 'A' and c <= 'Z') or (c >= '0' and c <= '9') or c == '-' or c == '_' or
           c == '.' or c == '/';
  };
  const auto is_name = [](std::string_view name) {
    const auto is_end = [](char c) { return c == '-' or c == '.'; };
    return not name.empty() and name.size() <= 96 and not is_end(name.front()) and not is_end(name.back());
  };
  const auto slash = id.find('/');
  return std::ranges::all_of(id, is_allowed) and id.find("--") == id.npos and id.find("..") == id.npos and
         not id.ends_with(".git") and std::ranges::count(id, '/') <= 1 and is_name(id.substr(0, slash)) and
         (slash == id.npos or is_name(id.substr(slash + 1)));
}

/// A git commit, in full.
inline bool is_commit_hash(std::string_view text) {
  const auto is_digit = [](char c) { return (c >= '0' and c <= '9') or (c >= 'a' and c <= 'f'); };
  return text.size() == 40 and std::ranges::all_of(text, is_digit);
}

/// Whether a branch or tag, which is also a path below refs/, stays there.
inline bool is_safe_revision(std::string_view revision) {
  if (text::has_control(revision)) return false;
  for (std::size_t begin = 0; begin <= revision.size();) {
    const auto end = std::min(revision.find('/', begin), revision.size());
    const auto part = revision.substr(begin, end - begin);
    if (part.empty() or part == "." or part == "..") return false;
    begin = end + 1;
  }
  return true;
}

/// "gpt2" or "openai-community/gpt2@main"; nothing for a text of another form.
inline std::optional<hub_name> hub_name_of(const std::string& text) {
  const auto at = text.find('@');
  hub_name name{text.substr(0, at)};
  if (not is_hub_id(name.id)) return std::nullopt;
  if (at != text.npos) name.asked_revision = text.substr(at + 1);
  return name;
}

/// A variable of the environment that is set and not empty, as a path; a leading "~/" is the home folder.
inline std::optional<std::filesystem::path> path_in_environment(const char* variable) {
  const char* const value = std::getenv(variable);
  if (value == nullptr or *value == '\0') return std::nullopt;
  const std::string_view text = value;
  if (text != "~" and not text.starts_with("~/")) return text;
  const char* const home = std::getenv("HOME");
  return std::string(home == nullptr ? "~" : home) + std::string(text.substr(1));
}

/// Where huggingface_hub keeps its cache, by its constants.py; nothing where no variable says so.
inline std::optional<std::filesystem::path> hub_cache_folder() {
  for (const auto& [variable, below] : {std::pair{"HF_HUB_CACHE", ""},
                                        {"HUGGINGFACE_HUB_CACHE", ""},
                                        {"HF_HOME", "hub"},
                                        {"XDG_CACHE_HOME", "huggingface/hub"},
                                        {"HOME", ".cache/huggingface/hub"}})
    if (const auto base = path_in_environment(variable)) return *below == '\0' ? *base : *base / below;
  return std::nullopt;
}

/// The commit that a file below refs/ names.
inline std::string commit_in(const std::filesystem::path& ref) {
  const auto file = input_file(ref);
  constexpr std::size_t most = 64;  // a hash and the end of its line
  auto commit = file.size() <= most ? file.text() : "";
  commit.erase(commit.find_last_not_of(" \r\n") + 1);
  if (not is_commit_hash(commit))
    throw error(error_kind::bad_file, "'" + ref.string() + "' should hold a commit hash of 40 hexadecimal digits" +
                                          (commit.empty() ? "" : ", found " + text::in_quotes(commit)));
  return commit;
}

/// Whether a download into the cache folder of a model goes on or was interrupted.
inline bool is_downloading(const std::filesystem::path& model) {
  std::error_code ignored;
  for (const auto& blob : std::filesystem::directory_iterator(model / "blobs", ignored))
    if (blob.path().extension() == ".incomplete") return true;
  return false;
}

/// What an interrupted download left out of a snapshot: the name of a file, in quotes; empty where nothing is missing.
/// A snapshot without tokenizer may be whole, unless a download is unfinished.
inline std::string missing_from(const std::filesystem::path& snapshot, snapshot_use use, bool is_downloading) {
  std::error_code ignored;
  if (not std::filesystem::is_directory(snapshot, ignored)) return "all its files";
  const auto holds = [&](const std::string& name) { return std::filesystem::exists(snapshot / name, ignored); };
  if (use == snapshot_use::model) {
    if (not holds("config.json")) return "'config.json'";
    const std::string weights = "model.safetensors", index = weights + ".index.json";
    if (not holds(weights) and holds(index)) {
      for (const auto& shard : shards_in(snapshot / index))
        if (not holds(shard)) return text::in_quotes(shard, '\'');
    } else if (not holds(weights) and not holds("pytorch_model.bin") and not holds("pytorch_model.bin.index.json")) {
      return "'" + weights + "'";
    }
  }
  const bool has_tokenizer = holds("tokenizer.json") or (holds("vocab.json") and holds("merges.txt")) or
                             (holds("encoder.json") and holds("vocab.bpe"));
  if (is_downloading and not has_tokenizer) return "'tokenizer.json'";
  // A link without its blob: of the files that are read, an absent one would silently count as not stated.
  for (const auto name : {"generation_config.json", "tokenizer.json", "tokenizer_config.json",
                          "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt"})
    if (is_present(snapshot / name) and not holds(name)) return "'" + std::string(name) + "'";
  return "";
}

}  // namespace detail

/// The folder of the model that is called `name`: `name` itself where it is a file or folder, or cannot be a name on
/// the Hub; else its snapshot in the cache. NAME and OWNER/NAME stand for the branch main, NAME@REVISION for another
/// branch, a tag or a commit's hash of 40 digits. Throws `io` for a model that is not in the cache or not complete
/// there, `bad_argument` for a revision that cannot be one, `bad_file` for a cache that is damaged.
inline std::filesystem::path model_path(const std::filesystem::path& name, snapshot_use use = snapshot_use::model) {
  if (is_present(name)) return name;
  const auto model = detail::hub_name_of(name.string());
  if (not model) return name;
  const auto revision = model->revision();
  if (not detail::is_safe_revision(revision))
    throw error(error_kind::bad_argument, "the revision of '" + model->id + "' is " + text::in_quotes(revision, '\'') +
                                              "; expected a branch, a tag or the hash of a commit");
  const auto refuse = [&](const std::string& places) {
    std::error_code ignored;
    throw error(error_kind::io, text::in_quotes(name.string(), '\'') +
                                    " is neither a folder nor a model in the Hugging Face cache: there is no '" +
                                    std::filesystem::absolute(name, ignored).string() + "', and " + places + "; " +
                                    model->download_command() + " downloads it");
  };
  const auto cache = detail::hub_cache_folder();
  if (not cache) refuse("neither HF_HUB_CACHE, HF_HOME nor HOME says where the cache is");
  const auto in_cache = *cache / model->cache_folder();
  const bool is_hash = detail::is_commit_hash(revision);
  const auto entry = in_cache / (is_hash ? "snapshots" : "refs") / revision;
  if (not is_present(entry)) refuse("no '" + entry.string() + "'");
  auto snapshot = is_hash ? entry : in_cache / "snapshots" / detail::commit_in(entry);
  if (const auto missing = detail::missing_from(snapshot, use, detail::is_downloading(in_cache)); not missing.empty())
    throw error(error_kind::io, "the snapshot '" + snapshot.string() + "' of '" + model->id +
                                    "' is incomplete, it lacks " + missing + "; " + model->download_command() +
                                    " downloads the rest");
  return snapshot;
}

}  // namespace trimtab::io
