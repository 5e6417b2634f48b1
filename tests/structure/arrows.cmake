# Which folder of include/trimtab may include which other: backends, policies, terms and models never know each other.
# A folder may always include itself. The umbrellas beside the folders are includes and nothing else.

cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/complaints.cmake")

set(core_sees)
set(check_sees      core)
set(row_sees        core)
set(backend_sees    core row)
set(policy_sees     core row)
set(objective_sees  core row)
set(model_sees      core row)
set(text_sees       core)
set(task_sees       core)
set(steer_sees      core row model objective)
set(train_sees      core row model steer text)  # text: a state may come from a stranger
set(measure_sees    objective steer)
set(io_sees         core policy model steer train task text)  # policy: files of version 1 name one without its shape
set(report_sees     core policy steer measure task text io)  # policy: symbols; text: prompts hold any bytes; io: a page is a file
set(folders check row backend policy objective model text task steer train measure io report)

# Third-party headers are left to those who need them; JSON and Eigen are dear to compile.
set(outside_the_core "^(Eigen/|nlohmann/|pcre2|utf8proc|range/|omp\\.h|cuda)")

file(GLOB_RECURSE headers RELATIVE "${root}/include/trimtab" "${root}/include/trimtab/*.hpp" "${root}/include/trimtab/*.cuh")
list(LENGTH headers count)
if(count EQUAL 0)
  complain("no headers under ${root}/include/trimtab")
endif()

foreach(header IN LISTS headers)
  set(path "${root}/include/trimtab/${header}")

  if(NOT header MATCHES "^([a-z_]+)/")
    file(STRINGS "${path}" code REGEX "^[ \t]*[^ \t/#]")
    if(code)
      complain("${header} is an umbrella: it may hold includes and comments, but holds `${code}`.")
    endif()
    continue()
  endif()
  set(folder "${CMAKE_MATCH_1}")
  if(NOT folder IN_LIST folders AND NOT folder STREQUAL "core")
    complain("${header}: the folder ${folder} has no line in tests/structure/arrows.cmake.")
    continue()
  endif()

  file(STRINGS "${path}" includes REGEX "^[ \t]*#[ \t]*include")
  foreach(line IN LISTS includes)
    if(line MATCHES "include[ \t]*\"")
      complain("${header}: `${line}`; headers are included as <trimtab/...>.")
    elseif(line MATCHES "<trimtab/([a-z_]+)/")
      set(target "${CMAKE_MATCH_1}")
      if(NOT target STREQUAL folder AND NOT target IN_LIST ${folder}_sees)
        string(REPLACE ";" ", " allowed "${${folder}_sees}")
        complain("${header}: `${line}`; ${folder} may see of trimtab only: ${allowed}.")
      endif()
      list(APPEND ${folder}_uses ${target})
    elseif(line MATCHES "<trimtab/")
      complain("${header}: `${line}`; umbrellas are for users.")
    elseif(line MATCHES "<(range/v3/(all|view|core)\\.hpp)>")
      complain("${header}: `${line}`; include the narrow header of what is used.")
    elseif(line MATCHES "<CLI/")
      complain("${header}: `${line}`; the command line is the business of examples/cli.")
    elseif(folder STREQUAL "core" AND line MATCHES "<([^>]*)>" AND CMAKE_MATCH_1 MATCHES "${outside_the_core}")
      complain("${header}: `${line}`; core sees the standard library only.")
    endif()
  endforeach()
endforeach()

# No wider than what is used.
foreach(folder IN LISTS folders)
  foreach(target IN LISTS ${folder}_sees)
    if(NOT target IN_LIST ${folder}_uses)
      complain("${folder} may see ${target}, but no header of it does; take the arrow out of tests/structure/arrows.cmake.")
    endif()
  endforeach()
endforeach()

end_of_check()
