// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// A tokenizer for tests of tasks. A word with the space before it is a token, and so is a punctuation mark; new words
/// get the next id. A word that is longer than `longest`, with its space, is split into tokens of that length.

namespace trimtab::test {

class word_tokenizer {
 public:
  explicit word_tokenizer(std::size_t longest = 100) : longest_(longest) {}

  std::vector<int> encode(std::string_view text) const {
    std::vector<int> ids;
    while (not text.empty()) {
      std::size_t length = 1;
      if (not is_mark(text[0]))
        while (length < text.size() and text[length] != ' ' and not is_mark(text[length])) ++length;
      auto word = text.substr(0, length);
      text.remove_prefix(length);
      for (; not word.empty(); word.remove_prefix(std::min(word.size(), longest_)))
        ids.push_back(id(std::string(word.substr(0, longest_))));
    }
    return ids;
  }

  std::string decode(std::span<const int> ids) const {
    std::string text;
    for (const auto id : ids) text += words_.at(static_cast<std::size_t>(id));
    return text;
  }

 private:
  static bool is_mark(char c) { return std::ispunct(static_cast<unsigned char>(c)) != 0; }

  int id(const std::string& word) const {
    const auto [found, is_new] = ids_.emplace(word, static_cast<int>(words_.size()));
    if (is_new) words_.push_back(word);
    return found->second;
  }

  std::size_t longest_;
  mutable std::map<std::string, int> ids_ = {};
  mutable std::vector<std::string> words_ = {};
};

}  // namespace trimtab::test
