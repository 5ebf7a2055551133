"""The command line: parse, make one call, render, exit with the code that the table gives."""
