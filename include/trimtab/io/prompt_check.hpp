// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/core/prompt_pair.hpp>
#include <trimtab/io/json/json.hpp>
#include <trimtab/io/prompt_file.hpp>
#include <trimtab/text/nearest_name.hpp>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// What is wrong, or probably wrong, with a file of prompt pairs: all of it at once, where a reader stops at the first
/// line that it cannot use. A pair that two lines disagree about is a problem of the later one.

namespace trimtab::io {

struct prompt_problem {
  std::string file = {};
  std::size_t line = 0;   ///< from 1
  std::string kind = {};  ///< "duplicate"
  std::string message = {};
  bool is_error = false;  ///< whether no fit can make sense of it

  friend bool operator==(const prompt_problem&, const prompt_problem&) = default;
};

/// Reads files of prompt pairs and gathers their problems.
template <task::text_encoder Encoder>
class prompt_checker {
 public:
  prompt_checker(const Encoder& encoder, prompt_limits limits) : encoder_(encoder), limits_(limits) {}

  /// Checks the lines of a file: each alone, then against each other and against those of the files before.
  void add(std::string_view lines, const std::string& file) {
    file_ = file;
    pairs_.clear();
    if (lines.starts_with("\xef\xbb\xbf")) lines.remove_prefix(3);
    for (line_ = 1; not lines.empty(); ++line_) {
      const auto end = std::min(lines.find('\n'), lines.size());
      const auto line = lines.substr(0, end);
      lines.remove_prefix(std::min(end + 1, lines.size()));
      if (line.find_first_not_of(" \t\r") != line.npos) read(line);
    }
    if (pairs_.empty() and problems_.empty()) {
      line_ = 1;
      complain("unreadable", "the file holds no prompt pair", true);
    }
    compare_spaces();
    compare_roles();
    compare_lengths();
    compare_pairs();
    prompts_ += pairs_.size();
    std::ranges::stable_sort(problems_.begin() + static_cast<std::ptrdiff_t>(of_other_files_), problems_.end(), {},
                             &prompt_problem::line);
    of_other_files_ = problems_.size();
  }

  std::size_t prompts() const { return prompts_; }
  /// In the order of files and lines.
  const std::vector<prompt_problem>& problems() const { return problems_; }

 private:
  struct numbered {
    std::size_t line = 0;
    prompt_pair pair = {};
    bool is_text = false;  ///< whether its answers are given as text
  };
  struct earlier {
    std::string file = {};
    numbered at = {};
  };

  void complain(const std::string& kind, std::string message, bool is_error = false) {
    problems_.push_back({file_, line_, kind, std::move(message), is_error});
  }
  static std::string quoted(const std::string& text) { return abbreviated(json(text)); }

  void read(std::string_view text) {
    try {
      const detail::prompt_line line(text, file_ + ", line " + std::to_string(line_), encoder_, limits_);
      if (const auto role = empty_role(line.entries()); not role.empty())
        complain("empty-role", "the role " + quoted(role) + " has no token; a span is [first, last)", true);
      else
        read(line);
      for (const auto& key : line.entries().entries().not_used) check_key(key);
    } catch (const error& problem) {  // no JSON object
      complain("unreadable", problem.what(), true);
    }
  }
  void read(const detail::prompt_line<Encoder>& line) try {
    const auto pair = line.pair();
    pairs_.push_back({line_, pair, not line.entries().has("ids")});
    if (pairs_.back().is_text and pair.prompt.ends_with(' '))
      complain("prompt-space",
               std::string("the prompt ends in a space, which usually belongs to the token after it; ") +
                   (pair.correct.starts_with(' ') ? "remove it, as the answers begin with one"
                                                  : "begin the answers with it"));
    check_spans(pair);
  } catch (const error& problem) {
    complain("unreadable", problem.what(), true);
  }

  void check_key(const std::string& key) {
    static constexpr std::string_view known[] = {"prompt",   "ids",     "correct",     "wrong",     "correct_id",
                                                 "wrong_id", "roles",   "correct_ids", "wrong_ids", "tokens",
                                                 "numbers",  "corrupt", "corrupt_ids", "answer"};
    if (std::ranges::find(known, key) != std::end(known)) return;
    complain("unknown-key", "the key " + quoted(key) + " is unknown and ignored" + did_you_mean(key, known));
  }

  static std::string empty_role(const json_object& line) {
    const auto roles = line.value().find("roles");
    if (roles == line.value().end() or not roles->is_object()) return "";
    for (const auto& [name, span] : roles->items())
      if (span.is_array() and span.size() == 2 and span[0] == span[1]) return name;
    return "";
  }

  void check_spans(const prompt_pair& pair) {
    for (auto a = pair.roles.begin(); a != pair.roles.end(); ++a)
      for (auto b = std::next(a); b != pair.roles.end(); ++b)
        if (std::max(a->second.first, b->second.first) < std::min(a->second.last, b->second.last))
          complain("overlapping-roles", "the roles " + quoted(a->first) + " and " + quoted(b->first) +
                                            " share a token, which has the parameters of the one that is named last");
  }

  void compare_spaces() {
    const auto has_space = [](const std::string& answer) { return answer.starts_with(' '); };
    const auto spaced = std::ranges::count_if(pairs_, [&](const numbered& one) {
      return one.is_text and has_space(one.pair.correct) and has_space(one.pair.wrong);
    });
    for (const auto& [line, pair, is_text] : pairs_) {
      if (not is_text) continue;
      line_ = line;
      if (has_space(pair.correct) != has_space(pair.wrong))
        complain("answer-space", "of the answers " + quoted(pair.correct) + " and " + quoted(pair.wrong) +
                                     " only one begins with a space");
      else if (not has_space(pair.correct) and spaced > 0)
        complain("answer-space", "the answers " + quoted(pair.correct) + " and " + quoted(pair.wrong) +
                                     " lack the leading space that those of " + std::to_string(spaced) +
                                     (spaced == 1 ? " other line have" : " other lines have"));
    }
  }

  void compare_roles() {
    std::map<std::string, std::size_t> counts;
    for (const auto& one : pairs_)
      for (const auto& [role, span] : one.pair.roles) ++counts[role];
    for (const auto& one : pairs_)
      for (const auto& [role, count] : counts) {
        if (one.pair.roles.contains(role)) continue;
        line_ = one.line;
        complain("missing-role", "the role " + quoted(role) + " is missing, which " + std::to_string(count) + " of " +
                                     std::to_string(pairs_.size()) + " lines have");
      }
  }

  void compare_lengths() {
    if (pairs_.empty()) return;
    const auto length = [](const numbered& one) { return one.pair.ids.size(); };
    const auto [shortest, longest] = std::ranges::minmax(pairs_, {}, length);
    const auto other =
        std::ranges::find_if(pairs_, [&](const numbered& one) { return length(one) != length(pairs_[0]); });
    if (other == pairs_.end()) return;
    line_ = other->line;
    complain("lengths", "the prompts have " + std::to_string(length(shortest)) + " to " +
                            std::to_string(length(longest)) + " tokens; absolute positions need one length");
  }

  /// Duplicates and contradictions within the file, and prompts that an earlier file has, too.
  void compare_pairs() {
    std::map<std::vector<int>, numbered> seen;
    for (const auto& one : pairs_) {
      line_ = one.line;
      if (const auto before = before_.find(one.pair.ids); before != before_.end())
        complain("overlap",
                 "the prompt is also in '" + before->second.file + "', line " + std::to_string(before->second.at.line));
      const auto [found, is_new] = seen.try_emplace(one.pair.ids, one);
      if (is_new) continue;
      const auto& first = found->second;
      if (accepted(first.pair) == accepted(one.pair) and
          std::ranges::equal(first.pair.wrong_ids(), one.pair.wrong_ids()) and
          first.pair.correct_rest == one.pair.correct_rest and first.pair.wrong_rest == one.pair.wrong_rest)
        complain("duplicate", "the pair is that of line " + std::to_string(first.line) + " again");
      else if (not accepted(first.pair).contains(one.pair.correct_id))
        complain("contradiction",
                 "the prompt is that of line " + std::to_string(first.line) + ", but its correct answer is " +
                     answer_of(one) + " and not " + answer_of(first),
                 true);
    }
    for (auto& [ids, one] : seen) before_.try_emplace(ids, earlier{file_, std::move(one)});
  }
  /// The tokens that count as correct.
  static std::set<int> accepted(const prompt_pair& pair) {
    const auto ids = pair.correct_ids();
    return {ids.begin(), ids.end()};
  }
  static std::string answer_of(const numbered& one) {
    return one.is_text ? quoted(one.pair.correct) : std::to_string(one.pair.correct_id);
  }

  const Encoder& encoder_;
  prompt_limits limits_;
  std::string file_ = {};
  std::size_t line_ = 0;
  std::vector<numbered> pairs_ = {};
  std::map<std::vector<int>, earlier> before_ = {};
  std::size_t prompts_ = 0, of_other_files_ = 0;
  std::vector<prompt_problem> problems_ = {};
};

}  // namespace trimtab::io
