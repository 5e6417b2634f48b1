// SPDX-License-Identifier: Apache-2.0

#include "commands.hpp"
#include "data.hpp"
#include "figures.hpp"
#include "interrupt.hpp"
#include "report.hpp"
#include "standard_input.hpp"
#include "talk.hpp"

#include <trimtab/generate/perplexity.hpp>
#include <trimtab/io/prompt_file.hpp>
#include <trimtab/report/page/html.hpp>
#include <trimtab/report/page/text_section.hpp>
#include <trimtab/report/terminal/side_by_side.hpp>
#include <trimtab/report/terminal/terminal.hpp>
#include <trimtab/text/joined.hpp>
#include <trimtab/text/utf8.hpp>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include <unistd.h>

/// `trimtab generate`: continues prompts, untouched or steered.

namespace trimtab::cli {

namespace {

/// Where a stop text begins in a text, or its end.
std::size_t end_before(const std::string& text, const std::vector<std::string>& stops) {
  std::size_t end = text.size();
  for (const auto& stop : stops) end = std::min(end, text.find(stop));
  return std::min(end, text.size());
}

/// How many bytes of a text are not the beginning of a stop text or of a character that is not complete.
std::size_t certain_part(const std::string& bytes, const std::vector<std::string>& stops) {
  std::size_t certain = bytes.size();
  for (std::size_t back = 1; back <= std::min<std::size_t>(3, bytes.size()); ++back) {
    const auto tail = std::string_view(bytes).substr(bytes.size() - back);
    const auto lead = static_cast<unsigned char>(tail.front());
    if (lead < 0xC2) continue;
    const std::size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (length > back and text::first_utf8_step(tail).length == back) certain = bytes.size() - back;
  }
  for (const auto& stop : stops)
    for (std::size_t length = std::min(stop.size() - 1, bytes.size()); length > 0; --length)
      if (bytes.ends_with(std::string_view(stop).substr(0, length))) {
        certain = std::min(certain, bytes.size() - length);
        break;
      }
  return certain;
}

/// Texts as the model's tokenizer spells them.
class speller {
 public:
  explicit speller(const any_model& model) : tokenizer_(model.has_tokenizer() ? &model.tokenizer() : nullptr) {}

  bool has_text() const { return tokenizer_ != nullptr; }
  /// The bytes of tokens. A padded vocabulary has ids without a token; they stand for no text.
  std::string bytes(std::span<const int> ids) const {
    std::string joined;
    for (const int id : ids)
      if (tokenizer_->contains(id)) joined += tokenizer_->bytes(id);
    return joined;
  }
  std::string text(std::span<const int> ids) const { return text::replace_invalid_utf8(bytes(ids)); }
  /// The text of a prompt, without the tokens that stand before every prompt, which nobody wrote.
  std::string prompt(const prompt_pair& prompt) const {
    const auto& before = tokenizer_->before();
    const bool begins_so = not prompt.prompt.empty() and before.size() <= prompt.ids.size() and
                           std::equal(before.begin(), before.end(), prompt.ids.begin());
    return text(std::span(prompt.ids).subspan(begins_so ? before.size() : 0));
  }

 private:
  const text::tokenizer* tokenizer_;
};

/// Prints the one text of a command on a terminal while it grows: whole characters only, and nothing that may turn out
/// to be a stop text.
class live_text {
 public:
  live_text(const speller& spell, const std::vector<std::string>& stops) : spell_(spell), stops_(stops) {}

  void begin(const std::string& prompt) { print(prompt); }
  void show(const std::vector<int>& ids) {
    const auto bytes = spell_.bytes(ids);
    show(bytes, std::min(end_before(bytes, stops_), certain_part(bytes, stops_)));
  }
  /// Shows what was held back, and ends the line.
  void finish(const std::vector<int>& ids) {
    const auto bytes = spell_.bytes(ids);
    show(bytes, end_before(bytes, stops_));
    print("\n");
  }

 private:
  void show(const std::string& bytes, std::size_t end) {
    if (end <= shown_) return;
    print(text::replace_invalid_utf8(std::string_view(bytes).substr(shown_, end - shown_)));
    shown_ = end;
  }
  static void print(const std::string& text) { std::cout << report::for_terminal(text) << std::flush; }

  const speller& spell_;
  const std::vector<std::string>& stops_;
  std::size_t shown_ = 0;
};

std::vector<prompt_pair> prompts_of(const generate_command& command, const any_model& model) {
  if (not command.prompts.empty())
    return io::read_texts(command.prompts, model_encoder{model},
                          {.vocabulary = model.config().vocabulary,
                           .context = model.config().context,
                           .answers = not command.report.empty()});
  if (not command.prompt) return {{.ids = command.ids}};
  std::string text = *command.prompt;
  if (text == "-") {
    text = standard_input().all(std::size_t{64} << 20);
    if (text.ends_with('\n')) text.pop_back();  // that of the last line
  }
  return {{.prompt = text, .ids = prompt_ids(model, text)}};
}

const char* word_for(stop_reason why) {
  switch (why) {
    case stop_reason::length: return "length";
    case stop_reason::end: return "end";
    case stop_reason::stop_text: return "stop_text";
    case stop_reason::context: return "context";
    case stop_reason::interrupted: break;
  }
  return "interrupted";
}

/// The same for people.
const char* reason_for(stop_reason why) {
  switch (why) {
    case stop_reason::length: return "as many tokens as were asked for";
    case stop_reason::end: return "ended by itself";
    case stop_reason::stop_text: return "ended before a stop text";
    case stop_reason::context: return "ended by the model's context";
    case stop_reason::interrupted: break;
  }
  return "interrupted";
}

/// {"attn_out": [{"prompt": n, "generated": m} per layer]}
ordered_json to_json(const touched_by_site& touched) {
  auto sites = ordered_json::object();
  for (const auto& [site, layers] : touched) {
    auto& list = sites[site] = ordered_json::array();
    for (const auto& count : layers) list.push_back({{"prompt", count.prompt}, {"generated", count.generated}});
  }
  return sites;
}

/// The perplexity of each text's new tokens under the untouched model; NaN for those that there was no time to measure.
std::vector<double> perplexities_of(const std::vector<generated_text>& texts, const any_model& model,
                                    const std::vector<prompt_pair>& prompts) {
  std::vector<double> found(texts.size(), std::numeric_limits<double>::quiet_NaN());
  for (std::size_t k = 0; k < texts.size() and interrupt_watch::signal() == 0; ++k) {
    auto ids = prompts[static_cast<std::size_t>(texts[k].prompt)].ids;
    const auto first = std::ssize(ids);
    ids.insert(ids.end(), texts[k].ids.begin(), texts[k].ids.end());
    found[k] = perplexity(model.logits(ids, scored::all), ids, first);
  }
  return found;
}

/// By token: +1 within the prompt's correct answer, -1 within the wrong one, else 0.
std::vector<int> answers_in(const std::vector<int>& ids, const prompt_pair& prompt) {
  std::vector<int> found(ids.size());
  if (prompt.correct_id == prompt.wrong_id and not prompt.has_sequences()) return found;  // it has none
  const auto mark = [&](int answer, std::span<const int> firsts, const std::vector<int>& rest) {
    for (const int first : firsts) {
      std::vector<int> whole{first};
      whole.insert(whole.end(), rest.begin(), rest.end());
      for (auto at = ids.begin(); (at = std::search(at, ids.end(), whole.begin(), whole.end())) != ids.end(); ++at)
        std::fill_n(found.begin() + (at - ids.begin()), whole.size(), answer);
    }
  };
  mark(-1, prompt.wrong_ids(), prompt.wrong_rest);
  mark(1, prompt.correct_ids(), prompt.correct_rest);
  return found;
}

/// "prompt 2, strength +1, sample 3", as far as there are several.
std::string title_of(const generated_text& text, const generation_options& options, std::size_t prompts) {
  std::vector<std::string> parts;
  if (prompts > 1) parts.push_back("prompt " + std::to_string(text.prompt + 1));
  if (options.strengths.size() > 1) parts.push_back("strength " + strength_text(text.strength));
  if (options.samples > 1) parts.push_back("sample " + std::to_string(text.sample + 1));
  return text::joined(parts, ", ");
}

/// What may surprise: settings of the folder that are not used, options that change nothing, a context that is too short.
void warn_before(const generate_command& command, const any_model& model, const std::vector<prompt_pair>& prompts) {
  if (const auto& not_used = model.end_tokens().not_used; not not_used.empty())
    warn("what the model's folder says of generation is not used: " + text::joined(not_used, ", ") +
         "; the options of this command say how to sample");
  if (command.how.temperature == 0 and (command.how.top_k > 0 or command.how.top_p < 1))
    warn("at temperature 0 the most probable token is taken, and --top-k and --top-p change nothing");
  index_t longest = 0;
  for (const auto& prompt : prompts) longest = std::max<index_t>(longest, std::ssize(prompt.ids));
  const auto room = model.config().context - longest;
  if (command.max_new_tokens and room >= 0 and *command.max_new_tokens > room)
    warn("the model reads at most " + std::to_string(model.config().context) + " tokens; after a prompt of " +
         std::to_string(longest) + " there is room for " + std::to_string(room) + " new ones, fewer than the " +
         std::to_string(*command.max_new_tokens) + " asked for");
}

/// The texts of a command, in the forms in which they are printed.
class printer {
 public:
  printer(const generate_command& command, const common_options& common, const any_model& model,
          const std::vector<prompt_pair>& prompts)
      : command_(command),
        common_(common),
        spell_(model),
        prompts_(prompts),
        on_terminal_(not common.json and spell_.has_text() and report::is_terminal(STDOUT_FILENO)) {
    if (not command.stops.empty()) (void)model.tokenizer();  // throws where there is none
  }

  /// On a terminal, texts at several strengths stand beside the untouched one, and on a page all steered ones.
  void complete(std::vector<double>& strengths) const {
    const bool beside = in_columns(strengths) or not command_.report.empty();
    if (beside and std::ranges::find(strengths, 0.0) == strengths.end()) strengths.insert(strengths.begin(), 0.0);
  }

  /// A single text is printed on a terminal while it grows.
  void begin(const generation_options& options) {
    if (not on_terminal_ or prompts_.size() * options.strengths.size() * static_cast<std::size_t>(options.samples) != 1)
      return;
    live_.emplace(spell_, command_.stops).begin(prompt_text(prompts_.front()));
  }
  after after_token(const generated_text& text) {
    if (live_) live_->show(text.ids);
    if (interrupt_watch::signal() != 0) return after::end_all;
    if (command_.stops.empty()) return after::go_on;
    const auto bytes = spell_.bytes(text.ids);
    return end_before(bytes, command_.stops) < bytes.size() ? after::end_text : after::go_on;
  }

  /// Ends the text that was printed while it grew.
  void end(const std::vector<generated_text>& texts) {
    if (live_) live_->finish(texts.front().ids);
  }

  /// `perplexities` is by text, or empty if nobody asked for it.
  output print(const std::vector<generated_text>& texts, const std::vector<double>& perplexities,
               const generation_options& options) {
    output found;
    auto& samples = found.json["samples"] = ordered_json::array();
    std::vector<std::string> titles, beside;
    for (std::size_t k = 0; k < texts.size(); ++k) {
      const auto& text = texts[k];
      samples.push_back(json_of(text));
      std::string fluency;
      if (not perplexities.empty()) {
        const bool is_known = not std::isnan(perplexities[k]);
        samples.back()["perplexity"] = is_known ? ordered_json(perplexities[k]) : ordered_json();
        if (is_known) fluency = "\nperplexity " + rounded(perplexities[k]) + " under the untouched model";
      }
      const auto title = title_of(text, options, prompts_.size());
      if (common_.verbose) tell_ledger(text, title);
      if (live_) {
        if (not fluency.empty()) found.text += fluency.substr(1) + "\n";
      } else if (in_columns(options.strengths)) {
        titles.push_back(title);
        beside.push_back(text_of(text) + fluency);
        if (titles.size() < options.strengths.size() * static_cast<std::size_t>(options.samples)) continue;
        const auto width = static_cast<std::size_t>(report::width_of(STDOUT_FILENO));
        found.text += report::side_by_side(std::exchange(titles, {}), std::exchange(beside, {}), width) + "\n";
      } else {
        found.text += (title.empty() ? "" : title + ":\n") + text_of(text) + fluency + "\n";
      }
    }
    return found;
  }

  void write_page(const std::vector<generated_text>& texts, const std::vector<double>& perplexities) const {
    std::vector<report::continued_prompt> shown;
    index_t last = 0;
    for (std::size_t k = 0; k < texts.size(); ++k) {
      const auto& text = texts[k];
      if (text.stopped == stop_reason::interrupted and text.ids.empty()) continue;  // it never began
      if (shown.empty() or last != text.prompt) shown.push_back({beginning_of(text), {}});
      last = text.prompt;
      shown.back().texts.push_back({.strength = text.strength,
                                    .sample = command_.samples > 1 ? static_cast<int>(text.sample) + 1 : 0,
                                    .pieces = pieces_of(text),
                                    .stopped = reason_for(text.stopped),
                                    .perplexity = perplexities[k]});
    }
    const auto title = "texts of " + name_of(command_.model);
    report::write_html(command_.report, title, {{title, {}, report::html_of(shown)}}, report::about_texts);
  }

 private:
  bool in_columns(const std::vector<double>& strengths) const { return on_terminal_ and strengths.size() > 1; }
  const prompt_pair& prompt_of(const generated_text& text) const {
    return prompts_[static_cast<std::size_t>(text.prompt)];
  }
  std::string prompt_text(const prompt_pair& p) const { return spell_.prompt(p); }

  /// The new text, up to a stop text; nothing without a tokenizer.
  std::optional<std::string> said(const generated_text& text) const {
    if (not spell_.has_text()) return std::nullopt;
    const auto bytes = spell_.bytes(text.ids);
    return text::replace_invalid_utf8(std::string_view(bytes).substr(0, end_before(bytes, command_.stops)));
  }
  /// The prompt and the new text, or their ids.
  std::string text_of(const generated_text& text) const {
    if (const auto new_text = said(text)) return prompt_text(prompt_of(text)) + *new_text;
    auto ids = prompt_of(text).ids;
    ids.insert(ids.end(), text.ids.begin(), text.ids.end());
    return listed(ids);
  }
  static std::string listed(const std::vector<int>& ids) {
    return text::joined(ids, ",", [](int id) { return std::to_string(id); });
  }
  /// The prompt, or its ids.
  std::string beginning_of(const generated_text& text) const {
    return spell_.has_text() ? prompt_text(prompt_of(text)) : listed(prompt_of(text).ids);
  }
  /// The new text up to a stop text, or the ids: the answers of its prompt, and what stands between them.
  std::vector<report::text_piece> pieces_of(const generated_text& text) const {
    const auto whole = spell_.has_text() ? spell_.bytes(text.ids) : std::string();
    std::size_t left = end_before(whole, command_.stops);
    const auto answers = answers_in(text.ids, prompt_of(text));
    std::vector<report::text_piece> pieces;
    for (std::size_t k = 0; k < text.ids.size(); ++k) {
      if (spell_.has_text() and left == 0) break;
      const int id = text.ids[k], answer = answers[k];
      if (pieces.empty() or answer != 0 or pieces.back().answer != 0) pieces.push_back({{}, answer});
      const auto bytes = spell_.has_text() ? spell_.bytes({&id, 1}).substr(0, left) : "," + std::to_string(id);
      if (spell_.has_text()) left -= bytes.size();
      pieces.back().text += bytes;
    }
    return pieces;
  }
  ordered_json json_of(const generated_text& text) const {
    ordered_json sample = {{"prompt_ids", prompt_of(text).ids},
                           {"ids", text.ids},
                           {"text", nullptr},
                           {"strength", text.strength},
                           {"stopped", word_for(text.stopped)},
                           {"touched", to_json(text.touched)}};
    if (const auto new_text = said(text)) sample["text"] = *new_text;
    if (command_.log_probabilities) sample["logprobs"] = text.log_probabilities;
    return sample;
  }
  /// One line for each site and layer with a touched token.
  void tell_ledger(const generated_text& text, const std::string& title) const {
    for (const auto& [site, layers] : text.touched)
      for (std::size_t l = 0; l < layers.size(); ++l)
        if (layers[l] != touched_tokens{})
          tell((title.empty() ? "" : title + ": ") + "touched at " + site + " in layer " + std::to_string(l) + ": " +
               std::to_string(layers[l].prompt) + " tokens of the prompt, " + std::to_string(layers[l].generated) +
               " generated");
  }

  const generate_command& command_;
  const common_options& common_;
  speller spell_;
  const std::vector<prompt_pair>& prompts_;
  bool on_terminal_;
  std::optional<live_text> live_ = {};
};

/// Errors name the intervention's file.
std::vector<generated_text> steered_texts(const steered_model& steered, const path& file,
                                          const std::vector<prompt_pair>& prompts, const generation_options& options) {
  try {
    return steered.composition->generate(steered.values, prompts, options);
  } catch (const error& problem) {
    throw error(problem.kind(), "'" + file.string() + "': " + problem.what());
  }
}

}  // namespace

output generate(const generate_command& command, const common_options& common) {
  require_writable(command.report);
  const auto model = load_model(command.model, common);
  std::optional<steered_model> steered;
  if (not command.steer.intervention.empty()) steered = read_steering(*model, command.steer.intervention, common);
  const auto prompts = prompts_of(command, *model);
  const auto& end = model->end_tokens().ids;
  printer to(command, common, *model, prompts);
  warn_before(command, *model, prompts);

  generation_options options{.strengths = command.strengths,
                             .new_tokens = command.max_new_tokens.value_or(40),
                             .samples = command.samples,
                             .how = command.how,
                             .seed = command.seed,
                             .end = {end.begin(), end.end()},
                             .positions = command.positions,
                             .log_probabilities = command.log_probabilities};
  if (options.strengths.empty()) options.strengths = {steered ? command.steer.strength.value_or(1) : 0};
  to.complete(options.strengths);
  options.after_token = [&](const generated_text& text, index_t) { return to.after_token(text); };

  const interrupt_watch watch("the text ends after this token");
  to.begin(options);
  const stopwatch time;
  const auto texts = steered ? steered_texts(*steered, command.steer.intervention, prompts, options)
                             : model->generate(prompts, options);
  to.end(texts);
  index_t tokens = 0, rows = 0;
  for (const auto& text : texts) tokens += std::ssize(text.ids), rows += text.rows;
  note(common, "generated " + std::to_string(tokens) + " tokens in " + time.text() + ", " +
                   rounded(static_cast<double>(tokens) / time.seconds()) + " a second; " + std::to_string(rows) +
                   " tokens were run, those that were run again included");
  const bool measures = command.perplexity or not command.report.empty();
  const auto perplexities = measures ? perplexities_of(texts, *model, prompts) : std::vector<double>();
  auto found = to.print(texts, perplexities, options);
  if (not command.report.empty()) to.write_page(texts, perplexities);
  if (const int signal = interrupt_watch::signal(); signal != 0) tell("ended by " + interrupt_watch::name_of(signal));
  found.status = interrupt_watch::status_of(interrupt_watch::signal());
  return found;
}

}  // namespace trimtab::cli
