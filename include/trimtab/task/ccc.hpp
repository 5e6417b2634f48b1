// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/core/random.hpp>
#include <trimtab/task/draw.hpp>
#include <trimtab/task/fill.hpp>
#include <trimtab/task/prompt_pair.hpp>
#include <trimtab/task/words.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Country-capital conflicts: after "The capital of Germany is Rome. Q: What is the capital of Germany? A:" the correct
/// answer is the one that the model has memorised, " Berlin", and the wrong one is what the context claims, " Rome".
/// The form `country` asks the other way round, "Rome is in"; without a context the wrong answer is that of another
/// fact. Roles: `subject` where the question names what it asks about, `end` the last token, and in a
/// conflict `context_subject` and `context_answer` where the context names them.

namespace trimtab::task {

/// What a prompt asks for.
enum class ccc_form {
  capital,  ///< "The capital of Germany is", " Berlin"
  country,  ///< "Rome is in", " Italy"
};

struct ccc_options {
  int train = 64;
  int test = 64;
  int test_other_lengths = 64;
  std::uint64_t seed = 1;
  ccc_form ask = ccc_form::capital;
  bool context = true;  ///< whether a context claims the wrong answer
  shape_options shape = {};
};

namespace detail {

/// A subject and its true answer, which is one token.
struct ccc_fact {
  std::string_view subject;
  std::string_view answer;
};

using ccc_facts = std::vector<ccc_fact>;
using sentences = std::span<const std::string_view>;

/// The templates of one length, then the others: the order of their numbers.
inline std::vector<std::string_view> all_of(sentences plain, sentences other) {
  std::vector<std::string_view> all(plain.begin(), plain.end());
  all.insert(all.end(), other.begin(), other.end());
  return all;
}

struct ccc_templates {
  sentences plain;  ///< of the sets of equal length
  sentences other;
};

inline ccc_templates templates_of(ccc_form ask, bool context) {
  using namespace words;
  if (ask == ccc_form::capital)
    return context ? ccc_templates{capital_templates, capital_other_templates}
                   : ccc_templates{capital_recall_templates, capital_recall_other_templates};
  return context ? ccc_templates{country_templates, country_other_templates}
                 : ccc_templates{country_recall_templates, country_recall_other_templates};
}

/// Draws prompts about some facts; other facts give the claims.
template <text_encoder Encoder>
class ccc_source {
 public:
  ccc_source(const Encoder& encoder, random_generator& random) : encoder_(encoder), random_(random) {}

  /// The facts whose answer is, after a space, one token.
  ccc_facts facts(ccc_form ask) const {
    ccc_facts usable;
    for (const auto& [country, capital] : words::capitals) {
      const auto fact = ask == ccc_form::capital ? ccc_fact{country, capital} : ccc_fact{capital, country};
      if (single_token(encoder_, " " + std::string(fact.answer))) usable.push_back(fact);
    }
    return usable;
  }

  /// `claims` must hold at least three facts.
  prompt_pair operator()(const ccc_facts& about, const ccc_facts& claims, sentences templates) {
    const auto& fact = one_of(about);
    const auto* claim = &one_of(claims);
    while (claim->subject == fact.subject) claim = &one_of(claims);
    const auto* other = &one_of(claims);
    while (other->subject == fact.subject or other->subject == claim->subject) other = &one_of(claims);
    return make(templates[random_.below(templates.size())], fact, *claim, *other);
  }

  /// All claims are one token, so the template and the fact alone decide the length.
  int length(std::string_view pattern, const ccc_fact& fact) const {
    return static_cast<int>(make(pattern, fact, fact, fact).ids.size());
  }

 private:
  const ccc_fact& one_of(const ccc_facts& facts) { return facts[random_.below(facts.size())]; }

  prompt_pair make(std::string_view pattern, const ccc_fact& fact, const ccc_fact& claim, const ccc_fact& other) const {
    slot_values values{
        {"SUBJECT", fact.subject}, {"CLAIM", claim.answer}, {"OTHER", other.subject}, {"OTHER_ANSWER", other.answer}};
    const auto filled = fill(encoder_, pattern, values);
    prompt_pair pair{.prompt = filled.text,
                     .ids = filled.ids,
                     .correct = " " + std::string(fact.answer),
                     .wrong = " " + std::string(claim.answer)};
    pair.correct_id = single_token(encoder_, pair.correct).value();
    pair.wrong_id = single_token(encoder_, pair.wrong).value();
    const auto& subjects = filled.spans.at("SUBJECT");
    pair.roles = {{"subject", subjects.back()}, {"end", {filled.length() - 1, filled.length()}}};
    if (const auto context = filled.spans.find("CLAIM"); context != filled.spans.end()) {
      pair.roles["context_subject"] = subjects.front();
      pair.roles["context_answer"] = context->second.front();
      values["CLAIM"] = fact.answer;
      pair.corrupt = fill_text(pattern, values);
      pair.corrupt_ids = prompt_ids(encoder_, pair.corrupt);
    }
    return pair;
  }

  const Encoder& encoder_;
  random_generator& random_;
};

}  // namespace detail

/// Train and test prompts of one length, the most common one unless `shape` says otherwise, and test prompts of all
/// other lengths. No country and no capital of the train prompts is in a test prompt. The same options and tokenizer
/// give the same prompts everywhere. Throws `bad_argument` for a number of prompts out of range, `bad_data` if the
/// tokenizer has too few of the words.
template <text_encoder Encoder>
prompt_sets ccc(const Encoder& encoder, const ccc_options& options = {}) {
  require_count("ccc: train", options.train);
  require_count("ccc: test", options.test);
  require_count("ccc: test_other_lengths", options.test_other_lengths);

  random_generator random(options.seed);
  detail::ccc_source<Encoder> source(encoder, random);
  auto facts = source.facts(options.ask);
  random.shuffle(facts);
  const auto templates = detail::templates_of(options.ask, options.context);

  const auto any_template = detail::all_of(templates.plain, templates.other);
  const auto chosen = options.shape.templates.empty()
                          ? std::vector<std::string_view>(templates.plain.begin(), templates.plain.end())
                          : chosen_templates("ccc", any_template, options.shape.templates);
  std::vector<int> lengths;
  for (const auto& fact : facts)
    for (const auto pattern : chosen) lengths.push_back(source.length(pattern, fact));
  require_lengths("ccc", options.shape.lengths, lengths);
  const auto length = facts.empty() ? 0 : most_common(lengths);
  detail::ccc_facts same, other;
  for (const auto& fact : facts) {
    const bool fits = std::ranges::any_of(
        chosen, [&](const auto pattern) { return options.shape.has(source.length(pattern, fact), length); });
    (fits ? same : other).push_back(fact);
  }

  const auto [train_facts, test_facts] = halves(same);
  if (test_facts.size() < 3)
    throw error(error_kind::bad_data,
                "the task ccc needs six countries and capitals whose answers are one token each "
                "and whose prompts are of one length, but this tokenizer has only " +
                    std::to_string(same.size()) + " of the " + std::to_string(words::capitals.size()) +
                    "; use a model with a larger vocabulary or prompts of your own");

  // The other test prompts may also ask about facts of other lengths; their claims are those of the test set.
  auto other_facts = test_facts;
  other_facts.insert(other_facts.end(), other.begin(), other.end());

  const auto draw = [&](int count, const char* set, const auto& about, const auto& claims, const auto& from,
                        bool same_length) {
    return draw_distinct(
        count, set, "ask for fewer or use a model with a larger vocabulary", [&]() -> std::optional<prompt_pair> {
          auto pair = source(about, claims, from);
          const auto fits = options.shape.has(static_cast<int>(pair.ids.size()), length) == same_length;
          return fits ? std::optional(std::move(pair)) : std::nullopt;
        });
  };
  const int others = options.shape.any_length ? 0 : options.test_other_lengths;  // there are none
  return {.train = draw(options.train, "ccc: train", train_facts, train_facts, chosen, true),
          .test = draw(options.test, "ccc: test", test_facts, test_facts, chosen, true),
          .test_other_lengths = draw(others, "ccc: test_other_lengths", other_facts, test_facts, any_template, false)};
}

}  // namespace trimtab::task
