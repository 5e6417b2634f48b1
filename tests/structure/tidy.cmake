# clang-tidy over the umbrella headers, as .clang-tidy asks. Other versions find other things.

cmake_minimum_required(VERSION 3.25)

find_program(clang_tidy NAMES clang-tidy-14 clang-tidy)
if(NOT clang_tidy)
  message("skipped: clang-tidy is not installed (Debian: apt-get install clang-tidy)")
  return()
endif()
execute_process(COMMAND "${clang_tidy}" --version OUTPUT_VARIABLE version)
if(NOT version MATCHES "version 14\\.")
  message("skipped: the findings are those of clang-tidy 14")
  return()
endif()

file(WRITE "${folder}/umbrellas.cpp" "#include <trimtab/trimtab.hpp>\n#include <trimtab/instances/usual.hpp>\n")
execute_process(
  COMMAND "${clang_tidy}" --quiet --warnings-as-errors=* "--config-file=${root}/.clang-tidy" "${folder}/umbrellas.cpp"
    -- -std=c++20 "-I${root}/include" -isystem "${eigen}"
  RESULT_VARIABLE status OUTPUT_VARIABLE findings ERROR_QUIET)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "${findings}")
endif()
