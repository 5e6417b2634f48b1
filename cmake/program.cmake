# How this project's own tests, examples and benchmarks are compiled. None of these flags apply to users of the library.

add_library(trimtab_flags INTERFACE)
target_compile_features(trimtab_flags INTERFACE cxx_std_20)
target_compile_options(trimtab_flags INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:${TRIMTAB_WARNINGS}>")

# Nothing here reads errno after a mathematical function. Without errno, sqrt is one instruction that loops can
# vectorise.
target_compile_options(trimtab_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fno-math-errno>)
if(TRIMTAB_NATIVE)
  target_compile_options(trimtab_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-march=native>)
endif()
if(TRIMTAB_SANITIZE)
  set(sanitizers -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_compile_options(trimtab_flags INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:${sanitizers}>")
  target_link_options(trimtab_flags INTERFACE ${sanitizers})
endif()
if(TRIMTAB_COVERAGE)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "TRIMTAB_COVERAGE needs clang, which counts the outcomes of conditions separately from exceptions: configure with the preset `coverage`.")
  endif()
  set(counters -fprofile-instr-generate -fcoverage-mapping)
  target_compile_options(trimtab_flags INTERFACE ${counters})
  target_link_options(trimtab_flags INTERFACE ${counters})
endif()

# What programs link: the flags, and the library's usual types, compiled once with the same flags. Programs that use
# float only link `trimtab_float_program`, so that the types in double need not be built.
foreach(scalar IN ITEMS float double)
  target_link_libraries(trimtab_${scalar} PRIVATE trimtab_flags)
endforeach()
add_library(trimtab_float_program INTERFACE)
target_link_libraries(trimtab_float_program INTERFACE trimtab_flags trimtab::float)
add_library(trimtab_program INTERFACE)
target_link_libraries(trimtab_program INTERFACE trimtab_flags trimtab::double)

# Sources whose work is done by the libraries that they link are compiled without the full optimizer, which takes half the
# time and changes no result. Tests that compute little are not optimized at all; there the last bits of what they instantiate
# themselves may differ. They share precompiled headers, and are compiled several at a time: a build with
# TRIMTAB_PRECOMPILE and TRIMTAB_BATCHES off checks that each source includes what it uses.
set(TRIMTAB_QUICK $<$<AND:$<CONFIG:Release>,$<COMPILE_LANGUAGE:CXX>>:-O1>)
set(TRIMTAB_UNOPTIMIZED $<$<AND:$<CONFIG:Release>,$<COMPILE_LANGUAGE:CXX>>:-O0>)
if(TRIMTAB_PRECOMPILE)
  file(CONFIGURE OUTPUT "${CMAKE_CURRENT_BINARY_DIR}/precompiled.cpp" CONTENT "" @ONLY)
endif()

# trimtab_precompiled(NAME LIBRARY OPTIMIZATION HEADER...) makes the precompiled headers NAME, for targets that link the
# library and are optimized so.
function(trimtab_precompiled name library optimization)
  if(TRIMTAB_PRECOMPILE)
    add_library(${name} OBJECT EXCLUDE_FROM_ALL "${PROJECT_BINARY_DIR}/precompiled.cpp")
    target_link_libraries(${name} PRIVATE ${library})
    target_compile_options(${name} PRIVATE ${optimization})
    target_precompile_headers(${name} PRIVATE ${ARGN})
  endif()
endfunction()
trimtab_precompiled(trimtab_precompiled_umbrella trimtab_program ${TRIMTAB_QUICK} <trimtab/trimtab.hpp>)

# trimtab_from_precompiled(TARGET NAME) compiles a target starting from the headers that trimtab_precompiled made.
function(trimtab_from_precompiled target name)
  if(TRIMTAB_PRECOMPILE)
    target_precompile_headers(${target} REUSE_FROM ${name})
    # In precompiled headers, g++ 12 no longer knows which headers are the system's, and warns of writes out of bounds in
    # `"literal" + std::string(...)`, wrongly (GCC bug 105651).
    target_compile_options(${target} PRIVATE
      $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-array-bounds -Wno-stringop-overflow>)
  endif()
endfunction()

# trimtab_quick(TARGET [NAME]) compiles a target without the full optimizer, starting from the precompiled headers NAME if
# they are given.
function(trimtab_quick target)
  target_compile_options(${target} PRIVATE ${TRIMTAB_QUICK})
  if(ARGN)
    trimtab_from_precompiled(${target} ${ARGN})
  endif()
endfunction()

# trimtab_in_batches(TARGET SIZE) compiles SIZE of a target's sources at a time, which instantiates what they share once:
# about half of the processor time. Names of two sources must not meet, so each test file has a namespace of its own.
function(trimtab_in_batches target size)
  if(TRIMTAB_BATCHES)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE ${size})
  endif()
endfunction()
