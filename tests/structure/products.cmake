# The program and the examples are compiled without the optimizations that products need, and take these from the library. A
# source that includes a narrow header of the backend alone would compile its own, slow ones; the linker keeps one of the two
# for all. Run by CTest with -D nm=PROGRAM -D library=FILE -D "objects=FILE;..." -P.

cmake_minimum_required(VERSION 3.25)

if(NOT nm)
  message(STATUS "skipped: there is no nm to read object files with")
  return()
endif()
set(kernels multiply_block multiply_part)
execute_process(COMMAND "${nm}" -C --defined-only "${library}" OUTPUT_VARIABLE symbols ERROR_QUIET)
foreach(kernel IN LISTS kernels)
  string(FIND "${symbols}" "${kernel}<" at)
  if(at EQUAL -1)
    message(FATAL_ERROR "${library} has no ${kernel}; this test looks for a name that is no longer there")
  endif()
endforeach()

set(read 0)
foreach(object IN LISTS objects)
  if(NOT EXISTS "${object}" OR NOT object MATCHES "\\.(o|obj)$")  # a precompiled header is among them
    continue()
  endif()
  execute_process(COMMAND "${nm}" -C --defined-only "${object}" OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
  math(EXPR read "${read} + 1")
  foreach(kernel IN LISTS kernels)
    string(FIND "${symbols}" "${kernel}<" at)
    if(NOT at EQUAL -1)
      message(SEND_ERROR "${object} has a ${kernel} of its own; include <trimtab/trimtab.hpp> in its source, which "
        "declares that of the library")
    endif()
  endforeach()
endforeach()
if(read EQUAL 0)
  message(FATAL_ERROR "none of the object files is there: ${objects}")
endif()
message(STATUS "${read} object files take their products from the library")
