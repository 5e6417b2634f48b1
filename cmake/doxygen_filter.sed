# The first paragraph of a header describes the file; this puts the @file before it that Doxygen needs. For GNU sed.
0,/^\/\/\/ /s//\/\/\/ @file\n&/
