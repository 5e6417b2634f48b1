# complain(SENTENCE) prints and counts an error; end_of_check(), called last, fails if there was one.

set(complaints 0)

macro(complain sentence)
  message("${sentence}")
  math(EXPR complaints "${complaints} + 1")
endmacro()

macro(end_of_check)
  if(complaints GREATER 0)
    message(FATAL_ERROR "${complaints} complaints, see above.")
  endif()
endmacro()
