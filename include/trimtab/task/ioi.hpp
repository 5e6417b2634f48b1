// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/core/random.hpp>
#include <trimtab/task/draw.hpp>
#include <trimtab/task/fill.hpp>
#include <trimtab/task/prompt_pair.hpp>
#include <trimtab/task/words.hpp>

#include <range/v3/view/zip.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Indirect object identification (Wang et al. 2023): after "When Mary and John went to the store, John gave a drink
/// to" the correct answer is the person who is named once, " Mary", and the wrong one is " John". The two are
/// introduced in either order. Roles: `io` and `s1` where they are introduced, `s2` where the subject is named again,
/// `end` the last token.

namespace trimtab::task {

struct ioi_options {
  int train = 64;
  int test = 64;
  int test_other_lengths = 64;
  std::uint64_t seed = 1;
  shape_options shape = {};
};

namespace detail {

/// The words that are one token after a space. Throws `bad_data` for fewer than `least`.
std::vector<std::string_view> single_token_words(const text_encoder auto& encoder,
                                                 std::span<const std::string_view> words, std::size_t least,
                                                 const std::string& kind) {
  std::vector<std::string_view> single;
  for (const auto word : words)
    if (single_token(encoder, " " + std::string(word))) single.push_back(word);
  if (single.size() < least)
    throw error(error_kind::bad_data, "the task ioi needs at least " + std::to_string(least) + " of its " + kind +
                                          " to be one token each, but for this tokenizer only " +
                                          std::to_string(single.size()) + " of the " + std::to_string(words.size()) +
                                          " are; use a model with a larger vocabulary or prompts of your own");
  return single;
}

/// Draws prompts from some names and templates.
template <text_encoder Encoder>
class ioi_source {
 public:
  ioi_source(const Encoder& encoder, random_generator& random)
      : encoder_(encoder),
        random_(random),
        places_(single_token_words(encoder, words::places, 1, "places")),
        objects_(single_token_words(encoder, words::objects, 1, "objects")) {}

  std::string_view one_of(const std::vector<std::string_view>& words) { return words[random_.below(words.size())]; }

  prompt_pair operator()(const std::vector<std::string_view>& names, const std::vector<std::string_view>& templates) {
    const auto io = one_of(names);
    auto subject = one_of(names);
    while (subject == io) subject = one_of(names);
    // Separate statements, because the order in which a call's arguments are evaluated is unspecified.
    const bool io_comes_first = random_.below(2) == 0;
    const auto pattern = one_of(templates);
    return make(pattern, io, subject, io_comes_first);
  }

  /// The length of all prompts of a template: every word in it is one token.
  int length(std::string_view pattern, const std::vector<std::string_view>& names) {
    return static_cast<int>(make(pattern, names[0], names[1], true).ids.size());
  }

 private:
  prompt_pair make(std::string_view pattern, std::string_view io, std::string_view subject, bool io_comes_first) {
    slot_values values{{"FIRST", io_comes_first ? io : subject},
                       {"SECOND", io_comes_first ? subject : io},
                       {"SUBJECT", subject},
                       {"PLACE", one_of(places_)},
                       {"OBJECT", one_of(objects_)}};
    const auto filled = fill(encoder_, pattern, values);
    prompt_pair pair{.prompt = filled.text,
                     .ids = filled.ids,
                     .correct = " " + std::string(io),
                     .wrong = " " + std::string(subject)};
    pair.correct_id = single_token(encoder_, pair.correct).value();
    pair.wrong_id = single_token(encoder_, pair.wrong).value();
    pair.roles = {{"io", filled.spans.at(io_comes_first ? "FIRST" : "SECOND").front()},
                  {"s1", filled.spans.at(io_comes_first ? "SECOND" : "FIRST").front()},
                  {"s2", filled.spans.at("SUBJECT").front()},
                  {"end", {filled.length() - 1, filled.length()}}};
    std::swap(values["FIRST"], values["SECOND"]);
    values["SUBJECT"] = io;
    pair.corrupt = fill_text(pattern, values);
    pair.corrupt_ids = prompt_ids(encoder_, pair.corrupt);
    return pair;
  }

  const Encoder& encoder_;
  random_generator& random_;
  std::vector<std::string_view> places_;
  std::vector<std::string_view> objects_;
};

}  // namespace detail

/// Train and test prompts of one length, the most common one unless `shape` says otherwise, and test prompts of all
/// other lengths; the test prompts share no name with the train prompts. The same options and tokenizer give the same
/// prompts everywhere. Throws `bad_argument` for a number of prompts out of range, `bad_data` if the tokenizer has too
/// few of the words.
template <text_encoder Encoder>
prompt_sets ioi(const Encoder& encoder, const ioi_options& options = {}) {
  require_count("ioi: train", options.train);
  require_count("ioi: test", options.test);
  require_count("ioi: test_other_lengths", options.test_other_lengths);

  random_generator random(options.seed);
  detail::ioi_source<Encoder> source(encoder, random);
  auto names = detail::single_token_words(encoder, words::names, 4, "names");
  random.shuffle(names);
  const auto [train_names, test_names] = halves(names);

  const auto templates = chosen_templates("ioi", words::ioi_templates, options.shape.templates);
  std::vector<int> lengths;
  for (const auto pattern : templates) lengths.push_back(source.length(pattern, names));
  require_lengths("ioi", options.shape.lengths, lengths);
  const auto length = most_common(lengths);
  std::vector<std::string_view> same, other;
  for (const auto& [pattern, own] : ranges::views::zip(templates, lengths))
    (options.shape.has(own, length) ? same : other).push_back(pattern);

  // What was chosen may leave no other length.
  const int others = other.empty() and options.shape.is_chosen() ? 0 : options.test_other_lengths;

  const auto draw = [&](int count, const char* set, const auto& from_names, const auto& from) {
    return draw_distinct(count, set, "ask for fewer", [&]() -> std::optional<prompt_pair> {
      return from.empty() ? std::nullopt : std::optional(source(from_names, from));
    });
  };
  return {.train = draw(options.train, "ioi: train", train_names, same),
          .test = draw(options.test, "ioi: test", test_names, same),
          .test_other_lengths = draw(others, "ioi: test_other_lengths", test_names, other)};
}

}  // namespace trimtab::task
