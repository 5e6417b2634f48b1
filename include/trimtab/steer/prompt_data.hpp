// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/core/operand.hpp>
#include <trimtab/core/prompt_data.hpp>
#include <trimtab/core/prompt_pair.hpp>
#include <trimtab/model/workspace.hpp>
#include <trimtab/steer/sequence.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

/// What terms read of prompts (core/prompt_data.hpp), by sequence in a backend's memory.

namespace trimtab {

template <tensor_backend B, typename... Terms>
class prompt_data_of {
 public:
  using T = typename B::scalar;

  /// Throws `bad_data` for a prompt that lacks what a term reads.
  prompt_data_of(const B&, std::span<const prompt_pair> prompts, std::span<const sequence> sequences,
                 workspace<B>& memory) {
    (take<Terms>(prompt_data_read_by<Terms>(), prompts, sequences, memory), ...);
  }

  /// f(operands...) with those of one term.
  template <typename Term, typename F>
  void with_operands(F&& f) const {
    [&]<typename... Names>(prompt_data<Names...>) {
      std::apply(f, std::tuple_cat(operands_of(Names{}, find(Names::text))...));
    }(prompt_data_read_by<Term>());
  }

 private:
  /// One name's column: an entry for each sequence.
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
    const auto prompt_of = [&](const sequence& s) -> const prompt_pair& {
      return prompts[static_cast<std::size_t>(s.prompt)];
    };
    if constexpr (is_number(Name{})) {
      host_matrix<T> numbers(1, std::ssize(sequences));
      for (std::size_t i = 0; i < sequences.size(); ++i)
        numbers.values[i] = static_cast<T>(entry(prompt_of(sequences[i]).numbers, Name::text, "number"));
      made.numbers = memory.take(numbers).data;
    } else {
      constexpr bool one = not requires { Name::is_indexed; };
      std::vector<int> ids, sizes;
      for (const sequence& s : sequences)
        made.longest = std::max(made.longest, std::ssize(tokens_of(prompt_of(s), Name::text, one)));
      for (const sequence& s : sequences) {
        const std::vector<int>& tokens = tokens_of(prompt_of(s), Name::text, one);
        sizes.push_back(static_cast<int>(tokens.size()));
        for (index_t k = 0; k < made.longest; ++k)
          ids.push_back(tokens[static_cast<std::size_t>(std::min(k, std::ssize(tokens) - 1))]);
      }
      made.ids = memory.take(std::move(ids));
      made.sizes = memory.take(std::move(sizes));
    }
    columns_.push_back(made);
  }

  static const std::vector<int>& tokens_of(const prompt_pair& prompt, std::string_view text, bool one) {
    const std::vector<int>& tokens = entry(prompt.tokens, text, one ? "token" : "set of tokens");
    if (tokens.empty() or (one and tokens.size() > 1))
      throw error(error_kind::bad_data, "a prompt pair has " + std::to_string(tokens.size()) + " tokens '" +
                                            std::string(text) + "'; a term of the objective reads " +
                                            (one ? "one" : "at least one"));
    return tokens;
  }
  template <typename Map>
  static const auto& entry(const Map& of, std::string_view text, const std::string& kind) {
    const auto found = of.find(std::string(text));
    if (found == of.end())
      throw error(error_kind::bad_data, "a prompt pair has no " + kind + " '" + std::string(text) +
                                            "', which a term of the objective reads; give every pair one");
    return found->second;
  }

  const column& find(std::string_view text) const { return *std::ranges::find(columns_, text, &column::text); }

  // By members: nvcc 13 deduces no `fixed_string` from an argument.
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

}  // namespace trimtab
