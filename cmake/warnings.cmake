# The warnings that this project's own programs compile with. They never reach a user's code.

add_library(trimtab_warnings INTERFACE)
target_compile_options(trimtab_warnings INTERFACE
  -Wall
  -Wextra
  -Wpedantic     # nothing beyond the standard: the next compiler must take it too
  -Wconversion   # a count that loses bits, a double that becomes a float unseen
  -Wshadow       # two things of one name in one place
  $<$<BOOL:${TRIMTAB_WARNINGS_AS_ERRORS}>:-Werror>)
