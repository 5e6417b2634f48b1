# Sources are listed by hand, never globbed by the build. This finds the file that somebody forgot to list. (A listed file
# that does not exist stops CMake itself.)

cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/complaints.cmake")

# check_list(FOLDER SUFFIX-TO-DROP GLOB...): each file that matches is a word of FOLDER/CMakeLists.txt.
function(check_list folder drop)
  file(STRINGS "${root}/${folder}/CMakeLists.txt" lines REGEX "^[^#]")
  string(REGEX REPLACE "[ \t()\n]+" ";" words "${lines}")
  list(TRANSFORM ARGN PREPEND "${root}/${folder}/")
  file(GLOB_RECURSE files RELATIVE "${root}/${folder}" ${ARGN})
  foreach(file IN LISTS files)
    string(REGEX REPLACE "${drop}" "" word "${file}")
    if(NOT word IN_LIST words)
      complain("${folder}/${file} is not listed in ${folder}/CMakeLists.txt.")
    endif()
  endforeach()
  set(complaints ${complaints} PARENT_SCOPE)
endfunction()

check_list(include "^$" "*.hpp" "*.cuh")
check_list(tests/unit "^$" "*.cpp")
check_list(tests/static "^$" "*.cpp")
check_list(tests/compile_fail "^$" "*.cpp")
check_list(benchmarks "^$" "*.cpp")
check_list(examples "\\.cpp$" "*.cpp")

end_of_check()
