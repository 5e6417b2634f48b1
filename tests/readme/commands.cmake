# Runs every block of shell commands in README.md, one after another in one folder. The embedded models stand in for
# those that a reader downloads. Commands that download, install or build are replaced by functions that do nothing,
# because the project is built already when this test runs. Arguments: readme, source, build, folder.

cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/blocks.cmake")

file(REMOVE_RECURSE "${folder}")
file(MAKE_DIRECTORY "${folder}")
foreach(entry IN ITEMS cmake examples)
  file(CREATE_LINK "${source}/${entry}" "${folder}/${entry}" SYMBOLIC)
endforeach()
file(CREATE_LINK "${source}/examples/models/tiny-gpt2" "${folder}/gpt2" SYMBOLIC)
file(CREATE_LINK "${source}/examples/models/tiny-pythia" "${folder}/pythia-70m" SYMBOLIC)

set(left_out [[
curl() { :; }
sudo() { "$@"; }
cmake() {
  case "$1" in
    -P) test -f "$2" ;;
    --preset | --build | --install) : ;;
    *) echo "README.md has a kind of cmake command that its test does not know: $*" >&2; return 1 ;;
  esac
}
]])
set(ENV{PATH} "${build}:$ENV{PATH}")
readme_blocks("${readme}" sh blocks)
list(LENGTH blocks count)
if(count EQUAL 0)
  message(FATAL_ERROR "${readme} has no commands.")
endif()
foreach(block IN LISTS blocks)
  readable(block)
  message("${block}")
  file(WRITE "${folder}/block.sh" "set -eu\n${left_out}${block}")
  execute_process(COMMAND sh block.sh WORKING_DIRECTORY "${folder}" COMMAND_ERROR_IS_FATAL ANY)
endforeach()
