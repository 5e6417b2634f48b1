# The warnings that this project compiles its headers and programs with. They never reach a user's code.

set(TRIMTAB_WARNINGS
  -Wall
  -Wextra
  -Wpedantic     # nothing beyond the standard: the next compiler must take it too
  -Wconversion   # a count that loses bits, a double that becomes a float unseen
  -Wshadow)      # two things of one name in one place
# g++ 12 at -O3 sees `"literal" + std::string(...)` copy a string over itself, which it does not (GCC bug 105651).
list(APPEND TRIMTAB_WARNINGS "$<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>")
if(TRIMTAB_WARNINGS_AS_ERRORS)
  list(APPEND TRIMTAB_WARNINGS -Werror)
endif()
