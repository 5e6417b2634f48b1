// SPDX-License-Identifier: Apache-2.0
#pragma once

/// How texts become prompts, where the caller wants it otherwise than a folder says.

namespace trimtab::io {

/// Whether prompts begin with the BOS token.
enum class begin_with_bos { as_the_folder_says, always, never };

struct tokenizer_options {
  begin_with_bos bos = begin_with_bos::as_the_folder_says;
  bool plain_text = false;  ///< the text of a special token is ordinary text, whatever the folder says
};

}  // namespace trimtab::io
