# cmake -P cmake/test.cmake installs what is missing, builds everything in build/release and runs the tests.

include("${CMAKE_CURRENT_LIST_DIR}/setup.cmake")

step("configure" "${CMAKE_COMMAND}" --preset release)
step("compile every header alone" "${CMAKE_COMMAND}" --build --preset headers)
step("build" "${CMAKE_COMMAND}" --build --preset release)
step("test" "${CMAKE_CTEST_COMMAND}" --preset release)
message(STATUS "trimtab: all tests passed")
