# Tests that misuse of the library is a compile error with a readable sentence. Each source is compiled twice: as it is
# (the control, which must compile), and with TRIMTAB_MISUSE defined (the misuse, which must fail with the sentence that
# stands after "// expected: " in the first line of the source).

function(trimtab_compile_fail)
  foreach(source IN LISTS ARGN)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${source}")
    file(STRINGS "${source}" first_line LIMIT_COUNT 1)
    if(NOT first_line MATCHES "^// expected: (.+)$")
      message(FATAL_ERROR "${source}: the first line is not `// expected: SENTENCE`.")
    endif()
    string(REGEX REPLACE "([][+.*()^$?|\\\\])" "\\\\\\1" sentence "${CMAKE_MATCH_1}")

    string(REGEX REPLACE "\\.cpp$" "" name "${source}")
    foreach(half IN ITEMS control misuse)
      set(target compile_fail_${name}_${half})
      add_library(${target} OBJECT EXCLUDE_FROM_ALL "${source}")
      trimtab_quick_test(${target} compose)
      add_test(NAME compile_fail/${name}/${half}
        COMMAND "${CMAKE_COMMAND}" --build "${CMAKE_BINARY_DIR}" --config $<CONFIG> --target ${target})
      # Two builds must not run in one folder at the same time.
      set_tests_properties(compile_fail/${name}/${half} PROPERTIES RESOURCE_LOCK build_folder LABELS compile_fail
        COST 10)
    endforeach()
    target_compile_definitions(compile_fail_${name}_misuse PRIVATE TRIMTAB_MISUSE)
    set_tests_properties(compile_fail/${name}/misuse PROPERTIES PASS_REGULAR_EXPRESSION "error: [^\n]*${sentence}")
  endforeach()
endfunction()
