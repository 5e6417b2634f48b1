# cmake -P cmake/sanitized_subset.cmake: builds the tests of files, texts, tasks and reports with the address and
# undefined-behaviour sanitizers, in build/sanitize, and runs them. The preset `sanitize` does the same for all tests.

include("${CMAKE_CURRENT_LIST_DIR}/setup.cmake")

set(folders io report task text)
list(TRANSFORM folders PREPEND unit_ OUTPUT_VARIABLE targets)
list(JOIN folders "|" any_folder)
step("configure" "${CMAKE_COMMAND}" --preset sanitize)
step("build" "${CMAKE_COMMAND}" --build build/sanitize --target ${targets})
step("test" "${CMAKE_CTEST_COMMAND}" --preset sanitize -R "^unit/(${any_folder})/")
message(STATUS "trimtab: no sanitizer found anything")
