# CMakeLists.txt lists all sources by name. This test finds files that are not listed, and listed names without a file.

cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/complaints.cmake")

# check_list(FOLDER SUFFIX-TO-DROP GLOB...) checks that each file that matches GLOB, with or without the suffix, is a
# word of FOLDER/CMakeLists.txt; and, if no suffix is dropped, that each file named there exists.
function(check_list folder drop)
  file(STRINGS "${root}/${folder}/CMakeLists.txt" lines REGEX "^[^#]")
  string(REGEX REPLACE "[ \t()\n]+" ";" words "${lines}")
  list(TRANSFORM ARGN PREPEND "${root}/${folder}/")
  file(GLOB_RECURSE files RELATIVE "${root}/${folder}" ${ARGN})
  foreach(file IN LISTS files)
    string(REGEX REPLACE "${drop}" "" word "${file}")
    if(NOT file IN_LIST words AND NOT word IN_LIST words)
      complain("${folder}/${file} is not listed in ${folder}/CMakeLists.txt.")
    endif()
  endforeach()
  foreach(word IN LISTS words)
    if(drop STREQUAL "^$" AND word MATCHES "^[a-z_0-9/]+\\.(hpp|cuh|cpp)$" AND NOT EXISTS "${root}/${folder}/${word}")
      complain("${folder}/CMakeLists.txt lists ${word}, which does not exist.")
    endif()
  endforeach()
  set(complaints ${complaints} PARENT_SCOPE)
endfunction()

check_list(include "^$" "*.hpp" "*.cuh")
check_list(tests/unit "^$" "*.cpp")
check_list(tests/parity "^$" "*.cpp")
check_list(tests/static "^$" "*.cpp")
check_list(tests/two_processes "^$" "*.cpp")
check_list(tests/compile_fail "^$" "*.cpp")
check_list(tests/fuzz "\\.cpp$" "*.cpp")
check_list(benchmarks "^$" "*.cpp")
check_list(examples "\\.cpp$" "*.cpp")

end_of_check()
