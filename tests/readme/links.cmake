# Tests that every file exists that README.md or another of these pages links to, and every header that README.md names.
# Arguments: source.

cmake_minimum_required(VERSION 3.25)

set(missing)
foreach(page IN ITEMS README.md examples/README.md examples/models/README.md cmake/packaging/README.md
    include/trimtab/README.md .github/CONTRIBUTING.md)
  get_filename_component(here "${source}/${page}" DIRECTORY)
  file(READ "${source}/${page}" text)
  string(REGEX REPLACE "\\[|;" "" text "${text}")
  string(REPLACE "](" "<link>" text "${text}")
  string(REGEX MATCHALL "<link>[^)#: ]+\\)" links "${text}")
  foreach(link IN LISTS links)
    string(REGEX REPLACE "^<link>(.*)\\)$" "\\1" link "${link}")
    if(NOT EXISTS "${here}/${link}")
      list(APPEND missing "${page}: ${link}")
    endif()
  endforeach()
endforeach()
# The headers that README.md names without a link.
file(READ "${source}/README.md" text)
string(REGEX MATCHALL "`(core|check|instances|row|policy|objective|backend|model|steer|train|measure|text|task|io|report)/[a-z_/]+\\.hpp`" names "${text}")
foreach(name IN LISTS names)
  string(REPLACE "`" "" name "${name}")
  if(NOT EXISTS "${source}/include/trimtab/${name}")
    list(APPEND missing "README.md: ${name}")
  endif()
endforeach()
if(missing)
  message(FATAL_ERROR "These are named and not there: ${missing}")
endif()
