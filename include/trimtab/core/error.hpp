// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>
#include <string>

/// The one exception of the library. Bad input of any sort ends in one clear sentence that names the thing (file, key,
/// value), what was expected, what was found and what to do. Mistakes in calling code are `assert`s, not exceptions.

namespace trimtab {

enum class error_kind {
  bad_file,      ///< a file that is not what its name promises: truncated, malformed, of another format
  bad_config,    ///< a model description with a missing, wrong or unsupported entry
  bad_text,      ///< text that cannot be tokenized: invalid UTF-8, empty, longer than the context
  bad_data,      ///< a prompt pair that cannot be used: several tokens in an answer, equal answers
  bad_argument,  ///< a value that a caller chose: NaN, negative, out of range, unknown name
  mismatch,      ///< two good things that do not belong together: an intervention and another model
  io,            ///< the operating system refused: not found, not readable, disk full
  device,        ///< an accelerator is missing or out of memory
};

class error : public std::runtime_error {
 public:
  error(error_kind kind, const std::string& sentence) : std::runtime_error(sentence), kind_(kind) {}

  error_kind kind() const noexcept { return kind_; }

 private:
  error_kind kind_;
};

}  // namespace trimtab
