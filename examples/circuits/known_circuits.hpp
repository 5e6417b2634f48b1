// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/prompt_pair.hpp>
#include <trimtab/core/random.hpp>
#include <trimtab/model/config.hpp>
#include <trimtab/model/weights.hpp>

#include "features.hpp"

#include <cstddef>
#include <set>
#include <string>
#include <utility>
#include <vector>

/// Models whose weights are written by hand, so that the places an answer passes through are known: a method that ranks
/// places can be marked. All read one subject out of four and answer with the word that belongs to it:
///
///     copying      a head of layer 1 copies the subject to the last token, which answers with it
///     fact         the MLP of layer 0 looks up the answer to the last token, the subject
///     both         a head of layer 0 copies the subject, the MLP of layer 1 looks up the answer; the MLP of layer 0
///                  writes a decoy that depends on the subject and that nothing reads
///     redundant    the MLPs of layers 0 and 1 look up the same answer, and that of layer 2 says it if either did:
///                  min(1, a + b), which one path saturates
///     normed       as copying, with real norms; the MLP of layer 2 writes a decoy that depends on the subject and that
///                  nothing reads but the last norm
///
/// The norms are the identity (features.hpp). Real norms see how large the stream is, which no exchange of subjects
/// changes: it writes one feature for another. Attention scores are so large that a pattern is one-hot.

namespace circuits {

enum class circuit { copying, fact, both, redundant, normed };

constexpr std::pair<const char*, circuit> all_circuits[] = {{"copying", circuit::copying},
                                                            {"fact", circuit::fact},
                                                            {"both", circuit::both},
                                                            {"redundant", circuit::redundant},
                                                            {"normed", circuit::normed}};

/// A `weight_source`, for GPT-2 or GPT-NeoX.
class circuit_weights {
 public:
  static constexpr int subjects = 4;
  static constexpr int answers = subjects, filler = 2 * subjects, ask = filler + 1;  ///< token ids

  circuit_weights(circuit which, bool neox) : which_(which) {
    config_ = {.architecture = neox ? "gpt_neox" : "gpt2",
               .layers = 3,
               .width = 2 * features,
               .heads = 2,
               .hidden = 2 * subjects,
               .context = 8,
               .vocabulary = ask + 1,
               .rotary_channels = neox ? 2 : 0,
               .layer_norm_epsilon = which == circuit::normed ? 1e-5 : identity_epsilon,
               .nonlinearity = activation::relu,
               .parallel_residual = neox};
  }

  const model_config& config() const { return config_; }

  template <typename T>
  block_weights<T> block(index_t layer) const {
    auto w = idle_block<T>(config_.width, config_.hidden, gain());
    const bool copies = (copies_alone() and layer == 1) or (which_ == circuit::both and layer == 0);
    if (copies) copy(w);
    const auto look_up = [&](int from, int to) {
      for (int k = 0; k < subjects; ++k)
        read_feature(w.mlp_in.weight, from + k, k), write_feature(w.mlp_out.weight, k, to + k, 1);
    };
    if (which_ == circuit::fact and layer == 0) look_up(subject, answer);
    if (which_ == circuit::both and layer == 0) look_up(subject, decoy);
    if (which_ == circuit::both and layer == 1) look_up(copied, answer);
    if (which_ == circuit::normed and layer == 2) look_up(copied, decoy);
    if (which_ == circuit::redundant and layer < 2) look_up(subject, layer == 0 ? copied : decoy);
    if (which_ == circuit::redundant and layer == 2)
      for (int k = 0; k < subjects; ++k) {  // min(1, x) = relu(x) − relu(x − 1)
        for (int neuron : {k, subjects + k}) {
          read_feature(w.mlp_in.weight, copied + k, neuron), read_feature(w.mlp_in.weight, decoy + k, neuron);
          write_feature(w.mlp_out.weight, neuron, answer + k, neuron == k ? 1 : -1);
        }
        w.mlp_in.bias(0, subjects + k) = T(-1);
      }
    return w;
  }

  template <typename T>
  outer_weights<T> outer() const {
    outer_weights<T> w{.token_embedding = host_matrix<T>(config_.vocabulary, config_.width),
                       .norm_final = norm_with<T>(config_.width, gain()),
                       .unembedding = host_matrix<T>(config_.vocabulary, config_.width)};
    if (config_.rotary_channels == 0) w.position_embedding = host_matrix<T>(config_.context, config_.width);
    for (int k = 0; k < subjects; ++k) {
      write_feature(w.token_embedding, k, subject + k, 1), write_feature(w.token_embedding, k, is_subject, 1);
      write_feature(w.unembedding, answers + k, copies_alone() ? copied + k : answer + k, 0.5);
    }
    write_feature(w.token_embedding, ask, asks, 1);
    return w;
  }

  /// Prompts of several lengths, the corrupt ones about another subject. The subject has the role "subject".
  std::vector<prompt_pair> prompts(std::size_t count) const {
    const bool at_end = which_ == circuit::fact or which_ == circuit::redundant;
    random_generator random(5);
    std::vector<prompt_pair> all;
    while (all.size() < count) {
      const auto length = static_cast<int>(3 + random.below(4));
      const int place = at_end ? length - 1 : 1 + static_cast<int>(random.below(static_cast<std::size_t>(length - 2)));
      const auto about = static_cast<int>(random.below(subjects));
      const int other = (about + 1 + static_cast<int>(random.below(subjects - 1))) % subjects;
      prompt_pair p{.ids = std::vector<int>(static_cast<std::size_t>(length), filler),
                    .correct_id = answers + about,
                    .wrong_id = answers + other,
                    .roles = {{"subject", {place, place + 1}}}};
      if (not at_end) p.ids.back() = ask, p.roles["end"] = {length - 1, length};
      p.corrupt_ids = p.ids;
      p.ids[static_cast<std::size_t>(place)] = about;
      p.corrupt_ids[static_cast<std::size_t>(place)] = other;
      all.push_back(std::move(p));
    }
    return all;
  }

  /// Whether the answer passes through a site of a layer at the token of a role.
  bool decides(const std::string& site, index_t layer, const std::string& role) const {
    const bool at_subject = role == "subject";
    const auto attends = [&](index_t from) { return (site == "attn_z" or site == "attn_out") and layer == from; };
    const auto computes = [&](std::set<index_t> in) {
      return (site == "mlp_post" or site == "mlp_out") and in.contains(layer);
    };
    /// The stream, from the embedding (0) to where it leaves the last layer (9): three places a layer.
    const index_t along = 3 * layer + (site == "resid_pre" ? 0 : site == "resid_mid" ? 1 : 2);
    const bool stream = site.starts_with("resid");
    switch (which_) {
      case circuit::normed:
      case circuit::copying:  // read by the attention of layer 1
        return at_subject ? stream and along <= 3 : attends(1) or (stream and along >= 4);
      case circuit::both:  // read by the attention of layer 0
        return at_subject ? stream and along <= 0 : attends(0) or computes({1}) or (stream and along >= 1);
      case circuit::fact: return computes({0}) or stream;
      case circuit::redundant: return computes({0, 1, 2}) or stream;
    }
    return false;
  }

 private:
  // The features.
  static constexpr int subject = 0, copied = subjects, answer = 2 * subjects, decoy = 3 * subjects,
                       is_subject = 4 * subjects, asks = is_subject + 1, features = asks + 1;

  /// Whether the copied subject is the answer.
  bool copies_alone() const { return which_ == circuit::copying or which_ == circuit::normed; }

  double gain() const { return which_ == circuit::normed ? 1 : identity_gain; }

  /// Head 0 of a token that asks copies the subject.
  template <typename T>
  void copy(block_weights<T>& w) const {
    const index_t channel = config_.head_width() - 1;  // one that is not rotated
    read_feature(w.qkv.weight, asks, channel, 0x1p12);
    read_feature(w.qkv.weight, is_subject, config_.width + channel);
    for (int k = 0; k < subjects; ++k) {
      read_feature(w.qkv.weight, subject + k, 2 * config_.width + k);
      write_feature(w.attn_out.weight, k, copied + k, 1);
    }
  }

  circuit which_;
  model_config config_ = {};
};

static_assert(weight_source<circuit_weights, float> and weight_source<const circuit_weights, double>);

}  // namespace circuits
