// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>

// Width 0 declares the `_8` names without choosing for users who include this header beside a PCRE2 of their own.
#ifndef PCRE2_CODE_UNIT_WIDTH
#  define PCRE2_CODE_UNIT_WIDTH 0
#endif
#include <pcre2.h>

#include <array>
#include <cstddef>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>

/// A regular expression over Unicode text, compiled once by PCRE2 (with its just-in-time compiler where the system
/// permits) and then only read: copies share it, and any number of threads may match with it, each with its own
/// `matcher`.

namespace trimtab::text {

class pattern {
 public:
  explicit pattern(std::string_view expression) : code_(compile(expression)) {}

  /// A matcher for one thread. The pattern must outlive it.
  class matcher {
   public:
    explicit matcher(const pattern& p)
        : code_(p.code_.get()), match_(pcre2_match_data_create_8(1, nullptr), pcre2_match_data_free_8) {
      if (not match_) throw std::bad_alloc();
    }

    /// The length of the match that begins at byte `begin`, if there is one; `text` must be valid UTF-8.
    std::optional<std::size_t> operator()(std::string_view text, std::size_t begin) {
      const auto result = pcre2_match_8(code_, reinterpret_cast<PCRE2_SPTR8>(text.data()), text.size(), begin,
                                        PCRE2_NO_UTF_CHECK, match_.get(), nullptr);
      if (result == PCRE2_ERROR_NOMATCH) return std::nullopt;
      // Zero only says that the match data has no room for the groups.
      if (result < 0)
        throw error(error_kind::bad_text, "the text cannot be split into words: PCRE2 says " + message(result));
      return pcre2_get_ovector_pointer_8(match_.get())[1] - begin;
    }

   private:
    const pcre2_code_8* code_;
    std::unique_ptr<pcre2_match_data_8, decltype(&pcre2_match_data_free_8)> match_;
  };

 private:
  static std::shared_ptr<const pcre2_code_8> compile(std::string_view expression) {
    int failure = 0;
    PCRE2_SIZE at = 0;
    const auto options = PCRE2_UTF | PCRE2_UCP | PCRE2_ANCHORED;
    auto* const code = pcre2_compile_8(reinterpret_cast<PCRE2_SPTR8>(expression.data()), expression.size(), options,
                                       &failure, &at, nullptr);
    if (code == nullptr)
      throw error(error_kind::bad_argument, "PCRE2 rejects the pattern \"" + std::string(expression) +
                                                "\": " + message(failure) + " (version 10.40 or later is needed)");
    // Where the system forbids compiling at run time, matching still works, only slower.
    pcre2_jit_compile_8(code, PCRE2_JIT_COMPLETE);
    return {code, [](const pcre2_code_8* c) { pcre2_code_free_8(const_cast<pcre2_code_8*>(c)); }};
  }

  static std::string message(int failure) {
    std::array<PCRE2_UCHAR8, 256> buffer{};
    pcre2_get_error_message_8(failure, buffer.data(), buffer.size());
    return reinterpret_cast<const char*>(buffer.data());
  }

  std::shared_ptr<const pcre2_code_8> code_;
};

}  // namespace trimtab::text
