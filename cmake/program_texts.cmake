# Has the program print the texts that are installed beside it: the manual page and the completions of three shells. Run
# with cmake -D program=PATH -D folder=WHERE-TO-WRITE -P.

cmake_minimum_required(VERSION 3.25)

# write(FILE ARGUMENTS...) writes what the program prints with these arguments to FILE.
function(write file)
  execute_process(COMMAND "${program}" ${ARGN} OUTPUT_FILE "${folder}/${file}" COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(MAKE_DIRECTORY "${folder}/bash")
write(trimtab.1 help --man)
write(bash/trimtab completion bash)
write(_trimtab completion zsh)
write(trimtab.fish completion fish)
