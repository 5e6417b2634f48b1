# The options of the build. Everything beyond the library itself is on by default only if trimtab is the top-level
# project.

option(TRIMTAB_BUILD_TESTS "Build the tests" ${PROJECT_IS_TOP_LEVEL})
option(TRIMTAB_BUILD_EXAMPLES "Build the examples and the command-line program" ${PROJECT_IS_TOP_LEVEL})
option(TRIMTAB_BUILD_BENCHMARKS "Build the benchmarks, if Google Benchmark is installed" OFF)
option(TRIMTAB_INSTALL "Define what `cmake --install` installs" ${PROJECT_IS_TOP_LEVEL})
option(TRIMTAB_NATIVE "Compile this project's own programs for the processor of this machine" ${PROJECT_IS_TOP_LEVEL})
option(TRIMTAB_PRECOMPILE "Compile the headers once for all of this project's own programs" ${PROJECT_IS_TOP_LEVEL})
option(TRIMTAB_BATCHES "Compile several sources of this project's own programs at a time" ${PROJECT_IS_TOP_LEVEL})
option(TRIMTAB_SANITIZE "Compile this project's own programs with address and undefined-behaviour sanitizers" OFF)
option(TRIMTAB_COVERAGE "Measure the coverage of the tests, with clang, and add the target `coverage`" OFF)
option(TRIMTAB_FUZZ "Build the fuzz targets, if the compiler has libFuzzer" OFF)
option(TRIMTAB_WARNINGS_AS_ERRORS "Treat warnings in this project's own programs as errors" ${PROJECT_IS_TOP_LEVEL})
set(TRIMTAB_MPI AUTO CACHE STRING "Build the program with MPI: ON, OFF, or AUTO where it is installed")
set_property(CACHE TRIMTAB_MPI PROPERTY STRINGS AUTO ON OFF)
option(TRIMTAB_CUDA "Build this project's own programs for CUDA too" OFF)

if(PROJECT_IS_TOP_LEVEL AND NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug, Release, RelWithDebInfo or MinSizeRel" FORCE)
endif()

set(CMAKE_CXX_EXTENSIONS OFF)  # -std=c++20, not gnu++20

# g++ looks for garbage from 128 MB on. Sources here take 1 to 3 GB, and a tenth of their compile time with it.
if(PROJECT_IS_TOP_LEVEL)
  add_compile_options("$<$<COMPILE_LANG_AND_ID:CXX,GNU>:--param=ggc-min-heapsize=1000000>")  # in kB
endif()
