# Installs the program into a fresh folder, moves the folder, and checks what is in it. Arguments: build, folder,
# config.

cmake_minimum_required(VERSION 3.25)

file(REMOVE_RECURSE "${folder}")
execute_process(COMMAND "${CMAKE_COMMAND}" --install "${build}" --config "${config}" --component program
  --prefix "${folder}/first" COMMAND_ERROR_IS_FATAL ANY)
file(RENAME "${folder}/first" "${folder}/prefix")

set(ENV{PATH} "${folder}/prefix/bin:$ENV{PATH}")
execute_process(COMMAND trimtab --version OUTPUT_VARIABLE said COMMAND_ERROR_IS_FATAL ANY)
if(NOT said MATCHES "^trimtab [0-9]+\\.[0-9]+\\.[0-9]+\n$")
  message(FATAL_ERROR "trimtab --version says `${said}`.")
endif()

# Each installed text is what the installed program prints.
foreach(text IN ITEMS
    "share/man/man1/trimtab.1|help;--man"
    "share/bash-completion/completions/trimtab|completion;bash"
    "share/zsh/site-functions/_trimtab|completion;zsh"
    "share/fish/vendor_completions.d/trimtab.fish|completion;fish")
  string(REGEX MATCH "^([^|]*)\\|(.*)$" _ "${text}")
  set(file "${CMAKE_MATCH_1}")
  set(arguments ${CMAKE_MATCH_2})
  execute_process(COMMAND trimtab ${arguments} OUTPUT_VARIABLE expected COMMAND_ERROR_IS_FATAL ANY)
  file(READ "${folder}/prefix/${file}" found)
  # The page contains the date on which it was made.
  string(REGEX REPLACE "TRIMTAB 1 [0-9-]+" "" found "${found}")
  string(REGEX REPLACE "TRIMTAB 1 [0-9-]+" "" expected "${expected}")
  if(found STREQUAL "" OR NOT found STREQUAL expected)
    message(FATAL_ERROR "${file} is not what `trimtab ${arguments}` prints.")
  endif()
endforeach()
