// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/core/operand.hpp>
#include <trimtab/core/prompt_data.hpp>
#include <trimtab/core/prompt_pair.hpp>
#include <trimtab/model/workspace.hpp>
#include <trimtab/steer/sequence.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

/// The prompt data that terms read (core/prompt_data.hpp), by sequence in a backend's memory.

namespace trimtab {

template <tensor_backend B, typename... Terms>
class prompt_data_of {
 public:
  using T = typename B::scalar;

  /// Throws `bad_data` for a prompt that lacks what a term reads.
  prompt_data_of(std::span<const prompt_pair> prompts, std::span<const sequence> sequences, workspace<B>& memory) {
    (take<Terms>(prompt_data_read_by<Terms>(), prompts, sequences, memory), ...);
  }

  /// f(operands...) with one term's prompt data.
  template <typename Term, typename F>
  void with_operands(F&& f) const {
    [&]<typename... Names>(prompt_data<Names...>) {
      std::apply(f, std::tuple_cat(operands_of(Names{}, find(Names::text))...));
    }(prompt_data_read_by<Term>());
  }

 private:
  /// The data of one name, an entry for each sequence.
  struct column {
    std::string_view text;
    const int* ids = nullptr;
    const int* sizes = nullptr;
    const T* numbers = nullptr;
    index_t longest = 1;
  };

  template <typename Term, typename... Names>
  void take(prompt_data<Names...>, [[maybe_unused]] std::span<const prompt_pair> prompts,
            [[maybe_unused]] std::span<const sequence> sequences, [[maybe_unused]] workspace<B>& memory) {
    (take_name(Names{}, prompts, sequences, memory), ...);
  }

  template <typename Name>
  void take_name(Name, std::span<const prompt_pair> prompts, std::span<const sequence> sequences,
                 workspace<B>& memory) {
    if (std::ranges::find(columns_, Name::text, &column::text) != columns_.end()) return;
    column made{.text = Name::text};
    if constexpr (is_number(Name{})) {
      host_matrix<T> numbers(1, std::ssize(sequences));
      for (std::size_t i = 0; i < sequences.size(); ++i)
        numbers.values[i] = static_cast<T>(entry(prompts, sequences, i, &prompt_pair::numbers, Name::text, "number"));
      made.numbers = memory.take(numbers).data;
    } else {
      constexpr bool one = not requires { Name::is_indexed; };
      std::vector<int> ids, sizes;
      for (std::size_t i = 0; i < sequences.size(); ++i)
        made.longest = std::max(made.longest, std::ssize(tokens_of(prompts, sequences, i, Name::text, one)));
      for (std::size_t i = 0; i < sequences.size(); ++i) {
        const std::vector<int>& tokens = tokens_of(prompts, sequences, i, Name::text, one);
        sizes.push_back(static_cast<int>(tokens.size()));
        for (index_t k = 0; k < made.longest; ++k)
          ids.push_back(tokens[static_cast<std::size_t>(std::min(k, std::ssize(tokens) - 1))]);
      }
      made.ids = memory.take(std::move(ids));
      made.sizes = memory.take(std::move(sizes));
    }
    columns_.push_back(made);
  }

  /// "prompt pair 2": the prompt of sequence `i`, as its replica counts. Equal prompts of the replicas are stored once,
  /// but the sequences of a replica and a strength are in the order of its prompts.
  static std::string which(std::span<const sequence> sequences, std::size_t i) {
    const auto before = std::ranges::count_if(sequences.first(i), [&](const sequence& s) {
      return s.replica == sequences[i].replica and s.beta == sequences[i].beta;
    });
    return "prompt pair " + std::to_string(before + 1);
  }

  static const std::vector<int>& tokens_of(std::span<const prompt_pair> prompts, std::span<const sequence> sequences,
                                           std::size_t i, std::string_view text, bool one) {
    const std::vector<int>& tokens =
        entry(prompts, sequences, i, &prompt_pair::tokens, text, one ? "token" : "set of tokens");
    if (tokens.empty() or (one and tokens.size() > 1))
      throw error(error_kind::bad_data, which(sequences, i) + " has " + std::to_string(tokens.size()) + " tokens '" +
                                            std::string(text) + "'; a term of the objective reads " +
                                            (one ? "exactly one token" : "at least one token"));
    return tokens;
  }
  template <typename Map>
  static const auto& entry(std::span<const prompt_pair> prompts, std::span<const sequence> sequences, std::size_t i,
                           Map prompt_pair::*member, std::string_view text, const std::string& kind) {
    const Map& of = prompts[static_cast<std::size_t>(sequences[i].prompt)].*member;
    const auto found = of.find(std::string(text));
    if (found == of.end())
      throw error(error_kind::bad_data, which(sequences, i) + " has no " + kind + " '" + std::string(text) +
                                            "', which a term of the objective reads; give every pair one");
    return found->second;
  }

  const column& find(std::string_view text) const { return *std::ranges::find(columns_, text, &column::text); }

  // By members: nvcc 13 cannot deduce a `fixed_string` from an argument.
  template <typename Name>
  static constexpr bool is_number(Name) {
    return not requires { Name::is_whole; };
  }

  template <typename Name>
  static auto operands_of(Name, const column& c) {
    if constexpr (is_number(Name{}))
      return std::tuple(operand<Name, const T>{c.numbers, 1});
    else if constexpr (requires { Name::is_indexed; })
      return std::tuple(operand<Name, const int>{c.ids, c.longest},
                        operand<std::remove_cvref_t<decltype(Name::size)>, const int>{c.sizes, 1});
    else
      return std::tuple(operand<Name, const int>{c.ids, 1});
  }

  std::vector<column> columns_ = {};
};

/// The sets of answers, by sequence in a backend's memory; a prompt without sets has two sets of one token.
template <tensor_backend B>
class answer_sets_of {
 public:
  answer_sets_of(std::span<const prompt_pair> prompts, std::span<const sequence> sequences, workspace<B>& memory)
      : correct_(prompts, sequences, memory, &prompt_pair::correct_ids),
        wrong_(prompts, sequences, memory, &prompt_pair::wrong_ids) {}

  /// f(operands...) with both sets and their sizes.
  template <typename F>
  void with_operands(F&& f) const {
    std::apply(f, std::tuple_cat(operands_of(name::all_correct, correct_), operands_of(name::all_wrong, wrong_)));
  }

 private:
  struct column {
    const int *ids, *sizes;
    index_t longest = 1;

    template <typename Ids>
    column(std::span<const prompt_pair> prompts, std::span<const sequence> sequences, workspace<B>& memory, Ids of) {
      std::vector<int> all, counts;
      for (const prompt_pair& p : prompts) longest = std::max(longest, std::ssize((p.*of)()));
      for (const sequence& s : sequences) {
        const auto own = (prompts[static_cast<std::size_t>(s.prompt)].*of)();
        counts.push_back(static_cast<int>(own.size()));
        for (index_t k = 0; k < longest; ++k)
          all.push_back(own[static_cast<std::size_t>(std::min(k, std::ssize(own) - 1))]);
      }
      ids = memory.take(std::move(all));
      sizes = memory.take(std::move(counts));
    }
  };

  template <typename Name>
  static auto operands_of(Name, const column& c) {
    return std::tuple(operand<Name, const int>{c.ids, c.longest},
                      operand<std::remove_cvref_t<decltype(Name::size)>, const int>{c.sizes, 1});
  }

  column correct_, wrong_;
};

}  // namespace trimtab
