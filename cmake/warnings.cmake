# The warnings with which this project compiles its headers and programs. They never apply to a user's code.

set(TRIMTAB_WARNINGS
  -Wall
  -Wextra
  -Wpedantic     # nothing beyond the standard, so that other compilers accept it too
  -Wconversion   # implicit conversions that lose bits, such as double to float
  -Wshadow)      # a name that hides another one
# g++ 12 at -O3 warns that `"literal" + std::string(...)` copies a string over itself, wrongly (GCC bug 105651).
list(APPEND TRIMTAB_WARNINGS "$<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>")
if(TRIMTAB_WARNINGS_AS_ERRORS)
  list(APPEND TRIMTAB_WARNINGS -Werror)
endif()
