# Runs every block of shell commands in README.md, one after another in one folder. The embedded models stand in for
# those that a reader downloads. Commands that download, install or build are replaced by functions that do nothing,
# because the project is built already when this test runs. Then `trimtab fit --like` must repeat every fit of these
# blocks, and every point of their sweeps, to the bit. Arguments: readme, source, build, folder.

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
# A fit without --out gets one, so that it can be repeated; `fits` lists what fits and sweeps have written.
set(written_down [[
option() {
  name="$1"
  shift
  while [ $# -gt 0 ]; do
    if [ "$1" = "$name" ]; then echo "${2-given}"; fi
    shift
  done
}
trimtab() {
  if [ "$1" = fit ] && [ -z "$(option --plan "$@" end)" ]; then
    if [ -z "$(option --out "$@")" ]; then
      set -- "$@" --out "fit-$(ls | grep -c '^fit-').safetensors"
    fi
    option --out "$@" >> fits
  fi
  command trimtab "$@"
  if [ "$1" = sweep ] && [ -n "$(option --out "$@")" ]; then
    ls "$(option --out "$@")"/*.safetensors >> fits
  fi
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
  file(WRITE "${folder}/block.sh" "set -eu\n${left_out}${written_down}${block}")
  execute_process(COMMAND sh block.sh WORKING_DIRECTORY "${folder}" COMMAND_ERROR_IS_FATAL ANY)
endforeach()

file(STRINGS "${folder}/fits" fits)
list(REMOVE_DUPLICATES fits)
foreach(fit IN LISTS fits)
  execute_process(COMMAND trimtab fit --like "${fit}" --json WORKING_DIRECTORY "${folder}" OUTPUT_VARIABLE json
    COMMAND_ERROR_IS_FATAL ANY)
  string(JSON same GET "${json}" same_bits)
  message("trimtab fit --like ${fit}: same_bits ${same}")
  if(NOT same)
    message(FATAL_ERROR "`trimtab fit --like ${fit}` did not repeat the fit to the bit.")
  endif()
endforeach()
