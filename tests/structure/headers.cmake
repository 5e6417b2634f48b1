# Tests that every header begins with the line of the licence and #pragma once, that every source has that line, and
# that no file contains a path of somebody's machine.

cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/complaints.cmake")

file(GLOB_RECURSE headers RELATIVE "${root}"
  "${root}/include/*.hpp" "${root}/include/*.cuh" "${root}/tests/*.hpp" "${root}/examples/*.hpp" "${root}/benchmarks/*.hpp")
foreach(header IN LISTS headers)
  file(READ "${root}/${header}" opening LIMIT 60)
  if(NOT opening MATCHES "^// SPDX-License-Identifier: Apache-2.0\n#pragma once\n")
    complain("${header} does not open with the lines `// SPDX-License-Identifier: Apache-2.0` and `#pragma once`.")
  endif()
endforeach()

file(GLOB_RECURSE sources RELATIVE "${root}" "${root}/tests/*.cpp" "${root}/examples/*.cpp" "${root}/benchmarks/*.cpp")
foreach(source IN LISTS sources)
  file(STRINGS "${root}/${source}" lines REGEX "SPDX-License-Identifier: Apache-2.0" LIMIT_COUNT 1)
  if(NOT lines)
    complain("${source} lacks the line `// SPDX-License-Identifier: Apache-2.0`.")
  endif()
endforeach()

file(GLOB texts RELATIVE "${root}" "${root}/*.md" "${root}/*.txt" "${root}/*.json" "${root}/cmake/*" "${root}/benchmarks/*.md")
file(GLOB_RECURSE examples RELATIVE "${root}" "${root}/examples/*.md")
foreach(text IN LISTS headers sources texts examples)
  file(STRINGS "${root}/${text}" lines REGEX "(^|[^a-z0-9_.>~])/(work|home|root|Users)/")
  if(lines)
    complain("${text} names a place on somebody's machine: ${lines}")
  endif()
endforeach()

end_of_check()
