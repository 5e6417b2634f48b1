# complain(SENTENCE) notes what is wrong; end_of_check() fails if anything was, after all has been read.

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
