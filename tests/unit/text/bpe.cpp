// SPDX-License-Identifier: Apache-2.0
#include <trimtab/text/bpe.hpp>

#include "support/catch.hpp"

#include <array>
#include <numeric>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace trimtab::test::bpe_tests {

using text::merge_rule;

namespace {

std::array<int, 256> identity() {
  std::array<int, 256> ids{};
  std::iota(ids.begin(), ids.end(), 0);
  return ids;
}

std::vector<int> encode(const std::vector<merge_rule>& rules, std::string_view word) {
  text::bpe::workspace space;
  std::vector<int> ids;
  text::bpe(identity(), rules).encode(word, space, ids);
  return ids;
}

/// The definition of BPE, step by step: find the pair of lowest rank, merge its leftmost occurrence, start again.
std::vector<int> encode_by_definition(const std::vector<merge_rule>& rules, std::string_view word) {
  std::vector<int> ids;
  for (const auto c : word) ids.push_back(static_cast<unsigned char>(c));
  for (bool merged = true; merged;) {
    merged = false;
    for (auto rule = rules.begin(); rule != rules.end() and not merged; ++rule) {
      for (std::size_t i = 0; i + 1 < ids.size() and not merged; ++i) {
        if (ids[i] != rule->left or ids[i + 1] != rule->right) continue;
        ids[i] = rule->result;
        ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(i) + 1);
        merged = true;
      }
    }
  }
  return ids;
}

/// Random rules, each of which joins two symbols that exist; no pair has two rules.
std::vector<merge_rule> random_rules(std::mt19937& generator, int count) {
  std::vector<merge_rule> rules;
  std::vector<int> symbols = {'a', 'b', 'c'};
  while (std::ssize(rules) < count) {
    const auto draw = [&] {
      return symbols[std::uniform_int_distribution<std::size_t>(0, symbols.size() - 1)(generator)];
    };
    const merge_rule rule{draw(), draw(), 256 + static_cast<int>(rules.size())};
    bool known = false;
    for (const auto& other : rules) known = known or (other.left == rule.left and other.right == rule.right);
    if (known) continue;
    rules.push_back(rule);
    symbols.push_back(rule.result);
  }
  return rules;
}

}  // namespace

TEST_CASE("the lowest rank goes first, then the leftmost") {
  const std::vector<merge_rule> rules = {{'b', 'c', 256}, {'a', 'b', 257}, {'a', 'a', 258}};
  CHECK(encode(rules, "abc") == std::vector<int>{'a', 256});
  CHECK(encode(rules, "ab") == std::vector<int>{257});
  CHECK(encode(rules, "aaa") == std::vector<int>{258, 'a'});
  CHECK(encode(rules, "x") == std::vector<int>{'x'});
  CHECK(encode(rules, "").empty());
}

TEST_CASE("of two rules for one pair the later counts") {
  CHECK(encode({{'a', 'b', 256}, {'b', 'c', 257}, {'a', 'b', 258}}, "abc") == std::vector<int>{'a', 257});
}

TEST_CASE("the fast algorithm agrees with the definition") {
  std::mt19937 generator(5);
  for (int round = 0; round < 100; ++round) {
    const auto rules = random_rules(generator, 40);
    const text::bpe fast(identity(), rules);
    text::bpe::workspace space;
    for (int i = 0; i < 20; ++i) {
      std::string word(std::uniform_int_distribution<std::size_t>(0, 30)(generator), ' ');
      for (auto& c : word) c = static_cast<char>('a' + std::uniform_int_distribution<>(0, 2)(generator));
      std::vector<int> ids;
      fast.encode(word, space, ids);
      CHECK(ids == encode_by_definition(rules, word));
    }
  }
}

TEST_CASE("a word may have a megabyte") {
  std::vector<merge_rule> rules = {{'a', 'a', 256}};
  for (int i = 0; i < 19; ++i) rules.push_back({256 + i, 256 + i, 257 + i});
  CHECK(encode(rules, std::string(std::size_t{1} << 20, 'a')) == std::vector<int>{275});
}

}  // namespace trimtab::test::bpe_tests
