"""The only place that knows s5cmd and starts processes: binary, run-files, output, supervised children, listings."""
