# How this project's own tests, examples and benchmarks are compiled. None of it is asked of users: their flags are theirs.

add_library(trimtab_program INTERFACE)
target_link_libraries(trimtab_program INTERFACE trimtab::trimtab)
target_compile_options(trimtab_program INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:${TRIMTAB_WARNINGS}>")

# Nobody reads errno after a mathematical function; without it sqrt is one instruction that loops can vectorise.
target_compile_options(trimtab_program INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fno-math-errno>)
if(TRIMTAB_NATIVE)
  target_compile_options(trimtab_program INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-march=native>)
endif()
if(TRIMTAB_SANITIZE)
  set(sanitizers -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_compile_options(trimtab_program INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:${sanitizers}>")
  target_link_options(trimtab_program INTERFACE ${sanitizers})
endif()
if(TRIMTAB_COVERAGE)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "TRIMTAB_COVERAGE needs clang, whose counters tell the outcomes of conditions from exceptions: configure with the preset `coverage`.")
  endif()
  set(counters -fprofile-instr-generate -fcoverage-mapping)
  target_compile_options(trimtab_program INTERFACE ${counters})
  target_link_options(trimtab_program INTERFACE ${counters})
endif()
