// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cassert>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <queue>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

/// Byte-pair encoding (Sennrich et al., 2016, arXiv:1508.07909) of one word: beginning with its bytes, the neighbouring
/// pair of lowest rank is merged, the leftmost of equals first, until no pair has a rule. Symbols form a linked list,
/// candidates a heap, so a word of n bytes takes O(n log n) steps.

namespace trimtab::text {

/// "`left` `right` become `result`", in token ids; the rank of a rule is its place in the list of rules.
struct merge_rule {
  int left = 0;
  int right = 0;
  int result = 0;
};

class bpe {
  struct symbol {
    int id;
    std::ptrdiff_t previous;
    std::ptrdiff_t next;
  };
  struct candidate {
    std::size_t rank;
    std::ptrdiff_t left;
    friend auto operator<=>(const candidate&, const candidate&) = default;
  };

 public:
  /// The scratch memory of `encode`; reusing it from word to word saves allocations.
  class workspace {
    friend class bpe;
    std::vector<symbol> symbols_;
    std::priority_queue<candidate, std::vector<candidate>, std::greater<>> candidates_;
  };

  /// The id of each byte (-1: none) and the rules by rank. Of two rules for one pair the later wins.
  bpe(const std::array<int, 256>& byte_ids, std::span<const merge_rule> rules) : byte_ids_(byte_ids) {
    ranked_.reserve(rules.size());
    for (std::size_t rank = 0; rank < rules.size(); ++rank)
      ranked_.insert_or_assign(key(rules[rank].left, rules[rank].right), ranked_rule{rank, rules[rank].result});
  }

  /// Appends the ids of `word` to `ids`; each of its bytes must have an id.
  void encode(std::string_view word, workspace& space, std::vector<int>& ids) const {
    auto& symbols = space.symbols_;
    symbols.clear();
    for (const auto c : word) {
      const auto id = byte_ids_[static_cast<unsigned char>(c)];
      assert(id >= 0);
      const auto at = std::ssize(symbols);
      symbols.push_back({id, at - 1, at + 1});
    }
    for (std::ptrdiff_t i = 0; i < std::ssize(symbols); ++i) propose(i, space);

    auto& candidates = space.candidates_;
    while (not candidates.empty()) {
      const auto [rank, left] = candidates.top();
      candidates.pop();
      // A merge beside a candidate makes it stale: then its place holds another pair, or none.
      const auto* const rule = rule_at(left, symbols);
      if (rule == nullptr or rule->rank != rank) continue;
      merge(left, rule->result, symbols);
      propose(left, space);
      propose(symbols[to_size(left)].previous, space);
    }
    for (std::ptrdiff_t i = 0; i < std::ssize(symbols); i = symbols[to_size(i)].next)
      ids.push_back(symbols[to_size(i)].id);
  }

 private:
  struct ranked_rule {
    std::size_t rank;
    int result;
  };

  static constexpr int merged_away = -1;

  static std::size_t to_size(std::ptrdiff_t i) { return static_cast<std::size_t>(i); }

  static std::uint64_t key(int left, int right) {
    return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
  }

  /// The rule for the symbol at `left` and the one after it, or null.
  const ranked_rule* rule_at(std::ptrdiff_t left, const std::vector<symbol>& symbols) const {
    if (left < 0) return nullptr;
    const auto& first = symbols[to_size(left)];
    if (first.id == merged_away or first.next == std::ssize(symbols)) return nullptr;
    const auto found = ranked_.find(key(first.id, symbols[to_size(first.next)].id));
    return found == ranked_.end() ? nullptr : &found->second;
  }

  void propose(std::ptrdiff_t left, workspace& space) const {
    if (const auto* const rule = rule_at(left, space.symbols_)) space.candidates_.push({rule->rank, left});
  }

  static void merge(std::ptrdiff_t left, int result, std::vector<symbol>& symbols) {
    auto& first = symbols[to_size(left)];
    auto& second = symbols[to_size(first.next)];
    first.id = result;
    first.next = second.next;
    if (second.next < std::ssize(symbols)) symbols[to_size(second.next)].previous = left;
    second.id = merged_away;
  }

  std::array<int, 256> byte_ids_;
  std::unordered_map<std::uint64_t, ranked_rule> ranked_;
};

}  // namespace trimtab::text
