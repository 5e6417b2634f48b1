// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/report/text.hpp>
#include <trimtab/report/text_table.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

/// What a page shows of generated texts: those of a prompt at several strengths beside each other, with its answers
/// marked, and what each strength costs in fluency.

namespace trimtab::report {

/// A piece of a text.
struct text_piece {
  std::string text = {};
  int answer = 0;  ///< +1: the prompt's correct answer, -1: its wrong one, 0: neither
};

/// A generated text.
struct written_text {
  double strength = 0;
  int sample = 0;  ///< from 1 on; 0 where there is one for each strength
  std::vector<text_piece> pieces = {};
  std::string stopped = {};  ///< why it ended, for people
  double perplexity = 0;     ///< under the untouched model; NaN where it is not known
};

/// The texts of one prompt, by strength, then by sample.
struct continued_prompt {
  std::string prompt = {};
  std::vector<written_text> texts = {};
};

namespace detail {

inline std::string marked(const text_piece& piece) {
  if (piece.answer == 0) return escaped(piece.text);
  return element_of_text("mark", piece.text,
                         {{"class", piece.answer > 0 ? "p3" : "n3"},
                          {"title", piece.answer > 0 ? "the correct answer" : "the wrong answer"}});
}

inline std::string perplexity_text(double perplexity) {
  return std::isnan(perplexity) ? "perplexity not known" : "perplexity " + readable(perplexity);
}

inline std::string figure_of(const std::string& prompt, const written_text& text) {
  std::string said = element_of_text("span", prompt);
  for (const text_piece& piece : text.pieces) said += marked(piece);
  return element("figure", {},
                 element_of_text("figcaption", beta_text(text.strength) +
                                                   (text.sample > 0 ? ", sample " + std::to_string(text.sample) : "")) +
                     element("p", {{"class", "said"}}, said) +
                     element_of_text("p", perplexity_text(text.perplexity) + ", " + text.stopped, {{"class", "note"}}));
}

/// How many texts of each strength hold an answer, and the mean of the logarithms of their perplexities.
inline text_table fluency_table(const std::vector<continued_prompt>& prompts) {
  std::vector<double> strengths;
  for (const auto& prompt : prompts)
    for (const auto& text : prompt.texts)
      if (std::ranges::find(strengths, text.strength) == strengths.end()) strengths.push_back(text.strength);
  text_table table{.header = {"strength", "texts", "correct answer", "wrong answer", "perplexity"}};
  for (const double strength : strengths) {
    std::size_t texts = 0, correct = 0, wrong = 0, measured = 0;
    double logarithms = 0;
    for (const auto& prompt : prompts)
      for (const auto& text : prompt.texts) {
        if (text.strength != strength) continue;
        const auto holds = [&](int answer) { return std::ranges::count(text.pieces, answer, &text_piece::answer) > 0; };
        ++texts;
        correct += holds(1), wrong += holds(-1);
        if (std::isnan(text.perplexity)) continue;
        ++measured;
        logarithms += std::log(text.perplexity);
      }
    table.rows.push_back({beta_text(strength), std::to_string(texts), std::to_string(correct), std::to_string(wrong),
                          measured == 0 ? "–" : readable(std::exp(logarithms / static_cast<double>(measured)))});
  }
  return table;
}

}  // namespace detail

/// What a page of texts says first.
inline constexpr const char* about_texts =
    "What the model writes, untouched (β = 0) and steered. A text's perplexity is that of its new tokens under the "
    "untouched model: the higher it is, the less fluent the text.";

/// Generated texts as markup.
inline std::string html_of(const std::vector<continued_prompt>& prompts) {
  std::string out =
      element_of_text("h3", "Fluency") + html_of(detail::fluency_table(prompts)) +
      element_of_text("p", "The perplexity of several texts is their geometric mean.", {{"class", "note"}}) +
      element_of_text("h3", "Texts");
  for (const continued_prompt& prompt : prompts) {
    std::string figures;
    for (const written_text& text : prompt.texts) figures += detail::figure_of(prompt.prompt, text);
    out += element("div", {{"class", "texts"}}, figures) + "\n";
  }
  return out;
}

}  // namespace trimtab::report
