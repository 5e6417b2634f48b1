// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/random.hpp>
#include <trimtab/model/config.hpp>
#include <trimtab/model/weights.hpp>

#include "examples/circuits/features.hpp"

#include <concepts>
#include <cstddef>
#include <string>
#include <vector>

/// Models in which a finding of the paper is true, or false, because their weights are written so. Their norms have an
/// epsilon of 1 and a small stream, which they leave nearly as it is: logits are almost linear in what the sites give.

namespace trimtab::test {

using namespace circuits;

/// A `weight_source` of weights that are there.
struct written_weights {
  model_config shape = {};
  std::vector<block_weights<float>> blocks = {};
  outer_weights<float> ends = {};

  const model_config& config() const { return shape; }
  static bool tied_embeddings() { return false; }
  template <std::same_as<float> T>
  block_weights<T> block(index_t layer) const {
    return blocks[static_cast<std::size_t>(layer)];
  }
  template <std::same_as<float> T>
  outer_weights<T> outer() const {
    return ends;
  }
};
static_assert(weight_source<const written_weights, float>);

inline written_weights idle_weights(const model_config& shape) {
  return {
      .shape = shape,
      .blocks = std::vector(static_cast<std::size_t>(shape.layers), idle_block<float>(shape.width, shape.hidden, 1)),
      .ends = {.token_embedding = host_matrix<float>(shape.vocabulary, shape.width),
               .position_embedding = host_matrix<float>(shape.context, shape.width),
               .norm_final = norm_with<float>(shape.width, 1),
               .unembedding = host_matrix<float>(shape.vocabulary, shape.width)}};
}

/// What is planted. A prompt is about one of 80 subjects; the MLP of layer 0 looks up in which direction its answer lies,
/// and the corrupt prompt is about a subject of the opposite direction. All prompts have the same two answers, unless:
///
///     scaling      all that decides the answer is what the MLP writes for the last token
///     turning      nothing does: the bias of the last norm answers
///     spilling     the same MLP also writes what moves the logits of all other tokens
///     spread       the subject stands everywhere but at the last token, to which the attention of layer 1 brings a little
///                  from each place: a vector does it at the last token alone, scalars only at all the others
///     own_answers  each subject has two answers of its own, and a direction of its own
///     moving       the subject stands anywhere, and the attention of layer 1 brings to the last token what was looked up
///     constant     the attention writes the answer, the same for every subject
enum class planted { scaling, turning, spilling, spread, own_answers, moving, constant };

class planted_model {
 public:
  explicit planted_model(planted what) : what_(what), weights_(idle_weights(shape_of(what))) {
    auto& [shape, blocks, ends] = weights_;
    const bool own = what == planted::own_answers;
    // Where something else answers, the MLP writes so little that no fit keeps it.
    const bool decides = what != planted::constant and what != planted::turning;
    auto& mlp_out = blocks[0].mlp_out;
    for (int k = 0; k < subjects; ++k) {
      write_feature(ends.token_embedding, k, k, 1);
      read_feature(blocks[0].mlp_in.weight, k, k, 1);
      const double sign = k % 2 == 0 ? 1 : -1;
      if (brings(what))
        write_feature(mlp_out.weight, k, found, sign * (what == planted::spread ? large : 1));
      else if (own)
        write_feature(mlp_out.weight, k, own_answer + k / 2, sign * size);
      else
        write_answer(mlp_out.weight, k, sign * (decides ? size : size / 500));
      write_feature(ends.unembedding, k, spill, sign / 2);
    }
    for (int j = 0; j < subjects / 2; ++j)
      for (const int sign : {1, -1}) {
        const int answer = answer_to(j) + (sign < 0);
        if (own)
          write_feature(ends.unembedding, answer, own_answer + j, sign * 1.0 / size);
        else if (j == 0)
          write_answer(ends.unembedding, answer, sign / 4.0 / size);
      }
    if (what == planted::spilling) write_feature(mlp_out.bias, 0, spill, 1);
    if (what == planted::constant) write_answer(blocks[0].attn_out.bias, 0, size);
    if (what == planted::turning) write_answer(ends.norm_final.bias, 0, size);
    if (brings(what)) {  // without scores, the attention is the mean over all tokens
      const auto tokens = static_cast<double>(shape.context);
      read_feature(blocks[1].qkv.weight, found, 2 * shape.width);
      write_answer(blocks[1].attn_out.weight, 0,
                   what == planted::spread ? size * tokens / (tokens - 1) / large : size * tokens);
    }
  }

  const written_weights& weights() const { return weights_; }

  /// Prompt pairs in JSON Lines, one about every second subject.
  std::string prompts() const {
    random_generator random(7);
    std::string lines;
    for (int j = 0; j < subjects / 2; ++j) {
      const auto last = static_cast<std::size_t>(weights_.shape.context - 1);
      const auto place = what_ == planted::moving ? random.below(last) : last;
      const auto ids = [&](int subject) {
        std::string text;
        for (std::size_t i = 0; i <= last; ++i)
          text += (i == 0 ? "[" : ", ") +
                  std::to_string((what_ == planted::spread ? i != last : i == place) ? subject : filler);
        return text + "]";
      };
      const int answer = answer_to(what_ == planted::own_answers ? j : 0);
      lines += "{\"ids\": " + ids(2 * j) + ", \"corrupt_ids\": " + ids(2 * j + 1) +
               ", \"correct_id\": " + std::to_string(answer) + ", \"wrong_id\": " + std::to_string(answer + 1) + "}\n";
    }
    return lines;
  }

 private:
  static constexpr int subjects = 80, filler = 2 * subjects;  ///< token ids; between the two are the answers
  /// The features after those of the subjects; the common answer has several, so that a vector needs many parameters.
  static constexpr int own_answer = subjects, found = own_answer + subjects / 2, spill = found + 1,
                       common_answer = spill + 1, answer_features = 4, features = common_answer + answer_features;
  static constexpr double size = 0.25;  ///< of a feature of the answer in the last token

  static constexpr double large = 8;  ///< what a scalar scales well, and a vector of a fit hardly changes

  /// Whether the attention of layer 1 brings what was looked up to the last token.
  static bool brings(planted what) { return what == planted::moving or what == planted::spread; }

  static int answer_to(int j) { return subjects + 2 * j; }

  static model_config shape_of(planted what) {
    const bool moves = brings(what);
    return {.architecture = "gpt2",
            .layers = moves ? 2 : 1,
            .width = 2 * features,
            .heads = 1,
            .hidden = subjects,
            .context = moves ? 24 : 2,
            .vocabulary = filler + 1,
            .layer_norm_epsilon = 1,
            .nonlinearity = activation::relu};
  }

  static void write_answer(host_matrix<float>& weight, index_t from, double times) {
    for (int f = 0; f < answer_features; ++f) write_feature(weight, from, common_answer + f, times);
  }

  planted what_;
  written_weights weights_;
};

/// A model for prompts of any length, with random codes for tokens: the attention adds up how often each token occurs, and
/// the name that occurs less often is the answer. Beside that it writes channels that tell a gate to scale; they are the
/// same for all prompts, or, where `only_long`, missing below 10 tokens. Channels that are the same for every token keep
/// the norm of the stream, so that to scale the whole stream does nothing.
inline written_weights counting_model(index_t vocabulary, bool only_long) {
  constexpr index_t codes = 128, first_long = 9;
  constexpr index_t said = codes, told = 2 * codes, same = 3 * codes,
                    tells = 4 * codes;  // channels; from 0: codes read
  auto model = idle_weights({.architecture = "gpt2",
                             .layers = 1,
                             .width = tells + 2,
                             .heads = 1,
                             .hidden = 1,
                             .context = 64,
                             .vocabulary = vocabulary,
                             .nonlinearity = activation::relu});
  auto& [shape, blocks, ends] = model;
  random_generator random(3);
  for (index_t token = 0; token < vocabulary; ++token)
    for (index_t c = 0; c < codes; c += 2) {  // two channels each, so that the mean is 0
      const double code = random.below(2) == 0 ? 1 : -1;
      write_feature(ends.token_embedding, token, c / 2, 0.05 * code);
      write_feature(ends.token_embedding, token, (same + c) / 2, 1);
      write_feature(ends.unembedding, token, (said + c) / 2, -2 * code);
    }
  for (index_t p = 0; p < shape.context; ++p)  // the mean up to p is 1 from the first place that has any
    write_feature(ends.position_embedding, p, tells / 2,
                  not only_long or p > first_long ? 1
                  : p == first_long               ? first_long + 1
                                                  : 0);
  const index_t value = 2 * shape.width;  // without scores, the attention is the mean of the values of all tokens
  for (index_t c = 0; c < codes; ++c) {
    blocks[0].qkv.weight(c, value + c) = 1;
    blocks[0].attn_out.weight(c, said + c) = 1;
    blocks[0].attn_out.weight(tells, told + c) = c % 2 == 0 ? 0.5F : -0.5F;
  }
  blocks[0].qkv.weight(tells, value + tells) = 1;
  return model;
}

}  // namespace trimtab::test
