// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/check/checked_row.hpp>
#include <trimtab/check/plain_row.hpp>
#include <trimtab/core/objective.hpp>
#include <trimtab/core/prompt_data.hpp>

#include <array>
#include <cstddef>
#include <tuple>
#include <utility>
#include <vector>

/// A term under check, as a function of a row of logits, with random prompt data for everything else that it reads. Its
/// value is d_value · value, so that its gradient is what `gradient` writes for a random d_value.

namespace trimtab::detail {

template <logit_term Term>
struct checked_term {
  static constexpr const char* function = "gradient";

  /// The prompt data under one name.
  struct prompt_entry {
    std::vector<int> ids;
    int size;
    double number;
  };
  static constexpr std::size_t entries = []<typename... Name>(prompt_data<Name...>) {
    return sizeof...(Name);
  }(prompt_data_read_by<Term>());

  struct drawn {
    double beta, d_value;
    int correct, wrong;
    std::vector<double> x, reference, before;
    std::array<prompt_entry, entries> prompt;
  };

  Term term;
  index_t width;
  double scale;

  std::vector<checked_operand> operands() const { return {{"d_h", 0, width, width, false}}; }

  drawn draw(random_generator& random, double beta) const {
    const auto word = [&] { return static_cast<int>(random.below(static_cast<std::size_t>(width))); };
    drawn row{.beta = beta,
              .d_value = random.normal(),
              .correct = word(),
              .wrong = word(),
              .x = {},
              .reference = {},
              .before = {},
              .prompt = {}};
    while (row.wrong == row.correct) row.wrong = word();
    row.x = random_numbers(random, width, scale);
    row.reference = random_numbers(random, width, scale);
    row.before = random_numbers(random, width, 1);
    for (prompt_entry& entry : row.prompt) {
      entry.size = 3;
      for (int k = 0; k < entry.size; ++k) entry.ids.push_back(word());
      entry.number = random.normal();
    }
    return row;
  }

  template <typename T>
  T value(const drawn& row, const std::vector<T>& x) const {
    T found(0);
    with_row<T>(row, [&](auto... operands) {
      plain_row<T, bound_name<per_channel<"h">, const T>, decltype(operands)...> r(width, {x.data()}, operands...);
      found = static_cast<T>(term.value(r));
    });
    return found * row.d_value;
  }

  /// The gradient of logits starts at `before`, because `gradient` must add to it.
  std::vector<double> written(const drawn& row) const {
    std::vector<double> d_h = row.before;
    with_row<double>(row, [&](auto... operands) {
      plain_row<double, bound_name<per_channel<"h">, const double>, bound_name<gradient_of<per_channel<"h">>, double>,
                bound_name<gradient_of<per_row<"value">>, const double>, decltype(operands)...>
          r(width, {row.x.data()}, {d_h.data()}, {&row.d_value}, operands...);
      term.gradient(r);
    });
    for (std::size_t j = 0; j < d_h.size(); ++j) d_h[j] -= row.before[j];
    return d_h;
  }

 private:
  /// f(operands...) with everything that a term may read except the logits.
  template <typename T, typename F>
  void with_row(const drawn& row, F&& f) const {
    const T beta(row.beta);
    const std::vector<T> reference(row.reference.begin(), row.reference.end());
    std::array<T, entries> numbers{};
    for (std::size_t k = 0; k < entries; ++k) numbers[k] = T(row.prompt[k].number);
    [&]<typename... Name, std::size_t... K>(prompt_data<Name...>, std::index_sequence<K...>) {
      std::apply(
          [&](auto... of_prompt) {
            f(bound_name<per_channel<"reference">, const T>{reference.data()},
              bound_name<per_row<"beta">, const T>{&beta}, bound_name<per_row<"correct">, const int>{&row.correct},
              bound_name<per_row<"wrong">, const int>{&row.wrong}, of_prompt...);
          },
          std::tuple_cat(bound(Name{}, row.prompt[K], numbers[K])...));
    }(prompt_data_read_by<Term>(), std::make_index_sequence<entries>{});
  }

  template <fixed_string Text, typename T>
  static auto bound(prompt_number<Text>, const prompt_entry&, const T& number) {
    return std::tuple(bound_name<prompt_number<Text>, const T>{&number});
  }
  template <fixed_string Text, typename T>
  static auto bound(prompt_token<Text>, const prompt_entry& entry, const T&) {
    return std::tuple(bound_name<prompt_token<Text>, const int>{entry.ids.data()});
  }
  template <fixed_string Text, typename T>
  static auto bound(prompt_tokens<Text>, const prompt_entry& entry, const T&) {
    return std::tuple(bound_name<prompt_tokens<Text>, const int>{entry.ids.data()},
                      bound_name<prompt_tokens_size<Text>, const int>{&entry.size});
  }
};

}  // namespace trimtab::detail
