# cmake -P cmake/demo.cmake installs what is missing, builds the demonstration in build/release and runs it.

include("${CMAKE_CURRENT_LIST_DIR}/setup.cmake")

step("configure" "${CMAKE_COMMAND}" --preset release)
step("build" "${CMAKE_COMMAND}" --build --preset demo)
step("run the demonstration" "${root}/build/release/examples/demo" "${root}/build/release/trimtab-demo.html")
