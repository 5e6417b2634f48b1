# What is installed beside the program and made by it: the manual page and the completions of three shells. Given -D program
# and -D folder, with cmake -P.

cmake_minimum_required(VERSION 3.25)

# write(FILE ARGUMENTS...) keeps what the program prints.
function(write file)
  execute_process(COMMAND "${program}" ${ARGN} OUTPUT_FILE "${folder}/${file}" COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(MAKE_DIRECTORY "${folder}/bash")
write(trimtab.1 help --man)
write(bash/trimtab completion bash)
write(_trimtab completion zsh)
write(trimtab.fish completion fish)
