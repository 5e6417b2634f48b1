# Counts the instructions of a forward pass with callgrind, in each of the variants of forward.cpp:
#
#     cmake -D program=PATH -P compare.cmake
#
# The library's pass without hooks may execute 0.001 % more instructions than a pass written out by hand, a pass with
# hooks that are in no layer 0.01 % more, and one with an intervention at every site 2 % more. Counts do not depend on
# how busy the machine is.

cmake_minimum_required(VERSION 3.25)

find_program(valgrind valgrind)
if(NOT valgrind)
  message("skipped: valgrind is not installed (Debian: apt-get install valgrind)")
  return()
endif()

# count(VARIANT) sets the variable VARIANT to the number of its instructions.
function(count variant)
  execute_process(
    COMMAND "${valgrind}" --tool=callgrind --callgrind-out-file=/dev/null "--toggle-collect=*counted_forward*"
      "${program}" ${variant}
    OUTPUT_VARIABLE number ERROR_VARIABLE report RESULT_VARIABLE status)
  if(NOT status EQUAL 0 OR NOT report MATCHES "Collected : ([0-9]+)" OR CMAKE_MATCH_1 LESS 1000000)
    message(FATAL_ERROR "callgrind counted nothing for ${variant}:\n${number}\n${report}")
  endif()
  set(${variant} ${CMAKE_MATCH_1} PARENT_SCOPE)
  message("${variant}: ${CMAKE_MATCH_1} instructions")
endfunction()

# at_most(VARIANT BASE PER_MILLION) fails if VARIANT executes over PER_MILLION millionths more instructions than BASE.
function(at_most variant base per_million)
  math(EXPR more "${${variant}} - ${${base}}")
  math(EXPR allowed "${${base}} / 1000000 * ${per_million}")
  if(more GREATER allowed)
    message(SEND_ERROR "${variant} executes ${more} instructions more than ${base}; ${allowed} are allowed.")
  endif()
endfunction()

foreach(variant IN ITEMS plain unsteered hooked_nowhere activ_scalar own_policy)
  count(${variant})
endforeach()
at_most(unsteered plain 10)
at_most(hooked_nowhere plain 100)
at_most(activ_scalar plain 20000)
at_most(own_policy plain 20000)
