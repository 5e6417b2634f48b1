# Which folders of include/trimtab may include which others. Backends, policies, terms and models never include each
# other. A folder may always include itself. The umbrella headers beside the folders contain includes only.

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
set(steer_sees      core model objective)
set(train_sees      core row model objective steer text)  # text: a state may come from a stranger
set(measure_sees    core objective steer)
set(explain_sees    core row objective model steer measure)
set(generate_sees   core model steer)
set(io_sees         core policy model steer train task text)  # policy: files of version 1 name one without its shape
set(report_sees     core policy steer measure task text io)  # policy: symbols; text: prompts hold any bytes; io: a page is a file
set(parallel_sees   core backend)  # backend: nccl joins devices
set(instances_sees   backend io report task text)  # and the umbrella compose.hpp
set(folders instances parallel check row backend policy objective model text task steer train measure explain generate io report)

# Third-party headers that core must not include; JSON and Eigen are slow to compile.
set(outside_the_core "^(Eigen/|nlohmann/|pcre2|utf8proc|omp\\.h|mpi\\.h|nccl\\.h|cuda)")
set(host_rooms text task steer train measure explain generate io report)  # what is done once, and not for each row: range-v3 is for them
set(narrow "<range/v3/[a-z_]+/[a-z_]+\\.hpp>")
set(wide "<range/v3/[a-z_]+/all\\.hpp>")

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
    elseif(line MATCHES "<trimtab/" AND NOT folder STREQUAL "instances")
      complain("${header}: `${line}`; umbrellas are for users.")
    elseif(line MATCHES "<range/" AND NOT folder IN_LIST host_rooms)
      string(REPLACE ";" ", " allowed "${host_rooms}")
      complain("${header}: `${line}`; range-v3 is for the host rooms only: ${allowed}.")
    elseif(line MATCHES "<range/" AND (NOT line MATCHES "${narrow}" OR line MATCHES "${wide}"))
      complain("${header}: `${line}`; include the narrow header of what is used, such as <range/v3/view/chunk.hpp>.")
    elseif(line MATCHES "<CLI/")
      complain("${header}: `${line}`; the command line is the business of examples/cli.")
    elseif(folder STREQUAL "core" AND line MATCHES "<([^>]*)>" AND CMAKE_MATCH_1 MATCHES "${outside_the_core}")
      complain("${header}: `${line}`; core sees the standard library only.")
    endif()
  endforeach()
endforeach()

file(GLOB_RECURSE sources RELATIVE "${root}" "${root}/examples/*.hpp" "${root}/examples/*.cpp")
foreach(source IN LISTS sources)
  file(STRINGS "${root}/${source}" includes REGEX "^[ \t]*#[ \t]*include[ \t]*<range/")
  foreach(line IN LISTS includes)
    if(NOT line MATCHES "${narrow}" OR line MATCHES "${wide}")
      complain("${source}: `${line}`; include the narrow header of what is used, such as <range/v3/view/chunk.hpp>.")
    endif()
  endforeach()
endforeach()

# A folder must use each include that it is allowed.
foreach(folder IN LISTS folders)
  foreach(target IN LISTS ${folder}_sees)
    if(NOT target IN_LIST ${folder}_uses)
      complain("${folder} may see ${target}, but no header of it does; take the arrow out of tests/structure/arrows.cmake.")
    endif()
  endforeach()
endforeach()

end_of_check()
