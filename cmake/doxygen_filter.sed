# A header's first paragraph says what the header is, which Doxygen is told by @file. For GNU sed.
0,/^\/\/\/ /s//\/\/\/ @file\n&/
