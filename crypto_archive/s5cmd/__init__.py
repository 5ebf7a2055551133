"""The only room that knows s5cmd and starts processes: binary, run-files, output, one supervised child, listings."""
