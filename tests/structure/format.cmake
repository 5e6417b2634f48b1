# Tests that every C++ file is formatted by clang-format 14. Other versions break lines elsewhere, so without version 14
# the test is skipped.

cmake_minimum_required(VERSION 3.25)

find_program(clang_format NAMES clang-format-14 clang-format)
if(clang_format)
  execute_process(COMMAND "${clang_format}" --version OUTPUT_VARIABLE version)
endif()
if(NOT version MATCHES " 14\\.")
  message("skipped: there is no clang-format 14 here, whose output is the format")
  return()
endif()

set(patterns)
foreach(folder IN ITEMS include examples tests benchmarks)
  foreach(ending IN ITEMS hpp cpp cuh cu h)
    list(APPEND patterns "${root}/${folder}/*.${ending}")
  endforeach()
endforeach()
file(GLOB_RECURSE sources ${patterns})
execute_process(COMMAND "${clang_format}" --dry-run -Werror ${sources}
  WORKING_DIRECTORY "${root}" RESULT_VARIABLE status ERROR_VARIABLE complaints)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "${complaints}\nThese lines are not as clang-format writes them: run `clang-format -i` on their files.")
endif()
